//! [`MlflowClientBuilder`]: the settings of a client, given one by one or read from MLflow's own variables.

mod credentials;
mod environment;
mod proxy;
mod setting;
mod tracking_uri;
mod trust;

use std::fmt;
use std::time::Duration;

use backon::ExponentialBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Proxy, redirect};
use tokio::sync::Semaphore;
use url::Url;

use super::MlflowClient;
use credentials::Credentials;
pub(super) use proxy::CompanyProxy;
use proxy::Route;
use setting::Setting;
use trust::Trust;

use super::connection::{Connection, PAGE_BYTES};
use crate::error::{Error, Result};

/// The name that errors give to the origin of credentials in the URI.
const OF_URI: &str = "tracking URI";
const WORKSPACE_HEADER: &str = "X-MLFLOW-WORKSPACE";

/// Settings of an [`MlflowClient`].
#[derive(Clone)]
#[must_use]
pub struct MlflowClientBuilder {
    tracking_uri: String,
    credentials: Credentials,
    workspace: Option<Setting>,
    insecure_tls: bool,
    server_cert: Option<Setting>,
    /// The certificate bundles that curl and Python's requests are told to trust.
    bundles: Vec<Setting>,
    client_cert: Option<Setting>,
    timeout: Duration,
    retries: usize,
    concurrency: usize,
    source: Option<Setting>,
}

impl MlflowClientBuilder {
    pub(super) fn new(tracking_uri: &str) -> Self {
        Self {
            tracking_uri: tracking_uri.to_owned(),
            credentials: Credentials::default(),
            workspace: None,
            insecure_tls: false,
            server_cert: None,
            bundles: Vec::new(),
            client_cert: None,
            timeout: Duration::from_secs(120),
            retries: 6,
            concurrency: 4,
            source: None,
        }
    }

    /// Authenticates by HTTP basic authentication.
    pub fn basic_auth(self, username: &str, password: &str) -> Self {
        let credentials = Credentials {
            username: Some(Setting::new(username, "user name")),
            password: Some(Setting::new(password, "password")),
            ..self.credentials
        };
        Self {
            credentials,
            ..self
        }
    }

    /// Authenticates by an HTTP bearer token. If basic authentication is set too, it takes precedence, as in MLflow.
    pub fn token(self, token: &str) -> Self {
        let credentials = Credentials {
            token: Some(Setting::new(token, "token")),
            ..self.credentials
        };
        Self {
            credentials,
            ..self
        }
    }

    /// Selects a workspace of the server.
    pub fn workspace(self, workspace: &str) -> Self {
        Self {
            workspace: Some(Setting::new(workspace, "workspace")),
            ..self
        }
    }

    /// Accepts any certificate of the server. Cannot be combined with [`server_cert`](Self::server_cert).
    pub fn insecure_tls(self, insecure: bool) -> Self {
        Self {
            insecure_tls: insecure,
            ..self
        }
    }

    /// Trusts the certificates of this PEM file, or folder of PEM files, instead of the system's. They can be those of
    /// authorities, or the server's own.
    pub fn server_cert(self, path: &str) -> Self {
        Self {
            server_cert: Some(Setting::new(path, "server certificate")),
            ..self
        }
    }

    /// Sends the client certificate of this PEM file, which holds its key too.
    pub fn client_cert(self, path: &str) -> Self {
        Self {
            client_cert: Some(Setting::new(path, "client certificate")),
            ..self
        }
    }

    /// How long the server may be silent. Default: 120 s. A whole answer may take this long, and a second more per 8 KiB.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How many times a request is retried after a transient error. Default: 6, over about 30 s.
    pub fn retries(self, retries: usize) -> Self {
        Self { retries, ..self }
    }

    /// How many requests may be under way at once. Default: 4.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            ..self
        }
    }

    /// The name under which a mirror records this server. Default: the URL without credentials, and the workspace.
    pub fn source(self, name: &str) -> Self {
        Self {
            source: Some(Setting::new(name, "source")),
            ..self
        }
    }

    /// Makes the client. It sends nothing yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the URL is invalid, or a certificate or a setting cannot be used.
    pub fn build(mut self) -> Result<MlflowClient> {
        let base = self.take_base_url()?;
        // Fails if another part of the program has installed a TLS provider already. That provider serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let route = proxy::route(&base)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("runlineage/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers()?)
            .connect_timeout(self.timeout.min(Duration::from_secs(10)))
            .read_timeout(self.timeout)
            // A redirect would turn a POST into a GET, or hand credentials to another host.
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(trust::client_config(
                &self.trust(&base, &route)?,
                self.client_cert.as_ref(),
            )?);
        let unusable = |error: reqwest::Error| {
            Error::invalid_argument("connection settings", innermost(&error.without_url()))
        };
        let mut proxy = None;
        match route {
            Route::Unset => {}
            Route::Direct => builder = builder.no_proxy(),
            Route::Through(url, named) => {
                let through = Proxy::all(url).map_err(unusable)?;
                builder = builder.no_proxy().proxy(through);
                proxy = Some(named);
            }
        }
        let http = builder.build().map_err(unusable)?;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(self.retries)
            .with_jitter();
        let permits = Semaphore::new(self.concurrency);
        let address = base.as_str().trim_end_matches('/');
        let source = match (&self.source, &self.workspace) {
            (Some(source), _) => source.value.clone(),
            (None, Some(workspace)) => format!("{address} workspace {}", workspace.value),
            (None, None) => address.to_owned(),
        };
        let connection = Connection {
            http,
            base,
            source,
            when_refused: self.credentials.when_refused(),
            proxy,
            timeout: self.timeout,
            backoff,
            permits,
            page_bytes: Semaphore::new(PAGE_BYTES).into(),
        };
        Ok(MlflowClient {
            connection: connection.into(),
        })
    }

    /// Parses the URI, whose credentials take precedence over others.
    fn take_base_url(&mut self) -> Result<Url> {
        let parsed = tracking_uri::parse(&self.tracking_uri)?;
        let Credentials {
            username, password, ..
        } = &mut self.credentials;
        *username = parsed.username.or(username.take());
        *password = parsed.password.or(password.take());
        if let Some(source) = &self.source {
            source.check("the name")?;
        }
        Ok(parsed.base)
    }

    /// Which certificates to trust: those of MLflow's settings, else those of other programs' settings, else the system's.
    fn trust(&self, base: &Url, route: &Route) -> Result<Trust> {
        if self.insecure_tls && self.server_cert.is_some() {
            return Err(Error::invalid_argument(
                "TLS settings",
                "MLFLOW_TRACKING_INSECURE_TLS disables the check that MLFLOW_TRACKING_SERVER_CERT_PATH asks for; unset one of the two",
            ));
        }
        let uses_tls = base.scheme() == "https"
            || matches!(route, Route::Through(url, _) if url.scheme() == "https");
        Ok(match &self.server_cert {
            _ if self.insecure_tls => Trust::Anybody,
            Some(file) => Trust::File(file.clone()),
            // The other variables are set for all programs of a machine. Without TLS, a mistake in them must not matter.
            None if !uses_tls => Trust::Nobody,
            None => Trust::Machine(self.bundles.clone()),
        })
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(value) = self.credentials.header()? {
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(workspace) = &self.workspace {
            workspace.check("the name")?;
            let value = HeaderValue::from_str(&workspace.value).map_err(|_| {
                Error::invalid_argument(
                    "workspace",
                    "it has characters that an HTTP header cannot hold; remove them",
                )
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

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
