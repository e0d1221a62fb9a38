//! The connections. Each is bounded in time and memory, so that slow clients cannot starve the others.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

use crate::client::Peer;

/// Far below the usual limit of file descriptors.
const MAX_CONNECTIONS: usize = 500;
/// For the request line and the headers, in bytes. A query may be long.
const LARGEST_HEAD: usize = 64 * 1024;
/// A client has this time to send a request, and between two requests.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// When the server stops, answers that have begun have this time.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Serves until `stop` is ready, then finishes the answers that have begun. A client that takes nothing of an answer for the time of
/// `idle` is cut off, and what it asked for stops.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    idle: Duration,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&free).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, address)) = accepted else {
            // Probably out of file descriptors: wait until some are closed.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(idle));
        let answering = answer(stream, Peer(address), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            answering.await;
            drop(place);
        });
    }
    // New clients are refused from now on.
    drop(listener);
    let _ = timeout(LAST_ANSWERS, graceful.shutdown()).await;
}

async fn answer(stream: TimeoutStream<TcpStream>, peer: Peer, router: Router, watcher: Watcher) {
    // Only a matter of speed.
    let _ = stream.get_ref().set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // A client that left, was too slow, or spoke no HTTP needs no report.
    let _ = watcher.watch(connection).await;
}
