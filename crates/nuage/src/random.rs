//! Names and addresses by chance.

use crate::error::DoorError;
use fairlead_types::Mac;
use rustix::rand::{GetRandomFlags, getrandom};

/// What hardware addresses of containers begin with, as users of the driver know them.
const PREFIX: [u8; 2] = [0x7a, 0x42];

fn bytes<const N: usize>() -> Result<[u8; N], DoorError> {
    let mut bytes = [0; N];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|error| DoorError::Chance(error.into()))?;
    Ok(bytes)
}

/// 64 hexadecimal digits. The first twelve are never all decimal: Docker takes such a text for
/// a number where it may be one.
pub(crate) fn digits() -> Result<String, DoorError> {
    loop {
        let text: String = bytes::<32>()?.iter().map(|b| format!("{b:02x}")).collect();
        if text.bytes().take(12).any(|b| b.is_ascii_alphabetic()) {
            return Ok(text);
        }
    }
}

/// A hardware address of a container's.
pub(crate) fn mac() -> Result<Mac, DoorError> {
    let [c, d, e, f] = bytes()?;
    Ok(Mac([PREFIX[0], PREFIX[1], c, d, e, f]))
}
