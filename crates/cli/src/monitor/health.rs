//! Whether a watch does its work: its last pass succeeded, and the next one is not overdue.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Short passes, or few seconds between them, leave room for an MLflow that is slow for a moment.
const SHORTEST_LIMIT: Duration = Duration::from_secs(60);

/// What the passes so far say.
#[derive(Debug)]
pub(super) struct Health {
    every: Duration,
    passes: Mutex<Option<Passes>>,
}

#[derive(Debug, Clone, Copy)]
struct Passes {
    succeeded: bool,
    ended: Instant,
    longest: Duration,
}

impl Health {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            passes: Mutex::default(),
        }
    }

    /// Takes in a pass that ended now. What it could not decide is for a human, and no restart mends it.
    pub(super) fn ended(&self, succeeded: bool, took: Duration) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = passes.map_or(took, |passes| passes.longest.max(took));
        *passes = Some(Passes {
            succeeded,
            ended: Instant::now(),
            longest,
        });
    }

    /// Why the watch is not healthy now.
    pub(super) fn trouble(&self, now: Instant) -> Option<String> {
        let passes = *self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(passes) = passes else {
            return Some("no pass has ended yet; see the log".to_owned());
        };
        if !passes.succeeded {
            return Some("the last pass failed; see the log".to_owned());
        }
        let (since, limit) = (
            now.saturating_duration_since(passes.ended),
            self.limit(passes.longest),
        );
        (since > limit).then(|| {
            format!(
                "a pass is overdue: none has ended for {} s, and at most {} s are expected; MLflow or MongoDB may not answer",
                since.as_secs(),
                limit.as_secs()
            )
        })
    }

    /// From the end of a pass to that of the next one: three times the longest pass so far or the interval.
    fn limit(&self, longest: Duration) -> Duration {
        let usual = longest.max(self.every);
        usual.saturating_mul(3).max(SHORTEST_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_pass_is_overdue_after_three_times_the_interval_or_the_longest_pass() {
        let limit = |every, longest| Health::new(every).limit(longest);
        assert_eq!(limit(5 * MINUTE, MINUTE), 15 * MINUTE);
        assert_eq!(limit(MINUTE, 20 * MINUTE), 60 * MINUTE);
        assert_eq!(limit(MINUTE / 60, MINUTE / 60), MINUTE);
        assert_eq!(limit(Duration::MAX, MINUTE), Duration::MAX);
    }

    #[test]
    fn the_longest_pass_counts_even_if_later_ones_were_short_or_failed() {
        let health = Health::new(MINUTE);
        let trouble = |minutes: u32| health.trouble(Instant::now() + minutes * MINUTE);
        assert!(trouble(0).is_some(), "none has ended");
        health.ended(true, 10 * MINUTE);
        health.ended(false, MINUTE);
        assert!(trouble(0).is_some(), "it failed");
        health.ended(true, MINUTE);
        assert_eq!(trouble(29), None);
        let said = trouble(31).unwrap_or_default();
        assert!(said.contains("1860 s, and at most 1800 s"), "{said}");
    }
}
