//! Messages on stderr: plain lines, or JSON log lines with `--log-format json`.

use std::fmt::Arguments;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal;

/// The log target of messages, which every log filter lets through.
pub(crate) const TARGET: &str = "said";

static JSON: AtomicBool = AtomicBool::new(false);

/// Prints a line to stderr. The command goes on if stderr cannot be written, since nobody would read the error.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::say::line(format_args!($($line)*))
    };
}

pub(crate) use say;

/// Prints messages as JSON log lines from now on.
pub(crate) fn in_json() {
    JSON.store(true, Ordering::Relaxed);
}

pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

pub(crate) fn line(line: Arguments<'_>) {
    if is_json() {
        tracing::info!(target: TARGET, "{line}");
    } else {
        // One write, so that lines of other threads do not mix into it.
        let _ = terminal::stderr().write_all(format!("{line}\n").as_bytes());
    }
}

/// Prints an error and each of its causes.
pub(crate) fn error(error: &anyhow::Error) {
    if is_json() {
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        tracing::error!(target: TARGET, causes = causes.join("; "), "{error}");
        return;
    }
    say!("error: {error}");
    for cause in error.chain().skip(1) {
        say!("  caused by: {cause}");
    }
}

/// A count with its noun: `1 run`, `2 runs`.
pub(crate) fn counted(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}
