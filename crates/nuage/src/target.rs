//! The subnet that a network of Docker stands for, by the options that its user gave.

use crate::error::DoorError;
use fairlead_store::VspTarget;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use tracing::warn;

/// The options that name a subnet.
const KNOWN: [&str; 5] = ["organization", "domain", "zone", "subnet", "user"];
/// Options of Docker's own begin so.
const OF_DOCKER: &str = "com.docker.";
/// The longest name of an object of the controller, in bytes of UTF-8.
const LONGEST: usize = 255;

/// Reads the options of `-o` or `--ipam-opt`. Others than those five are told in the log.
///
/// # Errors
/// [`DoorError::Missing`] names those that are not there, [`DoorError::Value`] one that can be
/// no name.
pub(crate) fn target(options: &BTreeMap<String, String>) -> Result<VspTarget, DoorError> {
    for option in options.keys() {
        if !KNOWN.contains(&option.as_str()) && !option.starts_with(OF_DOCKER) {
            warn!("option {option:?} is not known; {} are", KNOWN.join(", "));
        }
    }
    let value = |key: &str| options.get(key).filter(|value| !value.is_empty());
    let missing: Vec<&str> = KNOWN
        .into_iter()
        .filter(|key| value(key).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(DoorError::Missing(missing.join(", ")));
    }
    let name = |option: &'static str| -> Result<String, DoorError> {
        let value = value(option).cloned().unwrap_or_default();
        match value.len() <= LONGEST && !value.chars().any(char::is_control) {
            true => Ok(value),
            false => Err(DoorError::Value { option, value }),
        }
    };
    Ok(VspTarget {
        organization: name("organization")?,
        domain: name("domain")?,
        zone: name("zone")?,
        subnet: name("subnet")?,
        user: name("user")?,
    })
}

/// Whether options say anything of a subnet.
pub(crate) fn names_any(options: &BTreeMap<String, String>) -> bool {
    KNOWN.into_iter().any(|key| options.contains_key(key))
}

/// Whether two are one subnet, whoever asks for it.
pub(crate) fn is_same(one: &VspTarget, other: &VspTarget) -> bool {
    let names = |target: &VspTarget| {
        let VspTarget {
            organization,
            domain,
            zone,
            subnet,
            ..
        } = target.clone();
        [organization, domain, zone, subnet]
    };
    names(one) == names(other)
}

/// The name that earlier plugins have for a subnet in the ids of their pools: the MD5 of
/// organization, domain and subnet. Several subnets may share it.
pub(crate) fn digest(target: &VspTarget) -> String {
    let mut digest = Md5::new();
    for part in [&target.organization, &target.domain, &target.subnet] {
        digest.update(part.as_bytes());
    }
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        let all = options(&[("organization", "Enterprise"), ("zone", "")]);
        let told = target(&all).unwrap_err().to_string();
        assert!(told.contains("domain, zone, subnet, user"), "{told}");
    }

    #[test]
    fn names_have_any_characters_but_control_characters() {
        let odd = "Sub \"net\" '; rm -rf / $(x) Größe 網";
        let mut all = options(&[
            ("organization", "E"),
            ("domain", "D"),
            ("zone", "Z"),
            ("subnet", odd),
            ("user", "admin"),
            ("com.docker.network.generic", "x"),
        ]);
        assert_eq!(target(&all).unwrap().subnet, odd);
        all.insert("zone".into(), "a\nb".into());
        let told = target(&all).unwrap_err().to_string();
        assert!(told.contains("zone"), "{told}");
    }

    #[test]
    fn the_digest_is_that_of_earlier_plugins() {
        let all = options(&[
            ("organization", "Enterprise"),
            ("domain", "Domain"),
            ("zone", "Zone"),
            ("subnet", "Subnet 2"),
            ("user", "admin"),
        ]);
        // printf 'EnterpriseDomainSubnet 2' | md5sum
        assert_eq!(
            digest(&target(&all).unwrap()),
            "9f5655ccbb6e0ad383c5738985a5e479"
        );
    }
}
