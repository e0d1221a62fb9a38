//! [`Schedule`]: which pass of a watch is due next, and when.

use std::time::{Duration, Instant};

use super::PassKind;

/// The pause after a pass that failed; each further failure doubles it.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// The kind and the time of the next pass, by the results of the passes before.
#[derive(Debug)]
pub(super) struct Schedule {
    every: Duration,
    full_every: Duration,
    last_full: Option<Instant>,
    failures: u32,
}

impl Schedule {
    pub(super) fn new(every: Duration, full_every: Duration) -> Self {
        Self {
            every,
            full_every,
            last_full: None,
            failures: 0,
        }
    }

    pub(super) fn kind(&self, now: Instant) -> PassKind {
        let is_recent = |last: Instant| now.saturating_duration_since(last) < self.full_every;
        if self.last_full.is_some_and(is_recent) {
            PassKind::Quick
        } else {
            PassKind::Full
        }
    }

    /// Notes the end of a pass.
    ///
    /// A full pass that left experiments incomplete counts as made: to repeat it at once would hardly decide more.
    pub(super) fn ended(&mut self, kind: PassKind, at: Instant, succeeded: bool) {
        if !succeeded {
            self.failures = self.failures.saturating_add(1);
            return;
        }
        self.failures = 0;
        if kind == PassKind::Full {
            self.last_full = Some(at);
        }
    }

    /// How long to wait after the end of the last pass. MLflow has this pause even if passes take long.
    pub(super) fn pause(&self) -> Duration {
        match self.failures {
            0 => self.every,
            failures => {
                let doubled = 2_u32.saturating_pow(failures - 1);
                RETRY_PAUSE.saturating_mul(doubled).min(self.every)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{PassKind, Schedule};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_full_pass_is_due_first_and_again_after_its_interval() {
        let mut schedule = Schedule::new(MINUTE, 60 * MINUTE);
        let start = Instant::now();
        assert_eq!(schedule.kind(start), PassKind::Full);
        schedule.ended(PassKind::Full, start, true);
        assert_eq!(schedule.kind(start + 59 * MINUTE), PassKind::Quick);
        schedule.ended(PassKind::Quick, start + 59 * MINUTE, true);
        assert_eq!(schedule.kind(start + 60 * MINUTE), PassKind::Full);
    }

    #[test]
    fn a_full_pass_that_failed_is_still_due() {
        let mut schedule = Schedule::new(MINUTE, 60 * MINUTE);
        let start = Instant::now();
        schedule.ended(PassKind::Full, start, true);
        schedule.ended(PassKind::Full, start + 60 * MINUTE, false);
        assert_eq!(schedule.kind(start + 61 * MINUTE), PassKind::Full);
    }

    #[test]
    fn a_failed_pass_is_retried_soon_and_then_less_often_but_never_later_than_a_regular_pass() {
        let seconds = Duration::from_secs;
        let pauses = |every: Duration| {
            let mut schedule = Schedule::new(every, 60 * MINUTE);
            let mut pauses = vec![schedule.pause()];
            for _ in 0..4 {
                schedule.ended(PassKind::Quick, Instant::now(), false);
                pauses.push(schedule.pause());
            }
            schedule.ended(PassKind::Quick, Instant::now(), true);
            pauses.push(schedule.pause());
            pauses
        };
        assert_eq!(
            pauses(MINUTE),
            [60, 10, 20, 40, 60, 60].map(seconds),
            "a minute"
        );
        assert_eq!(pauses(seconds(5)), [5; 6].map(seconds), "5 s");
    }
}
