//! [`Connection`]: sends requests to a tracking server, with credentials and retries, and turns its answers into errors.

mod answer;
mod network;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use url::Url;

use answer::AnswerErrors;

use super::builder::CompanyProxy;
use super::page_size::PageSize;
use crate::error::{Error, Result};

/// A page over this size is requested again with half as many entries.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// The maximum total size of all pages in memory, in bytes as MLflow sent them. A larger page waits until no other is in memory.
///
/// Pages of the usual size reach this limit only when MongoDB is slower than MLflow.
pub(super) const PAGE_BYTES: usize = 6 << 20;
/// A page of one run cannot be halved. Dataset profiles have made one of 103 MB.
const MAX_ANSWER_BYTES: usize = 1 << 30;
/// A server may send a long `Retry-After`, but a sync that waits looks like one that hangs.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// A whole answer may take the timeout, and one second more per this many bytes. A server that sends less would keep a pass
/// from ever ending.
const MIN_BYTES_PER_SECOND: usize = 8 << 10;

pub(super) struct Connection {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) source: String,
    /// What to do after a 401.
    pub(super) when_refused: String,
    pub(super) proxy: Option<CompanyProxy>,
    pub(super) timeout: Duration,
    pub(super) backoff: ExponentialBuilder,
    pub(super) permits: Semaphore,
    pub(super) page_bytes: Arc<Semaphore>,
}

/// A page's share of the memory for pages; dropping it frees the share.
#[derive(Debug)]
pub(crate) struct PagePermit {
    _held: Option<OwnedSemaphorePermit>,
    /// The size of the page as MLflow sent it.
    pub(super) bytes: usize,
}

/// Whether an answer counts against the memory that all pages share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// The answer waits for a [`PagePermit`].
    Shared,
    /// The answer is usually small, and never waits.
    Own,
}

/// The size limit of an answer, and whether the answer counts against the shared memory.
#[derive(Clone, Copy)]
struct Bound {
    bytes: usize,
    memory: Memory,
}

const SINGLE_ANSWER: Bound = Bound {
    bytes: MAX_ANSWER_BYTES,
    memory: Memory::Own,
};

/// The failure of one attempt.
struct Failure {
    error: Error,
    /// How long the server asks to wait.
    retry_after: Option<Duration>,
    /// There was no connection, or its certificate was refused.
    unconnected: bool,
    /// No retry can succeed before somebody changes a setting.
    is_final: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
            unconnected: false,
            is_final: false,
        }
    }
}

impl Failure {
    /// Whether a smaller answer might have succeeded.
    fn may_depend_on_size(&self) -> bool {
        match &self.error {
            // With 429 or `Retry-After`, the server names another reason.
            Error::Mlflow { status, .. } => *status != 429 && self.retry_after.is_none(),
            _ => !self.unconnected,
        }
    }
}

