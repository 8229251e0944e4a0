//! Names of ports: `nln1-1` is the switch's end of a cable and `nln1-2` the container's. What
//! has such a name is this driver's, and may go when nobody has it.

use crate::cable;
use crate::error::DoorError;
use crate::records::Records;
use fairlead_types::IfName;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the names begin with.
const PREFIX: &str = "nln";
/// The greatest number: its name still fits.
const LAST: u32 = 4_000_000;

/// The number that was given last: a name rests as long as others are free.
static CURSOR: AtomicU32 = AtomicU32::new(0);

/// Whether a link or port of that name is this driver's.
pub(crate) fn is_ours(name: &str) -> bool {
    number(name).is_some()
}

fn number(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?;
    let digits = rest
        .strip_suffix("-1")
        .or_else(|| rest.strip_suffix("-2"))?;
    let is_plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let number = u32::from_str_radix(digits, 16).ok()?;
    (is_plain && number <= LAST).then_some(number)
}

/// Two names that no lease and no link of this host has.
pub(crate) fn free(records: &Records) -> Result<(IfName, IfName), DoorError> {
    let mut taken: BTreeSet<u32> = BTreeSet::new();
    let leases = records.leases()?;
    taken.extend(
        leases
            .iter()
            .filter_map(|lease| number(lease.port.as_str())),
    );
    taken.extend(cable::names()?.iter().filter_map(|name| number(name)));
    for _ in 0..=LAST {
        let next = |last: u32| Some(if last >= LAST { 1 } else { last + 1 });
        let last = CURSOR.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let number = next(last.unwrap_or_default()).unwrap_or(1);
        if !taken.contains(&number) {
            let name = |end: u8| IfName::new(format!("{PREFIX}{number:x}-{end}"));
            return Ok((name(1)?, name(2)?));
        }
    }
    Err(DoorError::NoPort)
}

/// The names of an endpoint's cable where there is no controller, as users of that time know
/// them.
pub(crate) fn of_endpoint(endpoint: &str) -> Result<(IfName, IfName), DoorError> {
    let part = endpoint.get(..5).unwrap_or(endpoint);
    Ok((
        IfName::new(format!("veth{part}"))?,
        IfName::new(format!("neth{part}"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_both_ends_are_ours() {
        for ours in ["nln1-1", "nlnff-2", "nln3d0900-1"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "nln-1",
            "nln1",
            "nln1-3",
            "nlnFF-1",
            "nln3d0901-1",
            "xnln1-1",
            "nln+1-1",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
