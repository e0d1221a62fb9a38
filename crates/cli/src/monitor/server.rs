//! The HTTP server of a monitor, bounded in all that strangers could take of it: passes need the descriptors.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// More than a Prometheus and some probes have at once; far fewer than a process may have descriptors.
const MAX_CONNECTIONS: usize = 32;

/// For a request and its answer, from the first byte to the last.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// For the line of a request and its headers.
const LARGEST_HEAD: usize = 16 * 1024;

/// Answers for as long as the program runs. Where all connections are taken, the oldest one is closed for a new one: an
/// honest request takes milliseconds, so that the oldest one is slow or idle.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is left; others may give theirs back.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        connections.retain(|connection| !connection.is_finished());
        while connections.len() >= MAX_CONNECTIONS {
            if let Some(oldest) = connections.pop_front() {
                oldest.abort();
            }
        }
        let answering = answer(stream, router.clone());
        connections.push_back(tokio::spawn(answering).abort_handle());
    }
}

/// One request: a connection that is kept open would hold its place for nothing.
async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whoever asked is gone, too slow, or spoke no HTTP: nobody is there to be told.
    let _ = timeout(TIME_LIMIT, connection).await;
}
