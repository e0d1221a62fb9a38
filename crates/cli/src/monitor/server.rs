//! The HTTP server of the monitor. It bounds connections, time and memory, so that its clients cannot starve the passes.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// More than Prometheus and some probes need, and far below the limit of file descriptors.
const MAX_CONNECTIONS: usize = 32;

/// For a request and its response.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// For the request line and the headers, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// Serves until the program ends. At the limit, a new connection replaces the oldest one. A normal request takes
/// milliseconds, so the oldest connection is slow or idle.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Probably out of file descriptors: wait until some are closed.
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

/// Answers one request. A kept-alive connection would count against the limit while idle.
async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that left, was too slow, or spoke no HTTP needs no report.
    let _ = timeout(TIME_LIMIT, connection).await;
}
