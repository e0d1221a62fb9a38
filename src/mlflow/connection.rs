//! One HTTP connection to a tracking server: credentials, retries, and errors that say what was answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::StreamExt;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use url::Url;

use super::wire::{ApiError, RunsPage, SearchRuns};
use crate::error::{Error, MlflowCode, Result};

/// A page over this is asked for again in halves.
pub(super) const MAX_PAGE_BYTES: usize = 64 << 20;
/// What all pages that wait, are parsed or are saved may take together, counted by the bytes that MLflow sent; a larger one
/// is alone. Pages of the usual size fill it only where MongoDB is slower than MLflow.
pub(super) const PAGE_BYTES: usize = 6 << 20;
/// A page of one run cannot be halved; dataset profiles have made one of 103 MB.
const MAX_ANSWER_BYTES: usize = 1 << 30;
/// A server may ask to be left alone for long; a sync that waits looks like one that hangs.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

pub(super) struct Connection {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) source: String,
    pub(super) backoff: ExponentialBuilder,
    pub(super) permits: Semaphore,
    pub(super) page_bytes: Arc<Semaphore>,
}

/// A page's part of the memory that all pages share; dropping it gives that back.
#[derive(Debug)]
pub(crate) struct PagePermit {
    _held: Option<OwnedSemaphorePermit>,
    /// The page as MLflow sent it.
    pub(super) bytes: usize,
}

/// How much of an answer is read, and whether it has to wait for a [`PagePermit`].
#[derive(Clone, Copy)]
struct Bound {
    bytes: usize,
    needs_permit: bool,
}

const SINGLE_ANSWER: Bound = Bound {
    bytes: MAX_ANSWER_BYTES,
    needs_permit: false,
};

/// What one attempt failed with, and when the server asks to be asked again.
struct Failure {
    error: Error,
    retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl Connection {
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) async fn get<A: DeserializeOwned>(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
    ) -> Result<A> {
        let mut url = self.url(call);
        url.query_pairs_mut().extend_pairs(query);
        self.ask(
            call,
            || self.http.request(Method::GET, url.clone()),
            SINGLE_ANSWER,
        )
        .await
        .map(|(answer, _)| answer)
    }

    pub(super) async fn post<A: DeserializeOwned>(
        &self,
        call: &'static str,
        body: &impl Serialize,
    ) -> Result<A> {
        self.ask(
            call,
            || self.http.post(self.url(call)).json(body),
            SINGLE_ANSWER,
        )
        .await
        .map(|(answer, _)| answer)
    }

    /// Like `post`; a page over its bound ends in [`Error::PageTooLarge`].
    pub(super) async fn search_runs(
        &self,
        request: &SearchRuns<'_>,
    ) -> Result<(RunsPage, PagePermit)> {
        let bound = Bound {
            bytes: if request.max_results > 1 {
                MAX_PAGE_BYTES
            } else {
                MAX_ANSWER_BYTES
            },
            needs_permit: true,
        };
        self.ask(
            "runs/search",
            || self.http.post(self.url("runs/search")).json(request),
            bound,
        )
        .await
    }

    /// The error for an answer that contradicts the request.
    pub(super) fn protocol_error(&self, call: &'static str, what: &str) -> Error {
        Error::MlflowProtocol {
            call,
            url: self.url(call).to_string(),
            answer: format!("the server answered {what}"),
            source: None,
        }
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        call: &'static str,
        request: impl Fn() -> reqwest::RequestBuilder,
        bound: Bound,
    ) -> Result<(A, PagePermit)> {
        let attempt = || async {
            // The semaphore is never closed.
            let permit = self.permits.acquire().await.ok();
            self.attempt(call, request(), bound, permit).await
        };
        attempt
            .retry(self.backoff)
            .when(|failure: &Failure| failure.error.is_transient())
            .adjust(|failure, delay| match failure.retry_after {
                Some(asked) => delay.map(|delay| delay.max(asked.min(MAX_RETRY_AFTER))),
                None => delay,
            })
            .notify(|failure, delay| tracing::warn!(error = %failure.error, ?delay, "asking MLflow again"))
            .await
            .map_err(|failure| failure.error)
    }

