//! The progress bar on stderr. It is hidden if stderr is not a terminal or holds a JSON log.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use runlineage::graph::{DiffProgress, WalkProgress};
use runlineage::sync::Progress;

use crate::say;

const WITH_TOTAL: &str = "{bar:30} {pos}/~{len} runs, {rate}, {eta} left{msg}";
const WITHOUT_TOTAL: &str = "{spinner} {pos} runs, {rate}, {elapsed}{msg}";
const WALK: &str = "{spinner} walking: {msg} ({elapsed})";
const BETWEEN_PASSES: &str = "{spinner} waiting for the next pass";

pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        if say::is_json() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_style(style(WITHOUT_TOTAL));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn show(&self, progress: Progress) {
        let mut left = String::new();
        // MLflow does not count its runs, so a full pass expects as many as are mirrored. A quick pass expects none.
        if progress.expected > 0 {
            self.0.set_style(style(WITH_TOTAL));
            self.0.set_length(progress.expected.max(progress.seen));
        } else {
            self.0.set_style(style(WITHOUT_TOTAL));
            let elapsed = self.0.elapsed();
            if let Some(time) = time_left(progress.experiments_done, progress.experiments, elapsed)
            {
                left = format!(", about {} left", HumanDuration(time));
            }
        }
        self.0.set_position(progress.seen);
        self.0.set_message(format!(
            "; {} written; experiments {}/{}{left}",
            progress.written, progress.experiments_done, progress.experiments
        ));
    }

    /// Prints while the current pass goes on; the bar continues below.
    pub(crate) fn print_during_pass(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }

    /// Prints the result of a pass. Then the bar shows that it waits for the next pass.
    pub(crate) fn print_after_pass(&self, print: impl FnOnce()) {
        self.0.suspend(print);
        self.0.reset();
        self.0.unset_length();
        self.0.set_message("");
        self.0.set_style(style(BETWEEN_PASSES));
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// The progress of a walk through lineage. A walk that ends soon shows none.
#[derive(Clone)]
pub(crate) struct WalkBar(ProgressBar);

impl WalkBar {
    const SHOWN_AFTER: Duration = Duration::from_millis(500);

    pub(crate) fn new() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Tells how far the walk is.
    pub(crate) fn show(&self, progress: WalkProgress) {
        let WalkProgress {
            depth,
            nodes,
            edges,
            ..
        } = progress;
        let levels = say::counted(depth, "level");
        self.0
            .set_message(format!("{levels}, {nodes} nodes, {edges} edges"));
    }

    /// Tells how far the comparison of two upstreams is.
    pub(crate) fn show_pairs(&self, progress: DiffProgress) {
        let levels = say::counted(progress.depth, "level");
        self.0
            .set_message(format!("{levels}, {} pairs of runs", progress.pairs));
    }

    /// Awaits the walk, with the bar from half a second on.
    pub(crate) async fn during<T>(&self, walk: impl Future<Output = T>) -> T {
        let mut walk = std::pin::pin!(walk);
        if let Ok(walked) = tokio::time::timeout(Self::SHOWN_AFTER, &mut walk).await {
            return walked;
        }
        if !say::is_json() {
            self.0.set_style(style(WALK));
            self.0.set_draw_target(ProgressDrawTarget::stderr());
            self.0.enable_steady_tick(Duration::from_millis(200));
        }
        let walked = walk.await;
        self.0.finish_and_clear();
        walked
    }
}

/// The time for the remaining experiments if they take as long as those that are done. `None` before the first is done.
fn time_left(done: u64, all: u64, elapsed: Duration) -> Option<Duration> {
    let each = elapsed.checked_div(u32::try_from(done).ok()?)?;
    each.checked_mul(u32::try_from(all.saturating_sub(done)).ok()?)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "rate",
            |state: &ProgressState, text: &mut dyn fmt::Write| {
                // The bar is cosmetic.
                let _ = text.write_str(&rate(state.per_sec()));
            },
        )
}

/// A rate such as `9.9/s` or `1235/s`.
fn rate(per_second: f64) -> String {
    if per_second < 10.0 {
        format!("{per_second:.1}/s")
    } else {
        format!("{per_second:.0}/s")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{rate, time_left};

    #[test]
    fn the_time_left_assumes_experiments_of_equal_length() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(time_left(0, 8, minutes(3)), None);
        assert_eq!(time_left(2, 8, minutes(3)), Some(minutes(9)));
        assert_eq!(time_left(8, 8, minutes(3)), Some(minutes(0)));
    }

    #[test]
    fn a_rate_is_rounded() {
        let rates = [0.0, 0.25, 9.94, 11.0159, 1234.5678].map(rate);
        assert_eq!(rates, ["0.0/s", "0.2/s", "9.9/s", "11/s", "1235/s"]);
    }
}
