//! The checks that every request passes before its answer: the host, the page that it comes from, the number of requests.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use crate::access::Reader;
use crate::app::App;
use crate::client::{self, Peer};
use crate::origin::check_site;
use crate::problem::Problem;
use crate::rate::Counted;

/// Checks the host, the site and the rate of the address.
pub(crate) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match refusal(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn refusal(app: &App, request: &Request) -> Result<(), Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    let host = app.hosts.of_request(uri, headers)?;
    check_site(request.method(), uri, headers, &host)?;
    let Some(peer) = request.extensions().get::<Peer>() else {
        return Ok(());
    };
    let address = client::address(*peer, headers, &app.proxies);
    take(app, Counted::Address(address))
}

/// Checks the rate of the token.
pub(crate) async fn check_token(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let reader = request.extensions().get::<Reader>();
    let name = reader.and_then(|reader| reader.0.clone());
    let taken = name.map_or(Ok(()), |name| take(&app, Counted::Token(name)));
    match taken {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Ends a question that takes far longer than MongoDB may work on one command, such as while no server answers.
pub(crate) async fn check_time(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let most = app.limits.max_time.saturating_mul(2);
    match timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::too_late().into_response(),
    }
}

fn take(app: &App, counted: Counted) -> Result<(), Problem> {
    let taken = app.rates.take(counted, Instant::now());
    taken.map_err(|wait| Problem::too_many_requests("more requests than the limit allows", wait))
}
