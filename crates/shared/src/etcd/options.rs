//! The `[etcd]` section, checked, and made into what the client takes.

use super::EtcdOptions;
use crate::{Password, SharedError};
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::time::Duration;

/// How often a connection in use is asked for a sign of life. etcd takes offence
/// at less than five seconds.
const PING_EVERY: Duration = Duration::from_secs(6);

/// How long it may take to give one.
const PING_LIMIT: Duration = Duration::from_secs(4);

/// What is connected to, and how. It holds the password, so it is never shown.
pub(super) struct Target {
    pub(super) endpoints: Vec<String>,
    pub(super) connect: ConnectOptions,
    /// With its slash.
    pub(super) prefix: String,
    pub(super) timeout: Duration,
}

fn refusal(keyword: &'static str, value: impl Into<String>, reason: &str) -> SharedError {
    SharedError::Options {
        keyword,
        value: value.into(),
        reason: reason.to_owned(),
    }
}

fn read(keyword: &'static str, path: &Path) -> Result<String, SharedError> {
    std::fs::read_to_string(path).map_err(|source| {
        refusal(
            keyword,
            path.display().to_string(),
            &format!("cannot read it: {source}"),
        )
    })
}

/// The text of a PEM file that has a part of the kind `label`.
fn pem(keyword: &'static str, path: &Path, label: &str) -> Result<String, SharedError> {
    let text = read(keyword, path)?;
    if text.contains("-----BEGIN ") && text.contains(&format!("{label}-----")) {
        return Ok(text);
    }
    let reason = format!("it has no '{label}' in PEM form");
    Err(refusal(keyword, path.display().to_string(), &reason))
}

impl Target {
    /// # Errors
    /// [`SharedError::Options`] names the keyword.
    pub(super) fn of(options: &EtcdOptions) -> Result<Self, SharedError> {
        let timeout = options.timeout;
        if timeout.is_zero() {
            return Err(refusal("timeout", "0", "no call can end in no time"));
        }
        let mut connect = ConnectOptions::new()
            .with_keep_alive(PING_EVERY, PING_LIMIT)
            .with_keep_alive_while_idle(false)
            .with_tcp_keepalive(PING_EVERY)
            .with_connect_timeout(timeout)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        let endpoints = endpoints(options)?;
        if endpoints.iter().any(|url| url.starts_with("https://")) {
            connect = connect.with_tls(tls(options)?);
        }
        if let Some((user, password)) = user(options)? {
            connect = connect.with_user(user, password.reveal());
        }
        Ok(Self {
            endpoints,
            connect,
            prefix: format!("{}/", options.prefix.trim_end_matches('/')),
            timeout,
        })
    }
}

/// The endpoints with their scheme, which must be one for all: a certificate would
/// be for nothing where some go without.
fn endpoints(options: &EtcdOptions) -> Result<Vec<String>, SharedError> {
    let secure = options.ca.is_some() || options.cert.is_some();
    let mut urls = Vec::new();
    for endpoint in &options.endpoints {
        let url = endpoint.trim_end_matches('/');
        let url = match url.split_once("://") {
            None if secure => format!("https://{url}"),
            None => format!("http://{url}"),
            Some(("https", _)) => url.to_owned(),
            Some(("http", _)) if !secure => url.to_owned(),
            Some(("http", _)) => {
                let reason = "it is not https, and etcd.ca or etcd.cert is set";
                return Err(refusal("endpoints", endpoint, reason));
            }
            Some(_) => return Err(refusal("endpoints", endpoint, "it is not http or https")),
        };
        let host = url.split_once("://").map_or("", |(_, host)| host);
        let port = host
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() || host.contains(['/', '@', ' ']) {
            let reason = "it is not http://HOST:PORT or https://HOST:PORT";
            return Err(refusal("endpoints", endpoint, reason));
        }
        urls.push(url);
    }
    if urls.is_empty() {
        return Err(refusal("endpoints", "", "there is none"));
    }
    if urls.iter().any(|url| url.starts_with("https"))
        && urls.iter().any(|url| url.starts_with("http:"))
    {
        let all = options.endpoints.join(" ");
        return Err(refusal("endpoints", all, "some are https and some are not"));
    }
    Ok(urls)
}

/// A certificate and a key that do not go together would only be told as a connection
/// that cannot be made.
fn check_pair(
    (cert, certificate): (&Path, &str),
    (key, secret): (&Path, &str),
) -> Result<(), SharedError> {
    let unreadable = |keyword, path: &Path, reason: &dyn std::fmt::Display| {
        let path = path.display().to_string();
        refusal(keyword, path, &format!("it cannot be read: {reason}"))
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| unreadable("cert", cert, &e))?;
    let private =
        PrivateKeyDer::from_pem_slice(secret.as_bytes()).map_err(|e| unreadable("key", key, &e))?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain, private, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(refusal(
            "key",
            key.display().to_string(),
            &format!(
                "it does not belong to the certificate in {}",
                cert.display()
            ),
        )),
        Err(error) => Err(unreadable("key", key, &error)),
    }
}

fn tls(options: &EtcdOptions) -> Result<TlsOptions, SharedError> {
    let Some(ca) = &options.ca else {
        let reason = "https needs the certificates that may sign the server's";
        return Err(refusal("ca", "", reason));
    };
    let mut tls =
        TlsOptions::new().ca_certificate(Certificate::from_pem(pem("ca", ca, "CERTIFICATE")?));
    match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => {
            let certificate = pem("cert", cert, "CERTIFICATE")?;
            let secret = pem("key", key, "PRIVATE KEY")?;
            check_pair((cert, &certificate), (key, &secret))?;
            tls = tls.identity(Identity::from_pem(certificate, secret));
        }
        (None, None) => {}
        (Some(_), None) => return Err(refusal("key", "", "etcd.cert is set and this is not")),
        (None, Some(_)) => return Err(refusal("cert", "", "etcd.key is set and this is not")),
    }
    Ok(tls)
}

fn user(options: &EtcdOptions) -> Result<Option<(String, Password)>, SharedError> {
    match (&options.user, &options.password_file) {
        (None, None) => Ok(None),
        (Some(user), Some(path)) => {
            let text = read("password_file", path)?;
            let line = text.lines().next().unwrap_or_default();
            if line.is_empty() {
                let reason = "its first line is empty";
                return Err(refusal("password_file", path.display().to_string(), reason));
            }
            Ok(Some((user.clone(), Password::from_file_text(line))))
        }
        (Some(user), None) => Err(refusal("user", user, "etcd.password_file is not set")),
        (None, Some(path)) => {
            let path = path.display().to_string();
            Err(refusal("password_file", path, "etcd.user is not set"))
        }
    }
}
