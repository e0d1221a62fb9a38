//! [`Credentials`]: the `Authorization` header, and what to do when the server answers 401.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;

use super::setting::Setting;
use crate::error::{Error, Result};

#[derive(Clone, Default)]
pub(super) struct Credentials {
    pub(super) username: Option<Setting>,
    pub(super) password: Option<Setting>,
    pub(super) token: Option<Setting>,
}

impl Credentials {
    /// The `Authorization` header, as MLflow's client sends it: a user name and a password take precedence over a token, and one
    /// without the other is not sent.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>> {
        let parts = [
            (&self.username, "the user name"),
            (&self.password, "the password"),
            (&self.token, "the token"),
        ];
        for (setting, what) in parts {
            setting.as_ref().map_or(Ok(()), |set| set.check(what))?;
        }
        let (origin, value) = match (&self.username, &self.password, &self.token) {
            (Some(username), Some(password), _) => {
                // The server would read the text after the colon as the password.
                if username.value.contains(':') {
                    let reason = "the user name holds a colon, which basic authentication cannot send; use MLFLOW_TRACKING_TOKEN";
                    return Err(Error::invalid_argument(username.origin, reason));
                }
                let pair = format!("{}:{}", username.value, password.value);
                (password.origin, format!("Basic {}", BASE64.encode(pair)))
            }
            (_, _, Some(token)) => (token.origin, format!("Bearer {}", token.value)),
            _ => return Ok(None),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            Error::invalid_argument(
                origin,
                "it has characters that an HTTP header cannot hold; remove them",
            )
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// What to do after a 401, by whether credentials are missing, incomplete or refused.
    pub(super) fn when_refused(&self) -> String {
        const INSTEAD: &str =
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
        match (&self.username, &self.password, &self.token) {
            (Some(username), Some(password), token) => {
                let mut hint = format!(
                    "the server refused the user name (from {}) or the password (from {}); check both",
                    username.origin, password.origin
                );
                if username.origin == super::OF_URI {
                    hint += ", or remove them from the URI to use MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD";
                }
                if password.value.trim() != password.value {
                    hint += "; the password begins or ends with white space";
                }
                if let Some(token) = token {
                    hint += &format!(
                        "; the token (from {}) was not sent, because a user name and a password take precedence",
                        token.origin
                    );
                }
                hint
            }
            (_, _, Some(token)) => format!(
                "the server refused the token (from {}); check whether it is mistyped or expired",
                token.origin
            ),
            (Some(username), None, None) => format!(
                "a user name is set (from {}) but no password, so neither was sent; set MLFLOW_TRACKING_PASSWORD too",
                username.origin
            ),
            (None, Some(password), None) => format!(
                "a password is set (from {}) but no user name, so neither was sent; set MLFLOW_TRACKING_USERNAME too",
                password.origin
            ),
            (None, None, None) => format!("no credentials are set; {INSTEAD}"),
        }
    }
}