/// The failed attempt that the next attempt follows.
struct PreviousAttempt<'a> {
    failure: &'a Failure,
    is_last_try: bool,
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
        self.ask(call, |_| {
            (self.http.request(Method::GET, url.clone()), SINGLE_ANSWER)
        })
        .await
        .map(|(answer, _)| answer)
    }

    pub(super) async fn post<A: DeserializeOwned>(
        &self,
        call: &'static str,
        body: &impl Serialize,
    ) -> Result<A> {
        self.ask(call, |_| {
            (self.http.post(self.url(call)).json(body), SINGLE_ANSWER)
        })
        .await
        .map(|(answer, _)| answer)
    }

    /// Like [`get`](Self::get), for the one resource of this id.
    pub(super) async fn get_at<A: DeserializeOwned>(
        &self,
        call: &'static str,
        id: &str,
        query: &[(&str, &str)],
    ) -> Result<A> {
        let mut url = self.url(call);
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        url.query_pairs_mut().extend_pairs(query);
        self.ask(call, |_| {
            (self.http.request(Method::GET, url.clone()), SINGLE_ANSWER)
        })
        .await
        .map(|(answer, _)| answer)
    }

    /// Like [`get`](Self::get), for an answer of at most so many bytes; a larger one ends in [`Error::PageTooLarge`].
    pub(super) async fn get_within<A: DeserializeOwned>(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        bytes: usize,
    ) -> Result<A> {
        let mut url = self.url(call);
        url.query_pairs_mut().extend_pairs(query);
        let bound = Bound {
            bytes,
            memory: Memory::Own,
        };
        self.ask(call, |_| {
            (self.http.request(Method::GET, url.clone()), bound)
        })
        .await
        .map(|(answer, _)| answer)
    }

    /// Asks for a page of the current `size`. Shrinks `size` and asks again when no answer comes, when a gateway refuses the page,
    /// or when the page is too large for this program.
    pub(super) async fn page<A: DeserializeOwned, B: Serialize>(
        &self,
        call: &'static str,
        memory: Memory,
        size: &mut PageSize,
        body: impl Fn(u32) -> B,
    ) -> Result<(A, PagePermit)> {
        loop {
            match self.sized_page(call, memory, size, &body).await {
                Err(Error::PageTooLarge { .. }) if size.halve() => {}
                // This status comes from a gateway, not from MLflow.
                Err(Error::Mlflow { status: 413, .. }) if size.refused() => {}
                Err(error) => return Err(error),
                Ok((page, permit)) => {
                    // A page of twice the size would still fit.
                    size.succeeded(permit.bytes <= MAX_PAGE_BYTES / 2);
                    return Ok((page, permit));
                }
            }
        }
    }

    /// Asks for a page, and shrinks `size` before a retry. A page over its bound ends in [`Error::PageTooLarge`].
    async fn sized_page<A: DeserializeOwned, B: Serialize>(
        &self,
        call: &'static str,
        memory: Memory,
        size: &mut PageSize,
        body: &impl Fn(u32) -> B,
    ) -> Result<(A, PagePermit)> {
        self.ask(call, |failed| {
            if let Some(failed) = failed.filter(|failed| failed.failure.may_depend_on_size()) {
                size.unanswered(failed.is_last_try);
            }
            let bytes = if size.now() > 1 {
                MAX_PAGE_BYTES
            } else {
                MAX_ANSWER_BYTES
            };
            let request = self.http.post(self.url(call)).json(&body(size.now()));
            (request, Bound { bytes, memory })
        })
        .await
    }

    /// The error for an answer that contradicts the request.
    pub(super) fn protocol_error(&self, call: &'static str, what: &str) -> Error {
        Error::MlflowProtocol {
            call,
            url: self.url(call).to_string(),
            answer: format!("the server answered with {what}"),
            source: None,
        }
    }

    /// Sends a request until there is an answer or a permanent error, or no retry is left. `request` builds the request of each
    /// attempt, from the failure of the previous attempt.
    async fn ask<A: DeserializeOwned>(
        &self,
        call: &'static str,
        mut request: impl FnMut(Option<PreviousAttempt<'_>>) -> (reqwest::RequestBuilder, Bound),
    ) -> Result<(A, PagePermit)> {
        let mut delays = self.backoff.build().peekable();
        let (mut next, mut bound) = request(None);
        loop {
            // Never an error: nobody closes the semaphore.
            let permit = self.permits.acquire().await.ok();
            let failure = match self.attempt(call, next, bound, permit).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let repeats = failure.error.is_transient() && !failure.is_final;
            let Some(delay) = delays.next().filter(|_| repeats) else {
                return Err(failure.error);
            };
            let asked_for = failure.retry_after.unwrap_or_default();
            let delay = delay.max(asked_for.min(MAX_RETRY_AFTER));
            tracing::warn!(error = %failure.error, ?delay, "a request to MLflow failed; retrying it after the delay");
            (next, bound) = request(Some(PreviousAttempt {
                failure: &failure,
                is_last_try: delays.peek().is_none(),
            }));
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt<A: DeserializeOwned>(
        &self,
        call: &'static str,
        request: reqwest::RequestBuilder,
        bound: Bound,
        permit: Option<SemaphorePermit<'_>>,
    ) -> Result<(A, PagePermit), Failure> {
        let errors = AnswerErrors {
            connection: self,
            call,
        };
        let response = request
            .send()
            .await
            .map_err(|error| errors.unreachable(error))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let location = response
            .headers()
            .get(reqwest::header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let held = if bound.memory == Memory::Shared && status.is_success() {
            self.reserve(&response, permit).await
        } else {
            None
        };
        let body = self.read(errors, response, bound.bytes).await?;
        if status.is_success() {
            // Serde would read an array as an object without fields, that is as an empty page.
            if body.trim_ascii_start().first() == Some(&b'[') {
                let error = <serde_json::Error as serde::de::Error>::custom("an array");
                return Err(errors.not_json(&body, error).into());
            }
            let answer =
                serde_json::from_slice(&body).map_err(|error| errors.not_json(&body, error))?;
            return Ok((answer, PagePermit::of(held, body.len())));
        }
        if let (true, Some(location)) = (status.is_redirection(), location) {
            let answer = errors.redirected(&location);
            return Err(errors.api_error(status, None, answer).into());
        }
        let error = errors.refused(status, &body);
        Err(Failure {
            retry_after,
            ..error.into()
        })
    }

    /// Waits until there is memory for this answer.
    async fn reserve(
        &self,
        response: &Response,
        permit: Option<SemaphorePermit<'_>>,
    ) -> Option<OwnedSemaphorePermit> {
        // An answer of unknown length reserves all the memory. Answers that each reserve more while they are read could deadlock.
        let length = response
            .content_length()
            .map_or(PAGE_BYTES, |length| length as usize);
        let share = u32::try_from(length.min(PAGE_BYTES)).unwrap_or(u32::MAX);
        if let Ok(held) = self.page_bytes.clone().try_acquire_many_owned(share) {
            return Some(held);
        }
        // Frees the slot of this request: a page in memory may need one for a request of its own before it frees its memory.
        drop(permit);
        self.page_bytes.clone().acquire_many_owned(share).await.ok()
    }

    async fn read(
        &self,
        errors: AnswerErrors<'_>,
        response: Response,
        bound: usize,
    ) -> Result<Vec<u8>, Failure> {
        let too_large = || Error::PageTooLarge {
            call: errors.call,
            bytes: bound,
        };
        let length = response.content_length().unwrap_or_default();
        if length > bound as u64 {
            return Err(too_large().into());
        }
        let mut body = Vec::with_capacity(length as usize);
        let mut chunks = response.bytes_stream();
        let begun = Instant::now();
        loop {
            let earned = (body.len() / MIN_BYTES_PER_SECOND) as u64;
            let allowed = self.timeout + Duration::from_secs(earned);
            let chunk = timeout_at(begun + allowed, chunks.next()).await;
            let Some(chunk) = chunk.map_err(|_| errors.too_slow(body.len(), allowed))? else {
                break;
            };
            let chunk = chunk.map_err(|error| errors.unreachable(error))?;
            if body.len() + chunk.len() > bound {
                return Err(too_large().into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
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
    /// Keeps of the reserved memory only what the answer needs.
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
