//! Where the VSD is, who asks it, and with how much patience.

use super::error::VsdError;
use reqwest::Url;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A text that is never shown: neither printed nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for who has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a VSD is: `https://host:8443`. What follows from `/nuage/api` on is cut off, since
/// people copy it from elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct VsdUrl {
    base: String,
    host: String,
}

/// A text that is no address of a VSD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no url of a VSD, {reason}: one like https://vsd.example:8443 is wanted")]
pub struct UrlError {
    /// What was given; a password in it is not shown.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl VsdUrl {
    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is `http`, where everybody between can read what is said.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.base.starts_with("http:")
    }
}

impl FromStr for VsdUrl {
    type Err = UrlError;
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let error = |text: &str, reason| UrlError {
            text: text.to_owned(),
            reason,
        };
        if text.contains('@') {
            return Err(error("***", "it names a user"));
        }
        let url = Url::parse(text.trim()).map_err(|_| error(text, "it cannot be read"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error(text, "it is neither https nor http"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(error(text, "it has a query or a fragment"));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| error(text, "it has no host"))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| error(text, "it has no port"))?;
        let path = url.path();
        let path = path.find("/nuage/api").map_or(path, |end| &path[..end]);
        let host = format!("{host}:{port}");
        let base = format!("{}://{host}{}", url.scheme(), path.trim_end_matches('/'));
        Ok(Self { base, host })
    }
}

impl fmt::Display for VsdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for VsdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// A version of the interface, as it is in paths: `v6`, `v5_0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiVersion(String);

/// A text that is no version of the interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of the VSD's interface: one like v6 or v5_0 is wanted")]
pub struct ApiVersionError(pub String);

impl FromStr for ApiVersion {
    type Err = ApiVersionError;
    fn from_str(text: &str) -> Result<Self, ApiVersionError> {
        let number = |part: &str| {
            (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let good = text
            .strip_prefix('v')
            .is_some_and(|rest| match rest.split_once('_') {
                None => number(rest),
                Some((major, minor)) => number(major) && number(minor),
            });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(ApiVersionError(text.to_owned()))
        }
    }
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self("v6".to_owned())
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a call that failed for want of a VSD is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all; none means one.
    pub attempts: u32,
    /// The wait after the first attempt; each further one is e times as long.
    pub interval: Duration,
}

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(10);

impl Retries {
    /// The wait after attempt `done`, which counts from 1: `interval * e^(done - 1)`, 10 s at most.
    #[must_use]
    pub fn wait(&self, done: u32) -> Duration {
        let factor = f64::from(done.saturating_sub(1).min(64)).exp();
        let seconds = (self.interval.as_secs_f64() * factor).min(LONGEST.as_secs_f64());
        Duration::from_secs_f64(seconds)
    }
}

impl Default for Retries {
    /// As the original plugin: five attempts, 100 ms.
    fn default() -> Self {
        Self {
            attempts: 5,
            interval: Duration::from_millis(100),
        }
    }
}

/// All that a client has to know.
#[derive(Debug, Clone)]
pub struct VsdSettings {
    /// Where the VSD is.
    pub url: VsdUrl,
    /// Which version of the interface is spoken.
    pub version: ApiVersion,
    /// Who asks.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The organization of the user: `csp` for the provider.
    pub organization: String,
    /// A file of certificates (PEM): those of CAs, or the VSD's own. Without it those of the
    /// system are believed.
    pub ca: Option<PathBuf>,
    /// Whether any certificate at all is believed. Whoever is between then has the password.
    pub insecure: bool,
    /// For one request with its answer.
    pub timeout: Duration,
    /// For one call with all its requests, repetitions and waits.
    pub limit: Duration,
    /// Repetition.
    pub retries: Retries,
    /// Whether calls by [`Vsd::as_user`](super::Vsd::as_user) tell the VSD for whom they are.
    pub proxy_user: bool,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment are heeded.
    pub environment_proxy: bool,
}

impl VsdSettings {
    /// Settings with what is usual for the rest: `v6`, certificates checked by the system's
    /// CAs, 20 s for a request, 60 s for a call.
    #[must_use]
    pub fn new(url: VsdUrl, user: &str, password: Secret, organization: &str) -> Self {
        Self {
            url,
            version: ApiVersion::default(),
            user: user.to_owned(),
            password,
            organization: organization.to_owned(),
            ca: None,
            insecure: false,
            timeout: Duration::from_secs(20),
            limit: Duration::from_secs(60),
            retries: Retries::default(),
            proxy_user: false,
            environment_proxy: false,
        }
    }

