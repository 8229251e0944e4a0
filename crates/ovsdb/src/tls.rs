//! TLS as the settings want it: rustls, with ring.

use crate::endpoint::{Endpoint, Endpoints};
use crate::error::OvsdbError;
use crate::settings::{Tls, Verification};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// What is needed for the servers of this list; none if no server wants TLS.
pub(crate) fn connector(
    endpoints: &Endpoints,
    tls: Option<&Tls>,
) -> Result<Option<TlsConnector>, OvsdbError> {
    let wants = |endpoint: &&Endpoint| matches!(endpoint, Endpoint::Ssl { .. });
    let Some(endpoint) = endpoints.as_slice().iter().find(wants) else {
        return Ok(None);
    };
    let tls = tls.ok_or_else(|| OvsdbError::TlsSettings {
        cause: format!("{endpoint} wants it and no authority is named for it"),
    })?;
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(settings)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(&tls.verification, provider)?);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| file(key, e))?;
            builder
                .with_client_auth_cert(chain, key_der)
                .map_err(|e| file(key, e))?
        }
    };
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

fn settings(error: impl std::fmt::Display) -> OvsdbError {
    OvsdbError::TlsSettings {
        cause: error.to_string(),
    }
}

fn file(path: &Path, error: impl std::fmt::Display) -> OvsdbError {
    OvsdbError::TlsFile {
        path: path.to_owned(),
        cause: error.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OvsdbError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| file(path, e))?;
    let all: Result<Vec<_>, _> = read.collect();
    let all = all.map_err(|e| file(path, e))?;
    match all.is_empty() {
        true => Err(file(path, "there is no certificate in it")),
        false => Ok(all),
    }
}

fn verifier(
    verification: &Verification,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, OvsdbError> {
    let (path, names) = match verification {
        Verification::Full(path) => (path, true),
        Verification::Authority(path) => (path, false),
        Verification::Nothing => return Ok(Arc::new(Unchecked(provider))),
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| file(path, e))?;
    }
    let full = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(settings)?;
    Ok(match names {
        true => full,
        false => Arc::new(AnyName(full)),
    })
}

/// Checks who signed, and not the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match found {
            // The name is looked at last, when the rest has been found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Checks nothing but that the server has the key of what it shows.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