    async fn attempt<A: DeserializeOwned>(
        &self,
        call: &'static str,
        request: reqwest::RequestBuilder,
        bound: Bound,
        permit: Option<SemaphorePermit<'_>>,
    ) -> Result<(A, PagePermit), Failure> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(call, error))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let location = response
            .headers()
            .get(reqwest::header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let held = if bound.needs_permit && status.is_success() {
            self.reserve(&response, permit).await
        } else {
            None
        };
        let body = self.read(call, response, bound.bytes).await?;
        if status.is_success() {
            // Serde reads an array as an object without fields, which would pass for an empty page.
            if body.trim_ascii_start().first() == Some(&b'[') {
                let error = <serde_json::Error as serde::de::Error>::custom("an array");
                return Err(self.not_json(call, &body, error).into());
            }
            let answer =
                serde_json::from_slice(&body).map_err(|error| self.not_json(call, &body, error))?;
            return Ok((answer, PagePermit::of(held, body.len())));
        }
        if let (true, Some(location)) = (status.is_redirection(), location) {
            let answer = self.redirected(call, &location);
            return Err(self.api_error(call, status, None, answer).into());
        }
        Err(Failure {
            error: self.refused(call, status, &body),
            retry_after,
        })
    }

    /// Where a redirect leads to, without what may be a secret: a login page is told the whole request, or a token.
    fn redirected(&self, call: &'static str, location: &str) -> String {
        let Ok(mut to) = self.url(call).join(location) else {
            return "it redirects to what is not a URL; is this the root of an MLflow tracking server?".into();
        };
        // Both fail for URLs without a host only.
        let _ = to.set_username("");
        let _ = to.set_password(None);
        to.set_query(None);
        to.set_fragment(None);
        if to.host().is_none() {
            let scheme = to.scheme();
            return format!(
                "it redirects to a URL with the scheme {scheme:?}, which is no tracking server's"
            );
        }
        format!("it redirects to {to}; give the address it redirects to as the tracking URI")
    }

    /// Waits until the memory for this answer is free.
    async fn reserve(
        &self,
        response: &Response,
        permit: Option<SemaphorePermit<'_>>,
    ) -> Option<OwnedSemaphorePermit> {
        // One of unknown length takes it all until it has been read: to ask for more on the way could wait for ever.
        let length = response
            .content_length()
            .map_or(PAGE_BYTES, |length| length as usize);
        let share = u32::try_from(length.min(PAGE_BYTES)).unwrap_or(u32::MAX);
        if let Ok(held) = self.page_bytes.clone().try_acquire_many_owned(share) {
            return Some(held);
        }
        // MLflow has answered. Whoever gives memory back may have to ask MLflow for something first.
        drop(permit);
        self.page_bytes.clone().acquire_many_owned(share).await.ok()
    }

    async fn read(
        &self,
        call: &'static str,
        response: Response,
        bound: usize,
    ) -> Result<Vec<u8>, Failure> {
        let too_large = || Error::PageTooLarge { call, bytes: bound };
        let length = response.content_length().unwrap_or_default();
        if length > bound as u64 {
            return Err(too_large().into());
        }
        let mut body = Vec::with_capacity(length as usize);
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.unreachable(call, error))?;
            if body.len() + chunk.len() > bound {
                return Err(too_large().into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The error for an answer that is not a success, with MLflow's own words where it has them.
    fn refused(&self, call: &'static str, status: StatusCode, body: &[u8]) -> Error {
        match serde_json::from_slice::<ApiError>(body) {
            Ok(ApiError {
                error_code,
                message,
            }) => {
                let answer = format!("{error_code}: {}", abridged(&message));
                self.api_error(call, status, Some(error_code.as_str().into()), answer)
            }
            Err(_) => {
                let answer = format!("{status}{}", self.hint(status, body));
                self.api_error(call, status, None, answer)
            }
        }
    }

    fn hint(&self, status: StatusCode, body: &[u8]) -> String {
        match status.as_u16() {
            401 => "; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN".into(),
            403 => "; this user may not do that".into(),
            404 => "; is this the root of an MLflow tracking server?".into(),
            _ => {
                let text = String::from_utf8_lossy(body);
                let text = text.trim();
                if text.is_empty() || text.starts_with('<') { String::new() } else { format!(": {}", abridged(text)) }
            }
        }
    }

    fn not_json(&self, call: &'static str, body: &[u8], error: serde_json::Error) -> Error {
        let answer = if body.trim_ascii_start().starts_with(b"<") {
            "it answered a web page, not JSON; is this the root of an MLflow tracking server, or does a login page stand before it?"
        } else {
            "it answered JSON that is cut off or not MLflow's"
        };
        Error::MlflowProtocol {
            call,
            url: self.url(call).to_string(),
            answer: answer.to_owned(),
            source: Some(error.into()),
        }
    }

    fn unreachable(&self, call: &'static str, error: reqwest::Error) -> Error {
        let url = self.url(call).to_string();
        if error.is_builder() {
            let reason = format!("no request can be made of it: {}", error.without_url());
            return Error::invalid_argument("tracking URI", reason);
        }
        Error::MlflowUnreachable {
            call,
            url,
            source: error.without_url().into(),
        }
    }

    fn api_error(
        &self,
        call: &'static str,
        status: StatusCode,
        code: Option<MlflowCode>,
        answer: String,
    ) -> Error {
        Error::Mlflow {
            call,
            url: self.url(call).to_string(),
            status: status.as_u16(),
            code,
            answer,
        }
    }

    fn url(&self, call: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/api/2.0/mlflow/{call}",
            self.base.path().trim_end_matches('/')
        ));
        url
    }
}

impl PagePermit {
    /// Gives back what the answer turned out not to need.
    fn of(mut held: Option<OwnedSemaphorePermit>, bytes: usize) -> Self {
        if let Some(held) = &mut held {
            drop(held.split(held.num_permits().saturating_sub(bytes)));
        }
        Self { _held: held, bytes }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(
        at.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

fn abridged(text: &str) -> String {
    text.char_indices()
        .nth(500)
        .map_or_else(|| text.to_owned(), |(end, _)| format!("{}…", &text[..end]))
}
