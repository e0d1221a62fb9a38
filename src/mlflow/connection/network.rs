//! What kept a request from the server, told once, with who is to blame and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use url::Url;

use super::super::builder::CompanyProxy;

/// A cause, and what caused it.
#[derive(Debug)]
pub(super) struct Cause {
    said: String,
    source: Option<Box<Self>>,
    /// It stays so until somebody changes a setting.
    pub(super) is_final: bool,
}

impl Cause {
    pub(super) fn of(error: &reqwest::Error, server: &Url, proxy: Option<&CompanyProxy>) -> Self {
        let layers = layers(error);
        let tls = layers.iter().copied().find_map(tls_error);
        let blame = proxy.map(|proxy| Blame::of(&layers, error.is_connect(), server, proxy));
        let is_final = matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
            || blame.as_ref().is_some_and(|blame| blame.is_final);
        let mut texts: Vec<String> = blame.into_iter().map(|blame| blame.said).collect();
        texts.extend(tls.and_then(|error| hint(error, server)));
        // The first says only that something was sent.
        for layer in layers.iter().skip(usize::from(layers.len() > 1)) {
            let said = layer.to_string();
            // The layers of the network's libraries repeat the one below.
            if !texts.iter().any(|text| text.ends_with(&said)) {
                texts.push(said);
            }
        }
        let innermost = texts.pop().unwrap_or_default();
        let cause = |said, source| Self {
            said,
            source,
            is_final,
        };
        let texts = texts.into_iter().rev();
        texts.fold(cause(innermost, None), |below, said| {
            cause(said, Some(below.into()))
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What a proxy on the way did.
struct Blame {
    said: String,
    is_final: bool,
}

impl Blame {
    fn of(
        layers: &[&(dyn StdError + 'static)],
        at_connect: bool,
        server: &Url,
        proxy: &CompanyProxy,
    ) -> Self {
        // The type of this error is private to hyper-util.
        let tunnel = layers
            .iter()
            .map(ToString::to_string)
            .find_map(|said| said.strip_prefix("tunnel error: ").map(str::to_owned));
        let said = match tunnel.as_deref() {
            Some("proxy authorization required") => {
                return Self {
                    said: wants_credentials(proxy),
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
                "there is no connection to {} through the proxy {proxy}; {WITHOUT_PROXY}",
                host(server)
            ),
            None => format!("the request went through the proxy {proxy}"),
        };
        Self {
            said,
            is_final: false,
        }
    }
}

const WITHOUT_PROXY: &str = "where the server is reached without a proxy, add its host to NO_PROXY";

/// What an answer that is not MLflow's is called when a proxy is on the way.
pub(super) fn answered(proxy: &CompanyProxy) -> String {
    format!("the proxy {proxy}, or a gateway behind it, answered this, not MLflow; {WITHOUT_PROXY}")
}

pub(super) fn wants_credentials(proxy: &CompanyProxy) -> String {
    format!(
        "the proxy {proxy} asks for credentials of its own, or refused those that are set (407); write them into that variable, as http://USER:PASSWORD@HOST:PORT; {WITHOUT_PROXY}"
    )
}

fn unreachable(proxy: &CompanyProxy) -> String {
    format!("the proxy {proxy} cannot be reached; {WITHOUT_PROXY}")
}

fn host(server: &Url) -> &str {
    server.host_str().unwrap_or_default()
}

/// The error and all that caused it, outermost first.
fn layers<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |layer| (*layer).source()).collect()
}

/// The error of TLS in this one: an error of input or output hides what it holds from `source`.
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
                "this machine does not trust who issued the certificate of {host}; name a PEM file with the certificate of its authority, or its own, in MLFLOW_TRACKING_SERVER_CERT_PATH"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "the certificate is not for {host}: give the server by a name that its certificate lists (subjectAltName; the common name does not count)"
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired; its server needs a new one")
            }
            _ => return None,
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{host} does not speak TLS on this port; is its address http://?")
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate,
        ) => format!(
            "{host} lets in who shows a certificate that it knows; name a PEM file with one and its key in MLFLOW_TRACKING_CLIENT_CERT_PATH"
        ),
        _ => return None,
    })
}
