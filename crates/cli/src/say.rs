//! What is said on stderr, beside the results: as plain lines or, where the log is JSON, as lines of the log.

use std::fmt::Arguments;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal;

/// By this name a filter of the log knows, and lets through, what is said.
pub(crate) const TARGET: &str = "said";

static JSON: AtomicBool = AtomicBool::new(false);

/// Says a line on stderr; where that cannot be written, nobody is there to be told, and the command goes on.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::say::line(format_args!($($line)*))
    };
}

pub(crate) use say;

/// From now on, each line is an object, as the log writes them.
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
        // At once, so that no other line comes between its parts.
        let _ = terminal::stderr().write_all(format!("{line}\n").as_bytes());
    }
}

/// Says an error and each of its causes.
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

/// So many of them: `1 run`, `2 runs`.
pub(crate) fn counted(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}
