//! [`Trust`]: which certificates TLS trusts. Those of a file, by the rules of MLflow's client, or those of this machine.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::setting::{Setting, variable};
use crate::error::{Error, Result};

/// How the client checks the server's certificate.
pub(super) enum Trust {
    /// The client refuses every certificate, because the server's URL has no TLS.
    Nobody,
    /// By the certificates of this PEM file or folder alone, as `verify=PATH` in Python's requests.
    File(Setting),
    /// By the certificates of these files and of those that OpenSSL's variables name. If none is named, by the authorities of
    /// this machine.
    Machine(Vec<Setting>),
    /// The client accepts every certificate.
    Anybody,
}

/// The TLS settings of a client with this trust. It sends the client certificate of the PEM file when a server asks for one.
pub(super) fn client_config(trust: &Trust, client_cert: Option<&Setting>) -> Result<ClientConfig> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| rustls::crypto::ring::default_provider().into());
    let unusable =
        |error: rustls::Error| Error::invalid_argument("TLS settings", error.to_string());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let judge = match trust {
        Trust::Nobody => Judge::Nobody,
        Trust::Anybody => Judge::Anybody,
        Trust::File(file) => Judge::of(of_file(file)?, provider.clone())?,
        Trust::Machine(bundles) => Judge::of(of_machine(bundles)?, provider.clone())?,
    };
    let verifier = Verifier { judge, provider };
    let config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client_cert {
        Some(file) => {
            let (chain, key) = identity(file)?;
            config.with_client_auth_cert(chain, key).map_err(|error| {
                let reason = format!("{} cannot be used: {error}", file.value);
                Error::invalid_argument("client certificate", reason)
            })?
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    Ok(config)
}

/// Checks certificates by the rules of rustls, with one rule of OpenSSL: a certificate that the user names is trusted, whether
/// it is an authority's or not.
#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Judge {
    Anybody,
    Nobody,
    Named {
        by_authority: Arc<WebPkiServerVerifier>,
        certificates: Vec<CertificateDer<'static>>,
    },
}

impl Judge {
    fn of(
        certificates: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        // Bundles may hold old certificates that cannot be parsed.
        roots.add_parsable_certificates(certificates.iter().cloned());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let by_authority = verifier
            .build()
            .map_err(|error| Error::invalid_argument("TLS settings", error.to_string()))?;
        Ok(Self::Named {
            by_authority,
            certificates,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (by_authority, named) = match &self.judge {
            Judge::Anybody => return Ok(ServerCertVerified::assertion()),
            Judge::Nobody => return Err(CertificateError::UnknownIssuer.into()),
            Judge::Named {
                by_authority,
                certificates,
            } => (by_authority, certificates),
        };
        let verdict = by_authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let Err(rustls::Error::InvalidCertificate(reason)) = &verdict else {
            return verdict;
        };
        // rustls finds these faults after it has checked the dates, and before it checks the name.
        let of_issuer = match reason {
            // `BadSignature`: another certificate with the same issuer name is known.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
            CertificateError::Other(other) => matches!(
                other.0.downcast_ref::<webpki::Error>(),
                Some(webpki::Error::CaUsedAsEndEntity)
            ),
            _ => false,
        };
        if !of_issuer || !named.contains(end_entity) {
            return verdict;
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificates of a PEM file, or of all PEM files of a folder.
fn of_file(file: &Setting) -> Result<Vec<CertificateDer<'static>>> {
    let path = Path::new(&file.value);
    let mut found = Vec::new();
    if path.is_dir() {
        let failed = |source| cannot_read(file, source);
        for entry in std::fs::read_dir(path).map_err(failed)? {
            // Such a folder may also hold revocation lists, keys and subfolders.
            let text = std::fs::read(entry.map_err(failed)?.path()).unwrap_or_default();
            found.extend(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
        }
    } else {
        let text = std::fs::read(path).map_err(|source| cannot_read(file, source))?;
        found.extend(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
    }
    // Without this error, the client would silently trust no server.
    if found.is_empty() {
        let reason = format!("{} holds no PEM certificates", file.value);
        return Err(Error::invalid_argument(file.origin, reason));
    }
    Ok(found)
}

/// OpenSSL's variables, which are set for all programs of a machine.
const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

fn of_machine(bundles: &[Setting]) -> Result<Vec<CertificateDer<'static>>> {
    let (file, folders) = (variable(FILE)?, variable(FOLDERS)?);
    let folders = folders.iter().flat_map(|set| set.value.split(':'));
    let folders = folders.map(|folder| Setting::new(folder, FOLDERS));
    let named: Vec<Setting> = bundles.iter().cloned().chain(file).chain(folders).collect();
    let found = match named.first() {
        // A file that cannot be read is skipped as long as another one can.
        Some(_) => named
            .iter()
            .flat_map(|set| of_file(set).unwrap_or_default())
            .collect(),
        None => rustls_native_certs::load_native_certs().certs,
    };
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match named.first() {
        Some(set) => Error::invalid_argument(
            set.origin,
            format!("no PEM certificate can be read from {}", set.value),
        ),
        None => Error::invalid_argument(
            "TLS settings",
            "this machine has no certificates of authorities; install them (ca-certificates), or name a PEM file in MLFLOW_TRACKING_SERVER_CERT_PATH",
        ),
    })
}

fn identity(file: &Setting) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let text = std::fs::read(&file.value).map_err(|source| Error::Io {
        doing: format!("cannot read the client certificate {}", file.value),
        source,
    })?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(&text).ok();
    key.filter(|_| !chain.is_empty())
        .map(|key| (chain, key))
        .ok_or_else(|| {
            let reason = format!("{} does not hold a PEM certificate and its key", file.value);
            Error::invalid_argument("client certificate", reason)
        })
}

fn cannot_read(file: &Setting, source: std::io::Error) -> Error {
    Error::Io {
        doing: format!("cannot read {} ({})", file.value, file.origin),
        source,
    }
}
