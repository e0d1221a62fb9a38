//! The progress bar of a sync, on stderr, where that is a terminal and no JSON log.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use runlineage::sync::Progress;

use crate::say;

pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        if say::is_json() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner()
            .with_style(style("{spinner} {pos} runs, {per_sec}, {elapsed}{msg}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn show(&self, progress: Progress) {
        // MLflow does not tell how many runs it holds; what the mirror held before is close.
        if progress.expected > 0 && self.0.length().is_none() {
            self.0.set_style(style(
                "{bar:30} {pos}/~{len} runs, {per_sec}, {eta} left{msg}",
            ));
        }
        let mut left = String::new();
        if progress.expected > 0 {
            self.0.set_length(progress.expected.max(progress.seen));
        } else if let Some(time) = time_left(
            progress.experiments_done,
            progress.experiments,
            self.0.elapsed(),
        ) {
            left = format!(", about {} left", HumanDuration(time));
        }
        self.0.set_position(progress.seen);
        self.0.set_message(format!(
            "; {} written; experiments {}/{}{left}",
            progress.written, progress.experiments_done, progress.experiments
        ));
    }

    /// Prints something, such as a log line, without mixing it into the bar.
    pub(crate) fn aside(&self, print: impl FnOnce()) {
        self.0.suspend(print);
        self.0.reset();
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// What the experiments to come take if they are like those that are done; unknown before the first is.
fn time_left(done: u64, all: u64, elapsed: Duration) -> Option<Duration> {
    let each = elapsed.checked_div(u32::try_from(done).ok()?)?;
    each.checked_mul(u32::try_from(all.saturating_sub(done)).ok()?)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::time_left;

    #[test]
    fn experiments_to_come_are_thought_to_take_as_long_as_those_that_are_done() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(time_left(0, 8, minutes(3)), None);
        assert_eq!(time_left(2, 8, minutes(3)), Some(minutes(9)));
        assert_eq!(time_left(8, 8, minutes(3)), Some(minutes(0)));
    }
}
