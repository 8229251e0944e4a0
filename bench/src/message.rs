//! Netlink messages by hand: what the floor sends, byte for byte.

/// The body of a netlink message: a fixed header and attributes.
#[derive(Debug, Default)]
pub(crate) struct Body(Vec<u8>);

/// Marks an attribute that holds attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;

impl Body {
    pub(crate) fn new(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    pub(crate) fn nested(self, kind: u16, inner: &Self) -> Self {
        self.attribute(kind | NESTED, &inner.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The whole message. `flags` are those of the netlink header.
    pub(crate) fn framed(&self, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(16 + self.0.len()).unwrap_or(u32::MAX);
        let mut whole = length.to_ne_bytes().to_vec();
        whole.extend(kind.to_ne_bytes());
        whole.extend(flags.to_ne_bytes());
        whole.extend(sequence.to_ne_bytes());
        whole.extend(0_u32.to_ne_bytes());
        whole.extend(&self.0);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_bytes_and_their_length_is_not() {
        let body = Body::new(&[9; 4]).text(3, "ab").number(10, 1);
        assert_eq!(
            body.bytes(),
            [
                &[9, 9, 9, 9][..],
                &7_u16.to_ne_bytes(),
                &3_u16.to_ne_bytes(),
                b"ab\0\0",
                &8_u16.to_ne_bytes(),
                &10_u16.to_ne_bytes(),
                &1_u32.to_ne_bytes()
            ]
            .concat()
        );
        assert_eq!(body.framed(16, 5, 7).len(), 16 + body.bytes().len());
    }
}
