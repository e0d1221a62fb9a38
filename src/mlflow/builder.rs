//! [`MlflowClientBuilder`]: how to reach a tracking server, one setting at a time or from MLflow's own variables.

use std::fmt;
use std::time::Duration;

use backon::ExponentialBuilder;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, redirect};
use tokio::sync::Semaphore;
use url::Url;

use super::MlflowClient;
use super::connection::{Connection, PAGE_BYTES};
use crate::error::{Error, Result};

const WORKSPACE_HEADER: &str = "X-MLFLOW-WORKSPACE";

/// Settings of an [`MlflowClient`].
#[derive(Clone)]
#[must_use]
pub struct MlflowClientBuilder {
    tracking_uri: String,
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    workspace: Option<String>,
    insecure_tls: bool,
    server_cert: Option<String>,
    client_cert: Option<String>,
    timeout: Duration,
    retries: usize,
    concurrency: usize,
    source: Option<String>,
}

impl MlflowClientBuilder {
    pub(super) fn new(tracking_uri: &str) -> Self {
        Self {
            tracking_uri: tracking_uri.to_owned(),
            username: None,
            password: None,
            token: None,
            workspace: None,
            insecure_tls: false,
            server_cert: None,
            client_cert: None,
            timeout: Duration::from_secs(120),
            retries: 6,
            concurrency: 4,
            source: None,
        }
    }

