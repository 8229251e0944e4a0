//! Which certificate of a VSD is believed. The provider of cryptography is ring, always.

use super::error::VsdError;
use super::settings::VsdSettings;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// What TLS is spoken with.
pub(super) fn config(settings: &VsdSettings) -> Result<ClientConfig, VsdError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let setting = |key, why: &dyn std::fmt::Display| VsdError::Setting {
        key,
        reason: why.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| setting("url", &error))?;
    let verifier: Arc<dyn ServerCertVerifier> = match &settings.ca {
        _ if settings.insecure => Arc::new(Anything(provider)),
        Some(file) => Arc::new(Named::read(file, provider)?),
        // Without TLS no certificate comes, and a system without CAs is none of its business.
        None if settings.url.is_clear() => Arc::new(Anything(provider)),
        None => match rustls_platform_verifier::Verifier::new(Arc::clone(&provider)) {
            Ok(verifier) => Arc::new(verifier),
            // A system without CAs, as an image of a container is: nobody is believed, and
            // each call says what to do about it.
            Err(error) => {
                tracing::warn!("no certificate of a VSD can be believed: {error}");
                Arc::new(Named {
                    own: Vec::new(),
                    signed: None,
                    provider,
                })
            }
        },
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Believes what a file names: what its CAs signed, for the right host; and the certificates in it
/// themselves, since a VSD has one that it signed itself, often for another name.
#[derive(Debug)]
struct Named {
    own: Vec<CertificateDer<'static>>,
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Named {
    fn read(file: &Path, provider: Arc<CryptoProvider>) -> Result<Self, VsdError> {
        let bad = |why: &dyn std::fmt::Display| VsdError::Setting {
            key: "vsdcafile",
            reason: format!("{}: {why}", file.display()),
        };
        let bytes = std::fs::read(file).map_err(|error| bad(&error))?;
        let own: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(&error))?;
        if own.is_empty() {
            return Err(bad(&"there is no certificate in it; PEM is wanted"));
        }
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(own.iter().cloned());
        let signed = if added == 0 {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(builder.build().map_err(|error| bad(&error))?)
        };
        Ok(Self {
            own,
            signed,
            provider,
        })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.contains(cert) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.signed {
            Some(signed) => signed.verify_server_cert(cert, chain, name, ocsp, now),
            None => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Believes anything, as the original plugin does.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Whoever is between can show a certificate of its own, so its signature proves nothing; and
    // old certificates, for which there is this setting, cannot be read by rustls at all.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
