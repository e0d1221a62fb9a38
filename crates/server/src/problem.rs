//! [`Problem`]: an error as an answer, in the form of RFC 9457.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not answered, and what to do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem, in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The line of the error in the text of the parameter, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The column of the error in that line, in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// When to try again, in seconds.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            title,
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            line: None,
            column: None,
            retry_after: None,
        }
    }

    /// A parameter that cannot be used.
    pub(crate) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            parameter: Some(name.into()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid parameter", detail)
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token needed",
            "this needs a token; send `Authorization: Bearer TOKEN`, or open the address that `runlineage serve` printed",
        )
    }

    pub(crate) fn misdirected() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown host",
            "this server is not reached by the host of this request; if it is right, start it with --allowed-host HOST",
        )
    }

    pub(crate) fn foreign() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "request of another site",
            "another web page sent this request; only pages of this server may",
        )
    }

    pub(crate) fn too_many_requests(what: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let detail = format!("{what}; try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests", detail).after(seconds)
    }

    pub(crate) fn too_late() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer in time",
            "the answer took longer than this server allows; ask for less",
        )
        .after(5)
    }

    /// An answer that cannot be written in its format.
    pub(crate) fn unwritten() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "answer not written",
            "the answer cannot be written in this format; try another one",
        )
    }

    /// A graph that cannot be drawn, such as one that is too large.
    pub(crate) fn undrawn(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "graph not drawn", reason)
    }

    pub(crate) fn after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.extend(
            self.retry_after
                .map(|seconds| (RETRY_AFTER, seconds.into())),
        );
        response
    }
}

impl From<runlineage::Error> for Problem {
    fn from(error: runlineage::Error) -> Self {
        use runlineage::Error;
        match error {
            Error::InvalidArgument {
                argument,
                reason,
                position,
                ..
            } => Self {
                line: position.map(|position| position.line),
                column: position.map(|position| position.column),
                ..Self::parameter(argument, reason)
            },
            Error::Unsupported { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "not supported", error.to_string())
            }
            // The cause may name the servers behind this one, so only the log has it.
            error => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a question could not be answered");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the mirror cannot be read",
                    error.to_string(),
                )
                .after(5)
            }
        }
    }
}
