//! [`Params`]: the parameters of a request. A parameter that is not known is refused, because it would change nothing.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The parameters of a request.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(params)| Self(params))
            .map_err(|rejection| {
                let detail = rejection.body_text();
                let detail = detail.trim_start_matches("Failed to deserialize query string: ");
                Problem::new(StatusCode::BAD_REQUEST, "invalid parameters", detail)
            })
    }
}
