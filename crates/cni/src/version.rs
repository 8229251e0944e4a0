//! The versions of the CNI specification.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A released version of the CNI specification. The order is that of release.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum SpecVersion {
    /// 0.1.0, which is also meant where no version is written.
    #[default]
    V0_1_0,
    /// 0.2.0: VERSION.
    V0_2_0,
    /// 0.3.0: interfaces and several addresses in a result.
    V0_3_0,
    /// 0.3.1.
    V0_3_1,
    /// 0.4.0: CHECK, and the earlier result on DEL.
    V0_4_0,
    /// 1.0.0: lists only, no `version` beside an address.
    V1_0_0,
    /// 1.1.0: GC and STATUS.
    V1_1_0,
}

/// A text that is no released version of the specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no known CNI version: {list} are", list = SpecVersion::list(&SpecVersion::ALL))]
pub struct UnknownVersion(pub String);

impl SpecVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 7] = [
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// The newest version.
    pub const LATEST: Self = Self::V1_1_0;

    /// The number as configurations write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// Whether results have one `ip4` and one `ip6` in place of a list.
    #[must_use]
    pub fn has_single_addresses(self) -> bool {
        self < Self::V0_3_0
    }

    /// Whether CHECK exists, and DEL is given the earlier result.
    #[must_use]
    pub fn has_check(self) -> bool {
        self >= Self::V0_4_0
    }

    /// Whether GC and STATUS exist.
    #[must_use]
    pub fn has_gc(self) -> bool {
        self >= Self::V1_1_0
    }

    /// The versions as text, joined by a comma and a space.
    #[must_use]
    pub fn list(versions: &[Self]) -> String {
        let names: Vec<_> = versions.iter().map(|v| v.as_str()).collect();
        names.join(", ")
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SpecVersion {
    type Err = UnknownVersion;
    /// An empty text is 0.1.0, as a configuration without a version is.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        if text.is_empty() {
            return Ok(Self::V0_1_0);
        }
        Self::ALL
            .into_iter()
            .find(|v| v.as_str() == text)
            .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

impl TryFrom<String> for SpecVersion {
    type Error = UnknownVersion;
    fn try_from(text: String) -> Result<Self, UnknownVersion> {
        text.parse()
    }
}

impl From<SpecVersion> for String {
    fn from(version: SpecVersion) -> String {
        version.as_str().to_owned()
    }
}

/// Major, minor and patch of a version that need not be known; missing parts
/// are 0 and an empty text is 0.1.0. `None` when it is no such text.
pub(crate) fn triple(text: &str) -> Option<[u64; 3]> {
    if text.is_empty() {
        return Some([0, 1, 0]);
    }
    let mut parts = [0; 3];
    let mut given = text.split('.');
    for (i, part) in parts.iter_mut().enumerate() {
        match given.next() {
            Some(number) => *part = number.parse().ok()?,
            None if i > 0 => break,
            None => return None,
        }
    }
    given.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_read_back_and_ordered() {
        for pair in SpecVersion::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(triple(pair[0].as_str()) < triple(pair[1].as_str()));
        }
        for version in SpecVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!("".parse(), Ok(SpecVersion::V0_1_0));
    }

    #[test]
    fn an_unknown_version_is_named_with_the_known_ones() {
        let text = "2.0.0".parse::<SpecVersion>().unwrap_err().to_string();
        assert_eq!(
            text,
            "\"2.0.0\" is no known CNI version: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0 are"
        );
    }

    #[test]
    fn a_triple_has_at_most_three_numbers() {
        assert_eq!(triple("1.2.3"), Some([1, 2, 3]));
        assert_eq!(triple("1"), Some([1, 0, 0]));
        assert_eq!(triple(""), Some([0, 1, 0]));
        for bad in ["a", "1.", "1.2.3.4", "1..2", "-1", "1.2.x"] {
            assert_eq!(triple(bad), None, "{bad}");
        }
    }
}
