//! Reads settings from MLflow's own variables and `~/.mlflow/credentials`.

use std::path::Path;
use std::time::Duration;

use super::MlflowClientBuilder;
use super::setting::{Setting, password, secret, trimmed, variable};
use crate::error::{Error, Result};

const CREDENTIALS_FILE: &str = "~/.mlflow/credentials";

impl MlflowClientBuilder {
    /// Takes the settings of MLflow's own variables and of `~/.mlflow/credentials`. `MLFLOW_TRACKING_PASSWORD_FILE` and
    /// `MLFLOW_TRACKING_TOKEN_FILE` may each name a file that holds the secret, which keeps it out of the environment.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a value that MLflow would refuse. [`Error::Unsupported`] for ways to authenticate that only
    /// MLflow's Python client has.
    pub fn environment(mut self) -> Result<Self> {
        for name in ["MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_AUTH"] {
            let value = variable(name)?.map(|set| set.value.to_lowercase());
            if value.is_some_and(|value| !matches!(value.as_str(), "false" | "0")) {
                return Err(Error::unsupported(
                    name,
                    "it selects a way to sign requests that only MLflow's Python client has; use MLFLOW_TRACKING_TOKEN, or a signing proxy",
                ));
            }
        }
        let (file_username, file_password) = credentials_file();
        let credentials = &mut self.credentials;
        credentials.username = variable("MLFLOW_TRACKING_USERNAME")?
            .or(file_username)
            .or(credentials.username.take());
        credentials.password =
            password("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_PASSWORD_FILE")?
                .or(file_password)
                .or(credentials.password.take());
        credentials.token = secret("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_TOKEN_FILE")?
            .or(credentials.token.take());
        self.workspace = variable("MLFLOW_WORKSPACE")?.or(self.workspace);
        self.server_cert = variable("MLFLOW_TRACKING_SERVER_CERT_PATH")?.or(self.server_cert);
        for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            self.bundles.extend(variable(name)?);
        }
        self.client_cert = variable("MLFLOW_TRACKING_CLIENT_CERT_PATH")?.or(self.client_cert);
        if let Some(insecure) = variable("MLFLOW_TRACKING_INSECURE_TLS")? {
            self.insecure_tls = match insecure.value.to_lowercase().as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => {
                    return Err(Error::invalid_argument(
                        insecure.origin,
                        "its value is neither true nor false; set one of the two",
                    ));
                }
            };
        }
        if let Some(seconds) = variable("MLFLOW_HTTP_REQUEST_TIMEOUT")? {
            let parsed = seconds.value.parse::<u32>().ok();
            let parsed = parsed.filter(|seconds| *seconds > 0);
            let parsed = parsed.ok_or_else(|| {
                Error::invalid_argument(
                    seconds.origin,
                    "its value is not a number of seconds; set a whole number such as 120",
                )
            })?;
            self.timeout = Duration::from_secs(parsed.into());
        }
        if let Some(retries) = variable("MLFLOW_HTTP_REQUEST_MAX_RETRIES")? {
            self.retries = retries.value.parse().map_err(|_| {
                Error::invalid_argument(
                    retries.origin,
                    "its value is not a number of retries; set a whole number such as 7",
                )
            })?;
        }
        Ok(self)
    }
}

fn credentials_file() -> (Option<Setting>, Option<Setting>) {
    // Not `home_dir`: without HOME, it asks the C library, which loads modules of the system's user database for an unknown user, such
    // as systemd's dynamic ones. A static program crashes there.
    let Some(home) = std::env::var_os("HOME") else {
        return (None, None);
    };
    let file = Path::new(&home).join(".mlflow/credentials");
    let Ok(file) = ini::Ini::load_from_file(file) else {
        return (None, None);
    };
    let get = |key: &str| {
        let value = file.get_from(Some("mlflow"), key).map(trimmed)?;
        (!value.is_empty()).then(|| Setting::new(value, CREDENTIALS_FILE))
    };
    (
        get("mlflow_tracking_username"),
        get("mlflow_tracking_password"),
    )
}
