//! The health of a watch: its last pass succeeded, and the next pass is not overdue.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Leaves room for a slow moment of MLflow, even where passes and intervals are short.
const SHORTEST_LIMIT: Duration = Duration::from_secs(60);

/// The health, from the passes so far.
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

    /// Records a pass that ended now. An incomplete pass is healthy, since a restart would not help.
    pub(super) fn ended(&self, succeeded: bool, took: Duration) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = passes.map_or(took, |passes| passes.longest.max(took));
        *passes = Some(Passes {
            succeeded,
            ended: Instant::now(),
            longest,
        });
    }

    /// Why the watch is unhealthy; `None` if it is healthy.
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
                "a pass is overdue: none has ended for {} s, and at most {} s are expected; check whether MLflow and MongoDB answer",
                since.as_secs(),
                limit.as_secs()
            )
        })
    }

    /// The longest time between the ends of two passes: three times the interval or the longest pass, whichever is longer.
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
    fn the_longest_pass_counts_even_if_later_passes_were_short_or_failed() {
        let health = Health::new(MINUTE);
        let trouble = |minutes: u32| health.trouble(Instant::now() + minutes * MINUTE);
        assert!(trouble(0).is_some(), "no pass has ended");
        health.ended(true, 10 * MINUTE);
        health.ended(false, MINUTE);
        assert!(trouble(0).is_some(), "the last pass failed");
        health.ended(true, MINUTE);
        assert_eq!(trouble(29), None);
        let said = trouble(31).unwrap_or_default();
        assert!(said.contains("1860 s, and at most 1800 s"), "{said}");
    }
}
