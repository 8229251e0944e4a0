//! Rules: typed expressions and how the kernel wants them.

use super::object::Family;
use super::wire::{nest, put, put_text, put_u32, put_u64};

/// One of the sixteen registers of four bytes that expressions work on. A value
/// longer than four bytes takes as many as it needs from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(
    /// 0 to 15.
    pub u8,
);

impl Register {
    fn number(self) -> u32 {
        8 + u32::from(self.0)
    }
}

/// Which header a payload offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Ethernet.
    Link,
    /// IPv4 or IPv6.
    Network,
    /// TCP, UDP, SCTP.
    Transport,
}

/// What is known about a packet besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// The name of the interface it came in by, 16 bytes.
    InputName,
    /// The name of the interface it leaves by, 16 bytes.
    OutputName,
    /// Its family, one byte ([`Family::number`]).
    Family,
    /// Its transport protocol, one byte.
    Protocol,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// They must be equal.
    Equal,
    /// They must differ.
    NotEqual,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, past the rest of this hook's chain.
    Accept,
    /// It is gone.
    Drop,
    /// It goes on behind the jump that led here.
    Return,
    /// It goes through another chain and comes back.
    Jump(String),
    /// It goes through another chain and does not come back.
    Goto(String),
}

/// One step of a rule. The first that does not match ends the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Loads bytes of the packet.
    Payload {
        /// Where the offset counts from.
        header: Header,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Loads what is known about the packet.
    Meta {
        /// What.
        key: Meta,
        /// Where to.
        to: Register,
    },
    /// Loads the connection's status bits (`IPS_*`), four bytes in host order.
    ConnectionStatus {
        /// Where to.
        to: Register,
    },
    /// Loads the type of the destination address as this host's routes see it
    /// (`RTN_*`), four bytes in host order.
    DestinationType {
        /// Where to.
        to: Register,
    },
    /// Loads a constant.
    Constant {
        /// The bytes.
        value: Vec<u8>,
        /// Where to.
        to: Register,
    },
    /// Keeps only the bits of a mask.
    Mask {
        /// The register, changed in place.
        register: Register,
        /// As long as the value.
        mask: Vec<u8>,
    },
    /// Compares with a constant.
    Compare {
        /// The register.
        register: Register,
        /// How.
        how: Compare,
        /// The constant.
        value: Vec<u8>,
    },
    /// Looks a key up in a set or a map of the same table.
    Lookup {
        /// The set's name.
        set: String,
        /// Where the key begins.
        key: Register,
        /// In a map: where the value goes.
        value: Option<Register>,
        /// Match when the key is not in the set.
        inverted: bool,
    },
    /// Translates the destination to an address and a port in registers.
    DestinationNat {
        /// The address's family: IPv4 or IPv6. Packets of the other go on.
        family: Family,
        /// Where the address is.
        address: Register,
        /// Where the port is.
        port: Register,
    },
    /// Translates the source to the address of the interface the packet leaves by.
    Masquerade,
    /// Counts packets and bytes.
    Counter,
    /// Ends the rule.
    Verdict(Verdict),
}

const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;

/// Appends a rule's expressions as `NFTA_RULE_EXPRESSIONS` wants them.
pub(crate) fn write(buffer: &mut Vec<u8>, expressions: &[Expression]) {
    for expression in expressions {
        nest(buffer, LIST_ELEM, |b| {
            put_text(b, EXPR_NAME, name(expression));
            nest(b, EXPR_DATA, |b| body(b, expression));
        });
    }
}

const fn name(expression: &Expression) -> &'static str {
    match expression {
        Expression::Payload { .. } => "payload",
        Expression::Meta { .. } => "meta",
        Expression::ConnectionStatus { .. } => "ct",
        Expression::DestinationType { .. } => "fib",
        Expression::Constant { .. } | Expression::Verdict(_) => "immediate",
        Expression::Mask { .. } => "bitwise",
        Expression::Compare { .. } => "cmp",
        Expression::Lookup { .. } => "lookup",
        Expression::DestinationNat { .. } => "nat",
        Expression::Masquerade => "masq",
        Expression::Counter => "counter",
    }
}

/// The attribute numbers are those of `linux/netfilter/nf_tables.h`, each within
/// its expression's own list.
fn body(b: &mut Vec<u8>, expression: &Expression) {
    match expression {
        Expression::Payload {
            header,
            offset,
            length,
            to,
        } => payload(b, *header, *offset, *length, *to),
        Expression::Meta { key, to } => meta(b, *key, *to),
        Expression::ConnectionStatus { to } => {
            put_u32(b, 1, to.number());
            put_u32(b, 2, 2); // NFT_CT_STATUS
        }
        Expression::DestinationType { to } => {
            put_u32(b, 1, to.number());
            put_u32(b, 2, 3); // NFT_FIB_RESULT_ADDRTYPE
            put_u32(b, 3, 2); // NFTA_FIB_F_DADDR
        }
        Expression::Constant { value, to } => {
            put_u32(b, 1, to.number());
            data(b, 2, value);
        }
        Expression::Mask { register, mask } => {
            put_u32(b, 1, register.number());
            put_u32(b, 2, register.number());
            put_u32(b, 3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
            data(b, 4, mask);
            data(b, 5, &vec![0; mask.len()]);
        }
        Expression::Compare {
            register,
            how,
            value,
        } => {
            put_u32(b, 1, register.number());
            put_u32(b, 2, u32::from(*how == Compare::NotEqual));
            data(b, 3, value);
        }
        Expression::Lookup {
            set,
            key,
            value,
            inverted,
        } => lookup(b, set, *key, *value, *inverted),
        Expression::DestinationNat {
            family,
            address,
            port,
        } => {
            put_u32(b, 1, 1); // NFT_NAT_DNAT
            put_u32(b, 2, u32::from(family.number()));
            put_u32(b, 3, address.number());
            put_u32(b, 5, port.number());
        }
        Expression::Masquerade => {}
        Expression::Counter => {
            put_u64(b, 1, 0);
            put_u64(b, 2, 0);
        }
        Expression::Verdict(verdict) => verdict_body(b, verdict),
    }
}

fn payload(b: &mut Vec<u8>, header: Header, offset: u32, length: u32, to: Register) {
    let base = match header {
        Header::Link => 0,
        Header::Network => 1,
        Header::Transport => 2,
    };
    put_u32(b, 1, to.number());
    put_u32(b, 2, base);
    put_u32(b, 3, offset);
    put_u32(b, 4, length);
}

fn meta(b: &mut Vec<u8>, key: Meta, to: Register) {
    let key = match key {
        Meta::InputName => 6,
        Meta::OutputName => 7,
        Meta::Family => 15,
        Meta::Protocol => 16,
    };
    put_u32(b, 1, to.number());
    put_u32(b, 2, key);
}

fn lookup(b: &mut Vec<u8>, set: &str, key: Register, value: Option<Register>, inverted: bool) {
    put_text(b, 1, set);
    put_u32(b, 2, key.number());
    if let Some(value) = value {
        put_u32(b, 3, value.number());
    }
    if inverted {
        put_u32(b, 5, 1); // NFT_LOOKUP_F_INV
    }
}

fn data(b: &mut Vec<u8>, kind: u16, value: &[u8]) {
    nest(b, kind, |b| put(b, 1, value));
}

fn verdict_body(b: &mut Vec<u8>, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3_i32, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    put_u32(b, 1, 0); // the verdict register
    nest(b, 2, |b| {
        nest(b, 2, |b| {
            put(b, 1, &code.to_be_bytes());
            if let Some(chain) = chain {
                put_text(b, 2, chain);
            }
        });
    });
}
