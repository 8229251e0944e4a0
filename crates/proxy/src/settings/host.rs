//! Where clients are listened to.

use crate::settings::Tls;
use std::fmt;
use std::path::PathBuf;

/// Where clients are listened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    /// A unix socket.
    Unix(PathBuf),
    /// An address and a port.
    Tcp {
        /// As `127.0.0.1:2376` or a name with a port.
        address: String,
        /// Whether it is by TLS.
        tls: bool,
    },
    /// What systemd has opened.
    Systemd,
}

impl Host {
    /// Reads `unix://PATH`, `https://ADDRESS:PORT`, `http://ADDRESS:PORT`, `tcp://ADDRESS:PORT`
    /// (by TLS if there are certificates) or `fd://`.
    pub(crate) fn parse(
        text: &str,
        tls: Option<&Tls>,
        insecure: bool,
    ) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "unix" => Err("an absolute path is wanted, as unix:///var/run/barrel.sock"),
            "fd" => Ok(Self::Systemd),
            "http" | "https" | "tcp" => {
                let port = rest.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                if !matches!(port, Some(Ok(_))) {
                    return Err("an address and a port are wanted, as https://0.0.0.0:2376");
                }
                let by_tls = scheme == "https" || (scheme == "tcp" && tls.is_some());
                safe(by_tls, tls, insecure)?;
                Ok(Self::Tcp {
                    address: rest.to_owned(),
                    tls: by_tls,
                })
            }
            _ => Err("unix://, https://, http://, tcp:// or fd:// is wanted"),
        }
    }
}

/// Who reaches the socket is root on this machine, so it takes certificates.
pub(crate) fn safe(by_tls: bool, tls: Option<&Tls>, insecure: bool) -> Result<(), &'static str> {
    match tls {
        None if by_tls => Err("TLS needs BARREL_TLS_CERT_FILE_PATH and BARREL_TLS_KEY_FILE_PATH"),
        _ if insecure => Ok(()),
        Some(tls) if by_tls && tls.ca.is_some() => Ok(()),
        _ if by_tls => Err(
            "everybody would be root here: name the authority of clients' certificates by \
             BARREL_TLS_CA_FILE_PATH, or set BARREL_INSECURE_TCP=1",
        ),
        _ => Err(
            "everybody would be root here: use https:// with clients' certificates, or set \
             BARREL_INSECURE_TCP=1",
        ),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { address, tls: true } => write!(f, "https://{address}"),
            Self::Tcp { address, .. } => write!(f, "http://{address}"),
            Self::Systemd => f.write_str("fd://"),
        }
    }
}
