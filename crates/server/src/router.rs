//! The routes, and the checks around them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use crate::app::App;
use crate::problem::Problem;
use crate::{access, api, assets, etag, guard, headers, monitor};

/// No request has a body but the one that begins a session.
const LARGEST_BODY: usize = 4 * 1024;

/// Every route, with the checks that its requests pass.
pub(crate) fn router(app: Arc<App>) -> Router {
    let data = Router::from(api::data())
        .layer(from_fn_with_state(Arc::clone(&app), guard::check_time))
        .layer(from_fn_with_state(Arc::clone(&app), guard::check_token))
        .layer(from_fn_with_state(Arc::clone(&app), access::check));
    // The body of a request may come slowly, or never.
    let open =
        Router::from(api::open()).layer(from_fn_with_state(Arc::clone(&app), guard::check_time));
    let pages = Router::new()
        .route("/", get(assets::page))
        .route("/api", get(assets::api_page))
        .route("/assets/{version}/{name}", get(assets::asset))
        .route("/health", get(monitor::health))
        .route("/ready", get(monitor::ready))
        .route("/metrics", get(monitor::show));
    // The layer that is added last sees a request first.
    Router::new()
        .merge(data)
        .merge(open)
        .merge(pages)
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(etag::add))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Arc::clone(&app), guard::check))
        .layer(from_fn(headers::add))
        .layer(from_fn(monitor::count))
        .with_state(app)
}

async fn unknown() -> Response {
    Problem::not_found("there is no such page; the API is described at /api").into_response()
}

async fn other_method() -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method not allowed",
        "this address does not take that method; the API is described at /api",
    )
    .into_response()
}
