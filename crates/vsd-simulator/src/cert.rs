//! Certificates: those that are given, or some of its own.

use crate::SimulatorError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// How clients are met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Protection {
    /// By TLS, with a certificate made for this run and signed by an authority made for it.
    #[default]
    Own,
    /// By TLS with these files, in PEM.
    Files {
        /// The certificate and those above it.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Not at all: plain HTTP.
    Plain,
}

/// What is needed for TLS.
pub(crate) struct Tls {
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// The authority that clients must trust, in PEM.
    pub(crate) ca: Option<String>,
}

/// Prepares what the protection says, for these names and addresses.
pub(crate) fn prepare(protection: &Protection, names: Vec<String>) -> Result<Tls, SimulatorError> {
    match protection {
        Protection::Plain => Ok(Tls {
            acceptor: None,
            ca: None,
        }),
        Protection::Files { cert, key } => {
            let failed = |path: &PathBuf, reason: String| SimulatorError::Certificate {
                what: path.display().to_string(),
                reason,
            };
            let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
            let chain: Vec<_> = chain.map_err(|error| failed(cert, error.to_string()))?;
            let secret = PrivateKeyDer::from_pem_file(key);
            let secret = secret.map_err(|error| failed(key, error.to_string()))?;
            let acceptor = acceptor(chain, secret).map_err(|error| failed(cert, error))?;
            Ok(Tls {
                acceptor: Some(acceptor),
                ca: None,
            })
        }
        Protection::Own => {
            let failed = |reason| SimulatorError::Certificate {
                what: "a certificate of its own".to_owned(),
                reason,
            };
            let made = own(names).map_err(|error| failed(error.to_string()))?;
            let (ca, chain, secret) = made;
            Ok(Tls {
                acceptor: Some(acceptor(chain, secret).map_err(failed)?),
                ca: Some(ca),
            })
        }
    }
}

type Made = (String, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(names: Vec<String>) -> Result<Made, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let common = "Authority of the VSD simulator";
    params.distinguished_name.push(DnType::CommonName, common);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "VSD simulator");
    // Some clients refuse a certificate that does not say by whom and for what it is.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let signed = params.signed_by(&key, &authority)?;
    let chain = vec![signed.der().clone()];
    let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((authority.pem(), chain, secret))
}

fn acceptor(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
