//! Netlink attributes: writing into a growing buffer, reading from an answer.

/// The payload is a sequence of attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// The two top bits of an attribute's type are flags.
const KIND_MASK: u16 = 0x3fff;

/// Appends one attribute.
///
/// A value of more than 65,531 bytes does not fit in an attribute; callers split
/// before that, and the length is then wrong on purpose, so that the kernel
/// refuses the message.
pub(crate) fn put(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    buffer.extend_from_slice(&length.to_ne_bytes());
    buffer.extend_from_slice(&kind.to_ne_bytes());
    buffer.extend_from_slice(value);
    pad(buffer);
}

/// Appends a text, closed by a zero byte, and returns where it stands.
pub(crate) fn put_text(buffer: &mut Vec<u8>, kind: u16, text: &str) -> std::ops::Range<usize> {
    let start = buffer.len() + 4;
    let length = u16::try_from(text.len() + 5).unwrap_or(u16::MAX);
    buffer.extend_from_slice(&length.to_ne_bytes());
    buffer.extend_from_slice(&kind.to_ne_bytes());
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(0);
    pad(buffer);
    start..start + text.len()
}

/// Appends a number. nfnetlink carries numbers in network order.
pub(crate) fn put_u32(buffer: &mut Vec<u8>, kind: u16, value: u32) {
    put(buffer, kind, &value.to_be_bytes());
}

/// Appends a 64-bit number in network order.
pub(crate) fn put_u64(buffer: &mut Vec<u8>, kind: u16, value: u64) {
    put(buffer, kind, &value.to_be_bytes());
}

/// Appends an attribute whose payload is what `fill` appends.
pub(crate) fn nest(buffer: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 2]);
    buffer.extend_from_slice(&(kind | NESTED).to_ne_bytes());
    fill(buffer);
    let length = u16::try_from(buffer.len() - start).unwrap_or(u16::MAX);
    buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    pad(buffer);
}

fn pad(buffer: &mut Vec<u8>) {
    buffer.resize(buffer.len().next_multiple_of(4), 0);
}

/// The attributes in `bytes` as (type without flags, value). Reading ends at the
/// first one whose length cannot be right.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The first attribute of type `kind`.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// The first attribute found by going down the types of `path`.
pub(crate) fn find_path<'a>(bytes: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(bytes, |bytes, kind| find(bytes, *kind))
}

/// A text value without its closing zero byte.
pub(crate) fn text(value: &[u8]) -> String {
    let value = value.strip_suffix(&[0]).unwrap_or(value);
    String::from_utf8_lossy(value).into_owned()
}

/// A number in network order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let mut buffer = Vec::new();
        let at = put_text(&mut buffer, 1, "abcd");
        assert_eq!(&buffer[at], b"abcd");
        nest(&mut buffer, 2, |inner| {
            put_u32(inner, 3, 7);
            put(inner, 4, &[1, 2, 3, 4, 5]);
        });
        assert_eq!(buffer.len() % 4, 0);
        assert_eq!(find(&buffer, 1).map(text).as_deref(), Some("abcd"));
        assert_eq!(find_path(&buffer, &[2, 3]).and_then(number), Some(7));
        assert_eq!(find_path(&buffer, &[2, 4]), Some(&[1, 2, 3, 4, 5][..]));
        assert_eq!(find_path(&buffer, &[2, 9]), None);
    }

    #[test]
    fn cut_or_false_lengths_end_the_reading() {
        let mut buffer = Vec::new();
        put(&mut buffer, 1, &[1, 2, 3, 4]);
        for cut in 0..buffer.len() {
            assert_eq!(find(&buffer[..cut], 1), None, "{cut}");
        }
        for false_length in [0_u16, 3, 9, u16::MAX] {
            buffer[..2].copy_from_slice(&false_length.to_ne_bytes());
            assert_eq!(attributes(&buffer).count(), 0, "{false_length}");
        }
    }
}
