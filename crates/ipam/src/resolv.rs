//! `resolv.conf`, for the `resolvConf` key.

use crate::IpamError;
use std::path::Path;

/// The name service that a `resolv.conf` describes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers' addresses, in order.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: Option<String>,
    /// The domains to look in, in order.
    pub search: Vec<String>,
    /// The resolver's options.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a file.
    ///
    /// # Errors
    /// [`IpamError::ResolvConf`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, IpamError> {
        std::fs::read(path)
            .map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes)))
            .map_err(|source| IpamError::ResolvConf {
                path: path.to_owned(),
                source,
            })
    }

    /// Reads its text (resolv.conf(5)): lines that mean nothing are passed over,
    /// of several `domain` lines the last counts, all else adds up.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines().map(str::trim) {
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(key), Some(first)) = (words.next(), words.next()) else {
                continue;
            };
            let all = std::iter::once(first).chain(words).map(str::to_owned);
            match key {
                "nameserver" => conf.nameservers.push(first.to_owned()),
                "domain" => conf.domain = Some(first.to_owned()),
                "search" => conf.search.extend(all),
                "options" => conf.options.extend(all),
                _ => {}
            }
        }
        conf
    }
}
