//! Repeats idempotent work on MongoDB while an election or a restart is under way.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use mongodb::error::Error;

use super::failure::is_transient;

/// An election takes seconds, a restart under load up to a minute; what lasts longer is an error.
const RETRY_TIMEOUT: Duration = Duration::from_secs(90);

/// Runs idempotent work again, with growing pauses, as long as it fails in a way that passes by itself.
pub(super) async fn retried<T, F>(work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_total_delay(Some(RETRY_TIMEOUT))
        .with_jitter();
    work.retry(backoff)
        .when(is_transient)
        .notify(|error, delay| tracing::warn!(%error, ?delay, "asking MongoDB again"))
        .await
}