    /// The address that all paths begin with.
    pub(super) fn root(&self) -> String {
        format!("{}/nuage/api/{}", self.url, self.version)
    }

    /// Whether a key that was got by the other settings is good for these.
    pub(super) fn same_session(&self, other: &Self) -> bool {
        self.root() == other.root()
            && self.user == other.user
            && self.password == other.password
            && self.organization == other.organization
    }

    /// Whether connections that were made by the other settings are good for these.
    pub(super) fn same_connections(&self, other: &Self) -> bool {
        self.url == other.url
            && self.insecure == other.insecure
            && self.timeout == other.timeout
            && self.environment_proxy == other.environment_proxy
            // A file may have changed meanwhile, so it is read again.
            && self.ca.is_none()
            && other.ca.is_none()
    }

    /// What cannot be sent is found here, and not at the first call.
    pub(super) fn check(&self) -> Result<(), VsdError> {
        let bad = |key, reason: &str| {
            Err(VsdError::Setting {
                key,
                reason: reason.to_owned(),
            })
        };
        let control = |text: &str| text.chars().any(char::is_control);
        match () {
            () if self.user.is_empty() => bad("username", "it is empty"),
            // The pair is sent as user:password.
            () if self.user.contains(':') => bad("username", "a ':' cannot be in it"),
            () if control(&self.user) => bad("username", "control characters are in it"),
            () if self.password.0.is_empty() => bad("password", "it is empty"),
            () if self.organization.is_empty() => bad("organization", "it is empty"),
            () if control(&self.organization) => {
                bad("organization", "control characters are in it")
            }
            () if self.timeout.is_zero() || self.limit.is_zero() => {
                bad("requesttimeout", "it is zero")
            }
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_to_what_is_theirs() {
        for (given, base, host) in [
            ("https://vsd:8443", "https://vsd:8443", "vsd:8443"),
            ("https://vsd:8443///", "https://vsd:8443", "vsd:8443"),
            (
                "http://10.0.0.1/nuage/api/v6",
                "http://10.0.0.1:80",
                "10.0.0.1:80",
            ),
            (
                "https://[fd00::1]:8443/",
                "https://[fd00::1]:8443",
                "[fd00::1]:8443",
            ),
            ("https://gate/vsd/", "https://gate:443/vsd", "gate:443"),
        ] {
            let url: VsdUrl = given.parse().unwrap();
            assert_eq!(
                (url.to_string().as_str(), url.host()),
                (base, host),
                "{given}"
            );
        }
    }

    #[test]
    fn others_are_refused_and_show_no_password() {
        for bad in [
            "",
            "vsd:8443",
            "ftp://vsd",
            "https://",
            "https://vsd/?a",
            "https://vsd:99999",
        ] {
            assert!(bad.parse::<VsdUrl>().is_err(), "{bad:?}");
        }
        let told = "https://me:swordfish@vsd"
            .parse::<VsdUrl>()
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("names a user") && !told.contains("swordfish"),
            "{told}"
        );
    }

    #[test]
    fn waits_grow_by_e_up_to_ten_seconds() {
        let retries = Retries::default();
        let waits: Vec<_> = (1..=8).map(|done| retries.wait(done).as_millis()).collect();
        assert_eq!(waits, [100, 271, 738, 2008, 5459, 10000, 10000, 10000]);
        assert_eq!(retries.wait(u32::MAX), LONGEST);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let url = "https://vsd:8443".parse().unwrap();
        let settings = VsdSettings::new(url, "me", Secret::new("swordfish"), "csp");
        let shown = format!("{settings:?} {}", settings.password);
        assert!(
            !shown.contains("swordfish") && shown.contains("***"),
            "{shown}"
        );
    }

    #[test]
    fn versions_are_a_letter_and_numbers() {
        for good in ["v6", "v5_0", "v20_10"] {
            assert_eq!(good.parse::<ApiVersion>().unwrap().0, good);
        }
        for bad in ["", "6", "v", "v6/..", "v5_", "v5.0", "v5_0_1"] {
            assert!(bad.parse::<ApiVersion>().is_err(), "{bad:?}");
        }
    }
}