    /// Takes over what MLflow's own variables and `~/.mlflow/credentials` say.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a value that MLflow would refuse, and for ways to authenticate that only MLflow's
    /// Python client has.
    pub fn environment(mut self) -> Result<Self> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        for name in ["MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_AUTH"] {
            if var(name)
                .is_some_and(|value| !matches!(value.to_lowercase().as_str(), "false" | "0"))
            {
                return Err(Error::unsupported(
                    name,
                    "it names a way to sign requests that lives in MLflow's Python client; use MLFLOW_TRACKING_TOKEN, or a signing proxy",
                ));
            }
        }
        let (file_username, file_password) = credentials_file();
        self.username = var("MLFLOW_TRACKING_USERNAME")
            .or(file_username)
            .or(self.username);
        self.password = var("MLFLOW_TRACKING_PASSWORD")
            .or(file_password)
            .or(self.password);
        self.token = var("MLFLOW_TRACKING_TOKEN").or(self.token);
        self.workspace = var("MLFLOW_WORKSPACE").or(self.workspace);
        self.server_cert = var("MLFLOW_TRACKING_SERVER_CERT_PATH").or(self.server_cert);
        self.client_cert = var("MLFLOW_TRACKING_CLIENT_CERT_PATH").or(self.client_cert);
        if let Some(insecure) = var("MLFLOW_TRACKING_INSECURE_TLS") {
            self.insecure_tls = match insecure.to_lowercase().as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => {
                    return Err(Error::invalid_argument(
                        "MLFLOW_TRACKING_INSECURE_TLS",
                        "it is neither true nor false",
                    ));
                }
            };
        }
        if let Some(seconds) = var("MLFLOW_HTTP_REQUEST_TIMEOUT") {
            let seconds = seconds.parse().ok().filter(|seconds| *seconds > 0);
            let seconds = seconds.ok_or_else(|| {
                Error::invalid_argument(
                    "MLFLOW_HTTP_REQUEST_TIMEOUT",
                    "it is not a number of seconds",
                )
            })?;
            self.timeout = Duration::from_secs(seconds);
        }
        if let Some(retries) = var("MLFLOW_HTTP_REQUEST_MAX_RETRIES") {
            self.retries = retries.parse().map_err(|_| {
                Error::invalid_argument(
                    "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
                    "it is not a number of retries",
                )
            })?;
        }
        Ok(self)
    }

    /// HTTP basic authentication.
    pub fn basic_auth(self, username: &str, password: &str) -> Self {
        Self {
            username: Some(username.to_owned()),
            password: Some(password.to_owned()),
            ..self
        }
    }

    /// HTTP bearer authentication. Basic authentication, where set too, wins, as in MLflow.
    pub fn token(self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self
        }
    }

    /// The workspace of the server.
    pub fn workspace(self, workspace: &str) -> Self {
        Self {
            workspace: Some(workspace.to_owned()),
            ..self
        }
    }

    /// Accepts any certificate of the server.
    pub fn insecure_tls(self, insecure: bool) -> Self {
        Self {
            insecure_tls: insecure,
            ..self
        }
    }

    /// A PEM file with the certificates to trust beside the system's.
    pub fn server_cert(self, path: &str) -> Self {
        Self {
            server_cert: Some(path.to_owned()),
            ..self
        }
    }

    /// A PEM file with a client certificate and its key.
    pub fn client_cert(self, path: &str) -> Self {
        Self {
            client_cert: Some(path.to_owned()),
            ..self
        }
    }

    /// How long the server may be silent; 120 s unless said.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How often a request that failed in passing is sent again; 6 times unless said, over about 30 s.
    pub fn retries(self, retries: usize) -> Self {
        Self { retries, ..self }
    }

    /// How many requests the server is asked at once; 4 unless said.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            ..self
        }
    }

    /// The name under which a mirror records this server; the URL without credentials, and the workspace, unless said.
    pub fn source(self, name: &str) -> Self {
        Self {
            source: Some(name.to_owned()),
            ..self
        }
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the URL is none, or a certificate cannot be used.
    pub fn build(mut self) -> Result<MlflowClient> {
        let base = self.take_base_url()?;
        // Fails where another part of the program has chosen one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("runlineage/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers()?)
            .connect_timeout(self.timeout.min(Duration::from_secs(10)))
            .read_timeout(self.timeout)
            // A redirect would turn a POST into a GET, or hand credentials to another host.
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(self.insecure_tls);
        if let Some(path) = &self.server_cert {
            // A file without any certificate is an empty bundle, which would silently trust nobody more.
            let certificates = Certificate::from_pem_bundle(&read_pem("server certificate", path)?)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    Error::invalid_argument(
                        "server certificate",
                        format!("{path} holds no PEM certificates"),
                    )
                })?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(path) = &self.client_cert {
            let identity =
                Identity::from_pem(&read_pem("client certificate", path)?).map_err(|_| {
                    Error::invalid_argument(
                        "client certificate",
                        format!("{path} does not hold a PEM certificate and its key"),
                    )
                })?;
            builder = builder.identity(identity);
        }
        let http = builder
            .build()
            .map_err(|error| Error::invalid_argument("TLS settings", innermost(&error)))?;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(self.retries)
            .with_jitter();
        let permits = Semaphore::new(self.concurrency);
        let address = base.as_str().trim_end_matches('/');
        let source = self.source.unwrap_or_else(|| match &self.workspace {
            Some(workspace) => format!("{address} workspace {workspace}"),
            None => address.to_owned(),
        });
        let connection = Connection {
            http,
            base,
            source,
            backoff,
            permits,
            page_bytes: Semaphore::new(PAGE_BYTES).into(),
        };
        Ok(MlflowClient {
            connection: connection.into(),
        })
    }

    /// Parses the URL, and moves its credentials to where no error or log shows them.
    fn take_base_url(&mut self) -> Result<Url> {
        let hint =
            "a tracking URI looks like http://localhost:5000 or https://mlflow.example.com/prefix";
        let mut url = Url::parse(self.tracking_uri.trim()).map_err(|error| {
            Error::invalid_argument("tracking URI", format!("it is not a URL ({error}); {hint}"))
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            let reason = format!(
                "its scheme is {:?}, but lineage is read from a tracking server; {hint}",
                url.scheme()
            );
            return Err(Error::invalid_argument("tracking URI", reason));
        }
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8_lossy().into_owned());
        if !url.username().is_empty() {
            self.username = decoded(url.username());
        }
        if let Some(password) = url.password() {
            self.password = decoded(password);
        }
        // Both fail for URLs without a host only.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let authorization = match (&self.username, &self.password, &self.token) {
            (Some(username), Some(password), _) => Some((
                "password",
                format!("Basic {}", BASE64.encode(format!("{username}:{password}"))),
            )),
            (_, _, Some(token)) => Some(("token", format!("Bearer {token}"))),
            _ => None,
        };
        if let Some((argument, value)) = authorization {
            let mut value = HeaderValue::from_str(&value).map_err(|_| {
                Error::invalid_argument(argument, "it holds characters that no HTTP header can")
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(workspace) = &self.workspace {
            let value = HeaderValue::from_str(workspace).map_err(|_| {
                Error::invalid_argument("workspace", "it holds characters that no HTTP header can")
            })?;
            headers.insert(WORKSPACE_HEADER, value);
        }
        Ok(headers)
    }
}

impl fmt::Debug for MlflowClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MlflowClientBuilder")
            .finish_non_exhaustive()
    }
}

fn credentials_file() -> (Option<String>, Option<String>) {
    let Some(home) = std::env::home_dir() else {
        return (None, None);
    };
    let Ok(file) = ini::Ini::load_from_file(home.join(".mlflow/credentials")) else {
        return (None, None);
    };
    let get = |key: &str| file.get_from(Some("mlflow"), key).map(str::to_owned);
    (
        get("mlflow_tracking_username"),
        get("mlflow_tracking_password"),
    )
}

fn read_pem(what: &'static str, path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io {
        doing: format!("cannot read the {what} {path}"),
        source,
    })
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
