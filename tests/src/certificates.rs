//! Certificates for a real etcd and those who ask it, made for one test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::node::Node;

/// An authority whose certificates are written to a node.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes its own certificate.
    pub fn write(&self, node: &Node, file: &str) {
        node.write(file, &self.pem());
    }

    /// A certificate for these names and addresses, and its key.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn sign(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let common = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).expect("names of a certificate");
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a signature");
        (signed.pem(), key.serialize_pem())
    }

    /// Writes such a certificate, with its key beside it: `STEM.crt` and `STEM.key`.
    ///
    /// # Panics
    /// If a name is none.
    pub fn issue(&self, node: &Node, stem: &str, names: &[&str]) {
        let (certificate, key) = self.sign(names);
        node.write(&format!("{stem}.crt"), &certificate);
        node.write(&format!("{stem}.key"), &key);
    }
}
