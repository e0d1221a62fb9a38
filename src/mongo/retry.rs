//! Retries idempotent operations during an election or a restart of MongoDB.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use mongodb::error::Error;

use super::failure::is_transient;

/// An election takes seconds, a restart under load up to a minute. A longer outage is an error.
const RETRY_TIMEOUT: Duration = Duration::from_secs(90);

/// Retries an idempotent operation with exponential backoff while its error is transient.
pub(super) async fn retried<T, F>(operation: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_total_delay(Some(RETRY_TIMEOUT))
        .with_jitter();
    operation
        .retry(backoff)
        .when(is_transient)
        .notify(|error, delay| tracing::warn!(%error, ?delay, "a MongoDB operation failed; retrying it after the delay"))
        .await
}
