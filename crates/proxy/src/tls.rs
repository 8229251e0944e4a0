//! Certificates of listeners on TCP, and of their clients.

use crate::ProxyError;
use crate::settings::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

const CERT: &str = "BARREL_TLS_CERT_FILE_PATH";
const KEY: &str = "BARREL_TLS_KEY_FILE_PATH";
const CA: &str = "BARREL_TLS_CA_FILE_PATH";

/// Who shakes hands with clients.
///
/// # Errors
/// [`ProxyError::Certificate`] for a file that is not what it should be.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ProxyError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = failed(CERT, &tls.cert);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| own(error.to_string()))?;
    let builder = match &tls.ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let wrong = failed(CA, path);
            let mut roots = RootCertStore::empty();
            for certificate in certificates(CA, path)? {
                let added = roots.add(certificate);
                added.map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| wrong(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&tls.key);
    let key = key.map_err(|error| failed(KEY, &tls.key)(error.to_string()))?;
    let config = builder.with_single_cert(certificates(CERT, &tls.cert)?, key);
    let mut config = config.map_err(|error| own(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ProxyError> {
    let wrong = failed(key, path);
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    match found.is_empty() {
        true => Err(wrong("there is no certificate in it".to_owned())),
        false => Ok(found),
    }
}

fn failed<'p>(key: &'static str, path: &'p Path) -> impl Fn(String) -> ProxyError + 'p {
    move |reason| ProxyError::Certificate {
        key,
        path: path.to_owned(),
        reason,
    }
}
