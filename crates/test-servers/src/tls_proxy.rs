//! Proxies that speak TLS, with certificates that no system trusts.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::keeper::KeptFolder;

/// A running proxy with a certificate of a private CA. It ends with the test's runtime.
pub struct TlsProxy {
    pub uri: String,
    /// A PEM file with the CA.
    pub ca: String,
    /// A PEM file with a client certificate of the CA, and its key.
    pub client: String,
}

/// Which clients the proxy accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    Any,
    /// Clients with a certificate of the CA.
    Certified,
}

impl TlsProxy {
    /// A proxy before the server at this tracking URI, with its files in the folder.
    pub async fn before(uri: &str, clients: Clients, folder: &KeptFolder) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authority = rcgen::CertificateParams::new([]).expect("no name is no bad name");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().expect("a key can be made");
        let authority =
            rcgen::CertifiedIssuer::self_signed(authority, authority_key).expect("it signs itself");
        let certified = |name: &str| {
            let key = rcgen::KeyPair::generate().expect("a key can be made");
            let params = rcgen::CertificateParams::new([name.to_owned()]);
            let certificate = params
                .expect("the name is good")
                .signed_by(&key, &authority)
                .expect("the CA signs it");
            (certificate, key)
        };
        let ((server, key), (client, client_key)) = (certified("localhost"), certified("client"));

        let mut roots = RootCertStore::empty();
        roots
            .add(authority.der().clone())
            .expect("the CA's certificate is one");
        let config = ServerConfig::builder();
        let config = match clients {
            Clients::Any => config.with_no_client_auth(),
            Clients::Certified => {
                let verifier = WebPkiClientVerifier::builder(roots.into()).build();
                config.with_client_cert_verifier(verifier.expect("there is a CA"))
            }
        };
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = config.with_single_cert(vec![server.der().clone()], private);
        let config = config.expect("the certificate fits the key");
        let port = start(config, uri).await;
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the folder can be written");
            path.to_string_lossy().into_owned()
        };
        Self {
            uri: format!("https://localhost:{port}"),
            ca: file("ca.pem", authority.pem()),
            client: file("client.pem", client.pem() + &client_key.serialize_pem()),
        }
    }
}

/// A running proxy with a self-signed certificate, as `openssl req -x509` makes it.
pub struct SelfSigned {
    pub port: u16,
    /// A PEM file with the certificate.
    pub certificate: String,
}

impl SelfSigned {
    /// A proxy before the server at this tracking URI. Its certificate is for these names, marked as an authority's or not, and
    /// valid until this year.
    pub async fn before(
        uri: &str,
        names: &[&str],
        is_authority: bool,
        until: i32,
        folder: &KeptFolder,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("the names are good");
        if is_authority {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("it signs itself");
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("the certificate fits the key");
        let port = start(config, uri).await;
        let path = folder.path().join(format!("self-signed-{port}.pem"));
        std::fs::write(&path, certificate.pem()).expect("the folder can be written");
        Self {
            port,
            certificate: path.to_string_lossy().into_owned(),
        }
    }
}

/// Starts to listen, and returns the port.
async fn start(config: ServerConfig, uri: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(serve(listener, acceptor, uri.replacen("http://", "", 1)));
    port
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, to: String) {
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, to) = (acceptor.clone(), to.clone());
        tokio::spawn(async move {
            let (Ok(mut client), Ok(mut server)) =
                (acceptor.accept(client).await, TcpStream::connect(to).await)
            else {
                return;
            };
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
