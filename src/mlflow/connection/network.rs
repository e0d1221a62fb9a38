//! [`Cause`]: why a request did not reach the server, which part of the network failed, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use url::Url;

use super::super::builder::CompanyProxy;

/// A cause of a network error, and the cause below it.
#[derive(Debug)]
pub(super) struct Cause {
    message: String,
    source: Option<Box<Self>>,
    /// No retry can succeed before somebody changes a setting.
    pub(super) is_final: bool,
}

impl Cause {
    pub(super) fn of(error: &reqwest::Error, server: &Url, proxy: Option<&CompanyProxy>) -> Self {
        let layers = layers(error);
        let tls = layers.iter().copied().find_map(tls_error);
        let at_proxy =
            proxy.map(|proxy| ProxyFailure::of(&layers, error.is_connect(), server, proxy));
        let is_final = matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
            || at_proxy.as_ref().is_some_and(|failure| failure.is_final);
        let mut texts: Vec<String> = at_proxy
            .into_iter()
            .map(|failure| failure.message)
            .collect();
        texts.extend(tls.and_then(|error| hint(error, server)));
        // The first layer says only that a request failed.
        let below = layers.iter().skip(usize::from(layers.len() > 1));
        texts.extend(below.map(ToString::to_string));
        let innermost = texts.pop().unwrap_or_default();
        let cause = |message, source| Self {
            message,
            source,
            is_final,
        };
        let texts = texts.into_iter().rev();
        texts.fold(cause(innermost, None), |below, message| {
            cause(message, Some(below.into()))
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Why a request through a proxy failed, with the proxy's name.
struct ProxyFailure {
    message: String,
    is_final: bool,
}

impl ProxyFailure {
    fn of(
        layers: &[&(dyn StdError + 'static)],
        at_connect: bool,
        server: &Url,
        proxy: &CompanyProxy,
    ) -> Self {
        // The text is compared, because hyper-util keeps the type of this error private.
        let tunnel = layers
            .iter()
            .map(ToString::to_string)
            .find_map(|text| text.strip_prefix("tunnel error: ").map(str::to_owned));
        let message = match tunnel.as_deref() {
            Some("proxy authorization required") => {
                return Self {
                    message: wants_credentials(proxy),
                    is_final: true,
                };
            }
            Some("unsuccessful") => format!(
                "the proxy {proxy} refused to connect to {}; {WITHOUT_PROXY}",
                host(server)
            ),
            Some("failed to create underlying connection") => unreachable(proxy),
            None if at_connect && server.scheme() == "http" => unreachable(proxy),
            Some(_) => format!("the proxy {proxy} ended the connection; {WITHOUT_PROXY}"),
            None if at_connect => format!(
                "no connection to {} through the proxy {proxy}; {WITHOUT_PROXY}",
                host(server)
            ),
            None => format!("the request went through the proxy {proxy}"),
        };
        Self {
            message,
            is_final: false,
        }
    }
}

const WITHOUT_PROXY: &str =
    "if the server can be reached without a proxy, add its host to NO_PROXY";

/// The message for an answer that is not MLflow's, after a request through a proxy.
pub(super) fn answered(proxy: &CompanyProxy) -> String {
    format!(
        "this answer is not MLflow's, but from the proxy {proxy} or a gateway behind it; {WITHOUT_PROXY}"
    )
}

pub(super) fn wants_credentials(proxy: &CompanyProxy) -> String {
    format!(
        "the proxy {proxy} asks for credentials of its own, or refused those that are set (407); set them in the variable of the proxy, as http://USER:PASSWORD@HOST:PORT; {WITHOUT_PROXY}"
    )
}

fn unreachable(proxy: &CompanyProxy) -> String {
    format!("the proxy {proxy} cannot be reached; {WITHOUT_PROXY}")
}

fn host(server: &Url) -> &str {
    server.host_str().unwrap_or_default()
}

/// The error and all of its causes, outermost first.
fn layers<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |layer| (*layer).source()).collect()
}

/// The TLS error that this one is or wraps. `source` of an I/O error skips the error that it wraps.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    tls_error(inner)
}

fn hint(error: &rustls::Error, server: &Url) -> Option<String> {
    let host = host(server);
    Some(match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::Other(_) => format!(
                "this machine does not trust the issuer of the certificate of {host}; set MLFLOW_TRACKING_SERVER_CERT_PATH to a PEM file with the certificate of its authority, or with its own"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "the certificate is not for {host}; use a host name that the certificate lists (subjectAltName; the common name does not count)"
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired; install a new one on the server")
            }
            _ => return None,
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{host} does not speak TLS on this port; use http:// or the port for TLS")
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate,
        ) => format!(
            "{host} asks for a client certificate that it trusts; set MLFLOW_TRACKING_CLIENT_CERT_PATH to a PEM file with the certificate and its key"
        ),
        _ => return None,
    })
}
