//! A TLS server before one that speaks plain HTTP. It lets nobody in without a certificate of the tests' authority, or
//! everybody.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A key or certificate of the tests.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

/// The same as text.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

pub struct Gate {
    pub url: String,
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

/// TLS with the tests' certificate; whether it asks for the client's.
pub fn acceptor(asks: bool) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("authority.crt")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = if asks { config.with_client_cert_verifier(clients) } else { config.with_no_client_auth() };
    let chain = vec![CertificateDer::from_pem_file(file("server.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
}

impl Gate {
    /// Shows a certificate of the tests as its own, with this key.
    pub async fn showing(certificate: &str, key: &str, behind: &str) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::with(TlsAcceptor::from(Arc::new(config)), behind).await
    }

    /// Passes on to `behind`, whose URL is plain HTTP, who shows a certificate.
    pub async fn before(behind: &str) -> Self {
        Self::with(acceptor(true), behind).await
    }

    /// Passes everybody on.
    pub async fn open(behind: &str) -> Self {
        Self::with(acceptor(false), behind).await
    }

    async fn with(acceptor: TlsAcceptor, behind: &str) -> Self {
        let address = behind.strip_prefix("http://").unwrap();
        let (address, path) = address.split_once('/').map_or((address, String::new()), |(a, p)| (a, format!("/{p}")));
        let address = address.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}{path}", listener.local_addr().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = shown.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, address) = (acceptor.clone(), seen.clone(), address.clone());
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let certificates = outside.get_ref().1.peer_certificates().unwrap_or_default();
                    seen.lock().unwrap().extend(certificates.first().map(|first| first.clone().into_owned()));
                    let Ok(mut inside) = TcpStream::connect(address).await else { return };
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { url, shown }
    }

    /// Which of the tests' certificates were shown since the last look.
    pub fn shown(&self) -> Vec<&'static str> {
        let names = ["client-one", "client-two"];
        let known = names.map(|name| CertificateDer::from_pem_file(file(&format!("{name}.crt"))).unwrap());
        let shown = std::mem::take(&mut *self.shown.lock().unwrap());
        let name = |found: &CertificateDer<'_>| names[known.iter().position(|known| known == found).unwrap()];
        shown.iter().map(name).collect()
    }
}
