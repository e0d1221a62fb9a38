//! `/api/v1/session`: a browser exchanges a token for a cookie.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{COOKIE, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::cookie;
use crate::app::App;
use crate::problem::Problem;
use crate::session::IDLE;

/// A token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    /// As `runlineage serve` printed it.
    token: String,
}

/// Begins a session. The cookie of the answer takes the place of the token until the server stops.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "beginSession",
    request_body = TokenBody,
    responses(
        (status = 204, description = "The answer sets a cookie."),
        (status = 400, description = "The body is not a token in JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is not known.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
    ),
    security(())
)]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Json<TokenBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(TokenBody { token }) = body.map_err(|rejection| refused(&rejection))?;
    let reader = app.tokens.reader(&token);
    let reader = reader.ok_or_else(Problem::unauthorized)?;
    let id = app.sessions.begin(reader).map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no session",
            error.to_string(),
        )
    })?;
    let value = format!("{}={}", app.cookie, id.secret());
    Ok(cookie_answer(&headers, &value, IDLE.as_secs()))
}

/// Ends the session of the cookie.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    operation_id = "endSession",
    responses((status = 204, description = "The cookie is no longer valid.")),
    security(())
)]
pub(crate) async fn end(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if headers.contains_key(COOKIE)
        && let Some(id) = cookie(&headers, &app.cookie)
    {
        app.sessions.end(id);
    }
    cookie_answer(&headers, &format!("{}=", app.cookie), 0)
}

fn cookie_answer(headers: &HeaderMap, value: &str, seconds: u64) -> Response {
    // Browsers name the origin of each POST. Behind a proxy with TLS, the cookie must not travel without it.
    let is_https = headers
        .get(ORIGIN)
        .is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!("{value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The rejection's own text may repeat a part of the body.
fn refused(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "no JSON",
            "send the token as JSON, with `Content-Type: application/json`",
        ),
        JsonRejection::BytesRejection(_) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too large",
            "the body is larger than any token",
        ),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "no token",
            "send an object with the text `token`: {\"token\": \"rl_…\"}",
        ),
    }
}
