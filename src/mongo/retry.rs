//! Repeats idempotent work on MongoDB while an election or a restart is under way.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR};

/// An election takes seconds, a restart under load up to a minute; what lasts longer is an error.
const PATIENCE: Duration = Duration::from_secs(90);

/// Codes of a server that is not, or no longer, the primary, or is shutting down.
const NOT_PRIMARY: [i32; 9] = [91, 189, 10058, 10107, 11600, 11602, 13435, 13436, 262];

/// Whether a server that refuses a document with this code means its own state, and would take the document at another time.
pub(crate) fn is_of_the_server(code: i32) -> bool {
    // Unreachable, not authorized, locks, time limits, conflicts, interruptions, quotas and full disks.
    const OTHERS: [i32; 16] = [
        6, 7, 13, 24, 46, 50, 63, 64, 89, 112, 202, 8000, 11601, 12501, 13388, 14031,
    ];
    NOT_PRIMARY.contains(&code) || OTHERS.contains(&code)
}

/// Runs idempotent work again, with growing pauses, as long as it fails in a way that passes by itself.
pub(crate) async fn retried<T, F>(work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_total_delay(Some(PATIENCE))
        .with_jitter();
    work.retry(backoff)
        .when(passes)
        .notify(|error, delay| tracing::warn!(%error, ?delay, "asking MongoDB again"))
        .await
}

fn passes(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. } => true,
        ErrorKind::Command(command) => NOT_PRIMARY.contains(&command.code),
        _ => error.contains_label(RETRYABLE_WRITE_ERROR),
    }
}
