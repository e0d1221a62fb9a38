//! [`AnswerErrors`]: what a failed answer of the server means, and what to do about it.

use std::time::Duration;

use reqwest::StatusCode;

use super::{Connection, Failure, MIN_BYTES_PER_SECOND, network};
use crate::error::{Error, MlflowCode};
use crate::mlflow::wire::ApiError;

/// The errors for the answers to one call.
#[derive(Clone, Copy)]
pub(super) struct AnswerErrors<'a> {
    pub(super) connection: &'a Connection,
    pub(super) call: &'static str,
}

impl AnswerErrors<'_> {
    /// The message for a redirect. It leaves out the user, the query and the fragment, where login pages put tokens.
    pub(super) fn redirected(&self, location: &str) -> String {
        let Ok(mut to) = self.connection.url(self.call).join(location) else {
            return "it redirects to a text that is not a URL; is this the root of an MLflow tracking server?".into();
        };
        // Both fail only for URLs without a host.
        let _ = to.set_username("");
        let _ = to.set_password(None);
        to.set_query(None);
        to.set_fragment(None);
        if to.host().is_none() {
            let scheme = to.scheme();
            return format!(
                "it redirects to a URL with the scheme {scheme:?}; set the http or https address of the tracking server as the tracking URI"
            );
        }
        format!("it redirects to {to}; if that is the tracking server, set it as the tracking URI")
    }

    /// The error for an answer that is not a success, with MLflow's message if it has one.
    pub(super) fn refused(&self, status: StatusCode, body: &[u8]) -> Error {
        match serde_json::from_slice::<ApiError>(body) {
            Ok(ApiError {
                error_code,
                message,
            }) => {
                let mut answer = format!("{error_code}: {}", abridged(&message));
                if status == StatusCode::UNAUTHORIZED {
                    answer += &format!("; {}", self.connection.when_refused);
                }
                self.api_error(status, Some(error_code.as_str().into()), answer)
            }
            Err(_) => {
                let answer = format!("{status}{}", self.hint(status, body));
                self.api_error(status, None, answer)
            }
        }
    }

    /// What to do about an error answer that is not MLflow's JSON.
    fn hint(&self, status: StatusCode, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        // MLflow's basic authentication answers these as plain text; all its other errors are JSON.
        let is_mlflows =
            text.starts_with("You are not authenticated") || text == "Permission denied";
        let proxy = self.connection.proxy.as_ref().filter(|_| !is_mlflows);
        let mut hint = match (status.as_u16(), proxy) {
            (401, _) => format!("; {}", self.connection.when_refused),
            (403, None) => {
                "; this user lacks the permission, which an administrator of MLflow can grant"
                    .into()
            }
            (404, _) => "; is this the root of an MLflow tracking server?".into(),
            (407, Some(proxy)) => return format!("; {}", network::wants_credentials(proxy)),
            _ if text.is_empty() || text.starts_with('<') => String::new(),
            _ => format!(": {}", abridged(text)),
        };
        if let Some(proxy) = proxy {
            hint += &format!("; {}", network::answered(proxy));
        }
        hint
    }

    pub(super) fn not_json(&self, body: &[u8], error: serde_json::Error) -> Error {
        let answer = if body.trim_ascii_start().starts_with(b"<") {
            let page = "it answered a web page, not JSON; is this the root of an MLflow tracking server, or is there a login page before it?";
            match &self.connection.proxy {
                Some(proxy) => format!("{page} The request went through the proxy {proxy}."),
                None => page.to_owned(),
            }
        } else {
            "it answered JSON that is truncated or not MLflow's; is this the root of an MLflow tracking server?".to_owned()
        };
        Error::MlflowProtocol {
            call: self.call,
            url: self.connection.url(self.call).to_string(),
            answer,
            source: Some(error.into()),
        }
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> Failure {
        let url = self.connection.url(self.call).to_string();
        let error = error.without_url();
        if error.is_builder() {
            let reason = format!("no valid request can be made of it: {error}");
            return Error::invalid_argument("tracking URI", reason).into();
        }
        let unconnected = error.is_connect();
        let cause = network::Cause::of(
            &error,
            &self.connection.base,
            self.connection.proxy.as_ref(),
        );
        let is_final = cause.is_final;
        let error = Error::MlflowUnreachable {
            call: self.call,
            url,
            source: cause.into(),
        };
        Failure {
            unconnected,
            is_final,
            ..error.into()
        }
    }

    pub(super) fn too_slow(&self, bytes: usize, allowed: Duration) -> Error {
        let rate = MIN_BYTES_PER_SECOND >> 10;
        let said = format!(
            "only {bytes} bytes of the answer arrived in {} s; the limit is MLFLOW_HTTP_REQUEST_TIMEOUT plus a second for every {rate} KiB; check the network, or raise that variable",
            allowed.as_secs()
        );
        Error::MlflowUnreachable {
            call: self.call,
            url: self.connection.url(self.call).to_string(),
            source: said.into(),
        }
    }

    pub(super) fn api_error(
        &self,
        status: StatusCode,
        code: Option<MlflowCode>,
        answer: String,
    ) -> Error {
        Error::Mlflow {
            call: self.call,
            url: self.connection.url(self.call).to_string(),
            status: status.as_u16(),
            code,
            answer,
        }
    }
}

fn abridged(text: &str) -> String {
    text.char_indices()
        .nth(500)
        .map_or_else(|| text.to_owned(), |(end, _)| format!("{}…", &text[..end]))
}
