//! Stops on signals.

use runlineage::sync::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

/// A token that SIGTERM or SIGINT cancels.
pub(super) fn cancelled_by_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}
