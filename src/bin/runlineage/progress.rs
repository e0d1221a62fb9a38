//! The progress bar of a sync, on stderr, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use runlineage::sync::Progress;

pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
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
        if progress.expected > 0 {
            self.0.set_length(progress.expected.max(progress.seen));
        }
        self.0.set_position(progress.seen);
        self.0.set_message(format!(
            "; {} written; experiments {}/{}",
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
