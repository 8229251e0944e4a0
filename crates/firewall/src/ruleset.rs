//! The static rules, and those that a subnet or a condition adds. Pure.

use crate::element::{Condition, Publish, Side, address_bytes};
use crate::subnet::{SubnetSet, Use};
use fairlead_kernel::nft::{
    Base, Batch, Chain, ChainKind, Compare, Create, DataType, Expression, Family, Header, Hook,
    Meta, Register, Set, Table, Verdict,
};
use ipnet::IpNet;
use std::net::IpAddr;

/// The table for IPv4 and IPv6.
pub const TABLE: Table<'static> = Table {
    family: Family::Inet,
    name: "fairlead",
};

/// The table for MAC checks, made when the first is asked for.
pub const BRIDGE_TABLE: Table<'static> = Table {
    family: Family::Bridge,
    name: "fairlead",
};

pub(crate) const CONDITIONAL: &str = "conditional";
pub(crate) const CHECKED: &str = "checked";
pub(crate) const ALLOWED: &str = "allowed";
/// The interval sets of declared ranges, for IPv4 and for IPv6.
pub(crate) const NETWORKS: [&str; 2] = ["networks4", "networks6"];
/// The interval sets of ranges that are masqueraded as a whole.
pub(crate) const MASQUERADED: [&str; 2] = ["masqueraded4", "masqueraded6"];
const HAIRPIN: &str = "hairpin";
// `masquerade` itself is a word of the `nft` language and cannot name a chain there.
const MASQUERADE: &str = "masquerading";
const PUBLISH: &str = "publish";

const COMMENT: &str = "made by fairlead; changes here are lost";
/// `IPS_DST_NAT`, a bit of a connection's status.
const STATUS_DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`, the type of this host's own addresses.
const ROUTE_LOCAL: u32 = 2;

/// A rule and the chain it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The chain's name.
    pub chain: &'static str,
    /// The steps.
    pub expressions: Vec<Expression>,
}

/// The static part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// The table.
    pub table: Table<'static>,
    /// Its sets, all empty.
    pub sets: Vec<Set>,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// The rules of the static chains. A chain that has none here is filled by
    /// subnets or conditions, and is left as it is.
    pub rules: Vec<Rule>,
}

impl Ruleset {
    /// Appends what makes the kernel's table be this one. Repeated, it changes
    /// nothing: objects that exist stay, static chains are emptied and filled again
    /// within the transaction.
    pub(crate) fn write(&self, batch: &mut Batch) {
        batch.add_table(self.table, Create::IfAbsent, COMMENT);
        for set in &self.sets {
            batch.add_set(self.table, Create::IfAbsent, set);
        }
        for chain in &self.chains {
            batch.add_chain(self.table, Create::IfAbsent, chain);
        }
        for chain in &self.chains {
            if self.rules.iter().any(|rule| rule.chain == chain.name) {
                batch.flush_chain(self.table, &chain.name);
            }
        }
        for rule in &self.rules {
            batch.add_rule(self.table, rule.chain, &rule.expressions, "");
        }
    }
}

/// The table `inet fairlead`: published ports, hairpin, masquerade.
#[must_use]
pub fn base() -> Ruleset {
    let nat = |name: &str, hook, priority| Chain {
        name: name.into(),
        base: Some(Base {
            kind: ChainKind::Nat,
            hook,
            priority,
        }),
    };
    Ruleset {
        table: TABLE,
        sets: base_sets(),
        chains: vec![
            regular(CONDITIONAL),
            regular(HAIRPIN),
            regular(MASQUERADE),
            regular(PUBLISH),
            nat("prerouting", Hook::Prerouting, -100),
            nat("output", Hook::Output, -100),
            nat("postrouting", Hook::Postrouting, 100),
        ],
        rules: [publish_rules(), postrouting_rules()].concat(),
    }
}

/// The table `bridge fairlead`: a port that is checked sends from its MAC address
/// or not at all.
#[must_use]
pub fn bridge_base() -> Ruleset {
    let set = |name: &str, key: &[DataType]| Set {
        name: name.into(),
        key: key.to_vec(),
        value: Vec::new(),
        interval: false,
    };
    Ruleset {
        table: BRIDGE_TABLE,
        sets: vec![
            set(CHECKED, &[DataType::IfName]),
            set(ALLOWED, &[DataType::IfName, DataType::EtherAddress]),
        ],
        chains: vec![Chain {
            name: "prerouting".into(),
            base: Some(Base {
                kind: ChainKind::Filter,
                hook: Hook::Prerouting,
                priority: -300,
            }),
        }],
        rules: vec![Rule {
            chain: "prerouting",
            expressions: vec![
                meta(Meta::InputName, 0),
                lookup(CHECKED, false),
                meta(Meta::InputName, 0),
                Expression::Payload {
                    header: Header::Link,
                    offset: 6,
                    length: 6,
                    to: Register(4),
                },
                lookup(ALLOWED, true),
                Expression::Verdict(Verdict::Drop),
            ],
        }],
    }
}

fn base_sets() -> Vec<Set> {
    let service = [DataType::Protocol, DataType::Port];
    let mut sets = Vec::new();
    for (number, address) in [(4, DataType::Ipv4Address), (6, DataType::Ipv6Address)] {
        let map = |name: String, key: Vec<DataType>| Set {
            name,
            key,
            value: vec![address, DataType::Port],
            interval: false,
        };
        sets.push(map(format!("publish{number}"), service.to_vec()));
        let host = [&[address], &service[..]].concat();
        sets.push(map(format!("publish_host{number}"), host));
    }
    for names in [NETWORKS, MASQUERADED] {
        for (name, address) in names
            .into_iter()
            .zip([DataType::Ipv4Address, DataType::Ipv6Address])
        {
            sets.push(Set {
                name: name.into(),
                key: vec![address],
                value: Vec::new(),
                interval: true,
            });
        }
    }
    sets
}

/// A destination of this host goes through the published ports: those with
/// conditions, then those of one host address, then those of any.
fn publish_rules() -> Vec<Rule> {
    let local = || {
        vec![
            Expression::DestinationType { to: Register(0) },
            equal(0, &ROUTE_LOCAL.to_ne_bytes()),
            jump(PUBLISH),
        ]
    };
    // A reply from a container to ::1 would not come back: there is no route_localnet
    // for IPv6. Untranslated, the connection is refused at once.
    let mut not_loopback = in_prefix(Side::Destination, host_prefix("::1"), Compare::Equal);
    not_loopback.push(Expression::Verdict(Verdict::Return));
    let mut rules = vec![
        rule("prerouting", local()),
        rule("output", not_loopback),
        rule("output", local()),
        rule(PUBLISH, vec![jump(CONDITIONAL)]),
    ];
    for of_host in [true, false] {
        for family in [Family::Ipv4, Family::Ipv6] {
            rules.push(rule(PUBLISH, publish_lookup(family, of_host)));
        }
    }
    rules
}

fn publish_lookup(family: Family, of_host: bool) -> Vec<Expression> {
    let (number, address_registers) = match family {
        Family::Ipv6 => (6, 4),
        _ => (4, 1),
    };
    let mut steps = vec![meta(Meta::Family, 0), equal(0, &[family.number()])];
    let mut next = 0;
    let mut map = format!("publish{number}");
    if of_host {
        steps.push(load_address(family, Side::Destination));
        next = address_registers;
        map = format!("publish_host{number}");
    }
    steps.extend([
        meta(Meta::Protocol, next),
        Expression::Payload {
            header: Header::Transport,
            offset: 2,
            length: 2,
            to: Register(next + 1),
        },
        Expression::Lookup {
            set: map,
            key: Register(0),
            value: Some(Register(0)),
            inverted: false,
        },
        Expression::DestinationNat {
            family,
            address: Register(0),
            port: Register(address_registers),
        },
    ]);
    steps
}

fn postrouting_rules() -> Vec<Rule> {
    const CHAIN: &str = "postrouting";
    let destination = |prefix: IpNet| {
        let mut steps = in_prefix(Side::Destination, prefix, Compare::Equal);
        steps.push(Expression::Verdict(Verdict::Return));
        rule(CHAIN, steps)
    };
    let network = |family: Family, set: &str| {
        let steps = vec![
            meta(Meta::Family, 0),
            equal(0, &[family.number()]),
            load_address(family, Side::Destination),
            lookup(set, false),
            Expression::Verdict(Verdict::Return),
        ];
        rule(CHAIN, steps)
    };
    // All of a range, unless it stays among such ranges.
    let whole = |family: Family, set: &str| {
        let steps = vec![
            meta(Meta::Family, 0),
            equal(0, &[family.number()]),
            load_address(family, Side::Source),
            lookup(set, false),
            load_address(family, Side::Destination),
            lookup(set, true),
            Expression::Masquerade,
        ];
        rule(CHAIN, steps)
    };
    let [networks4, networks6] = NETWORKS;
    let [masqueraded4, masqueraded6] = MASQUERADED;
    // Who connects from this host's loopback needs an answer to come back to it.
    let mut from_loopback = translated();
    from_loopback.extend(in_prefix(
        Side::Source,
        prefix("127.0.0.0", 8),
        Compare::Equal,
    ));
    from_loopback.push(Expression::Masquerade);
    let mut hairpin = translated();
    hairpin.push(jump(HAIRPIN));
    vec![
        rule(CHAIN, from_loopback),
        rule(CHAIN, hairpin),
        network(Family::Ipv4, networks4),
        network(Family::Ipv6, networks6),
        // Multicast and link-local destinations are reached without a router.
        destination(prefix("224.0.0.0", 4)),
        destination(prefix("ff00::", 8)),
        destination(prefix("fe80::", 10)),
        rule(CHAIN, vec![jump(MASQUERADE)]),
        whole(Family::Ipv4, masqueraded4),
        whole(Family::Ipv6, masqueraded6),
    ]
}

/// The set that a subnet needs.
pub(crate) fn subnet_set(set: &SubnetSet) -> Set {
    Set {
        name: set.to_string(),
        key: vec![match set.subnet {
            IpNet::V4(_) => DataType::Ipv4Address,
            IpNet::V6(_) => DataType::Ipv6Address,
        }],
        value: Vec::new(),
        interval: false,
    }
}

/// The chain that a subnet's rule stands in.
pub(crate) const fn subnet_chain(purpose: Use) -> &'static str {
    match purpose {
        Use::Masquerade => MASQUERADE,
        Use::Hairpin => HAIRPIN,
    }
}

/// The rule that uses a subnet's set. Its comment is the set's name.
pub(crate) fn subnet_rule(set: &SubnetSet) -> Rule {
    let (member, other, how) = match set.purpose {
        Use::Masquerade => (Side::Source, Side::Destination, Compare::NotEqual),
        Use::Hairpin => (Side::Destination, Side::Source, Compare::Equal),
    };
    let family = family_of(set.subnet.addr());
    let mut steps = vec![
        meta(Meta::Family, 0),
        equal(0, &[family.number()]),
        load_address(family, member),
        lookup(&set.to_string(), false),
    ];
    steps.extend(prefix_steps(other, set.subnet, how));
    steps.push(Expression::Masquerade);
    rule(subnet_chain(set.purpose), steps)
}

/// The rule of a port that is published under conditions.
pub(crate) fn conditional_rule(publish: &Publish, conditions: &[Condition]) -> Rule {
    let family = family_of(publish.target_ip);
    let mut steps = vec![meta(Meta::Family, 0), equal(0, &[family.number()])];
    if let Some(host) = publish.host_ip {
        steps.extend(prefix_steps(Side::Destination, host.into(), Compare::Equal));
    }
    for condition in conditions {
        let how = if condition.negated {
            Compare::NotEqual
        } else {
            Compare::Equal
        };
        steps.extend(prefix_steps(condition.side, condition.prefix, how));
    }
    steps.extend([
        meta(Meta::Protocol, 0),
        equal(0, &[publish.protocol.number()]),
        Expression::Payload {
            header: Header::Transport,
            offset: 2,
            length: 2,
            to: Register(0),
        },
        equal(0, &publish.host_port.to_be_bytes()),
        Expression::Constant {
            value: address_bytes(publish.target_ip),
            to: Register(0),
        },
        Expression::Constant {
            value: publish.target_port.to_be_bytes().to_vec(),
            to: Register(4),
        },
        Expression::DestinationNat {
            family,
            address: Register(0),
            port: Register(4),
        },
    ]);
    rule(CONDITIONAL, steps)
}

fn in_prefix(side: Side, prefix: IpNet, how: Compare) -> Vec<Expression> {
    let mut steps = vec![
        meta(Meta::Family, 0),
        equal(0, &[family_of(prefix.addr()).number()]),
    ];
    steps.extend(prefix_steps(side, prefix, how));
    steps
}

/// Compares an address with a prefix, where the family is known to be the prefix's.
fn prefix_steps(side: Side, prefix: IpNet, how: Compare) -> Vec<Expression> {
    if prefix.prefix_len() == 0 && how == Compare::Equal {
        return Vec::new();
    }
    let mut steps = vec![load_address(family_of(prefix.addr()), side)];
    if prefix.prefix_len() != prefix.max_prefix_len() {
        steps.push(Expression::Mask {
            register: Register(0),
            mask: address_bytes(prefix.netmask()),
        });
    }
    steps.push(Expression::Compare {
        register: Register(0),
        how,
        value: address_bytes(prefix.network()),
    });
    steps
}

fn load_address(family: Family, side: Side) -> Expression {
    let (source, length) = match family {
        Family::Ipv6 => (8, 16),
        _ => (12, 4),
    };
    let offset = match side {
        Side::Source => source,
        Side::Destination => source + length,
    };
    Expression::Payload {
        header: Header::Network,
        offset,
        length,
        to: Register(0),
    }
}

fn translated() -> Vec<Expression> {
    vec![
        Expression::ConnectionStatus { to: Register(0) },
        Expression::Mask {
            register: Register(0),
            mask: STATUS_DNAT.to_ne_bytes().to_vec(),
        },
        Expression::Compare {
            register: Register(0),
            how: Compare::NotEqual,
            value: vec![0; 4],
        },
    ]
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

fn prefix(address: &str, length: u8) -> IpNet {
    let address = host_prefix(address).addr();
    IpNet::new(address, length).unwrap_or_else(|_| address.into())
}

fn host_prefix(address: &str) -> IpNet {
    // Only called with the literals above, which the golden test reads back.
    address.parse::<IpAddr>().map_or_else(
        |_| IpNet::from(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
        IpNet::from,
    )
}

fn rule(chain: &'static str, expressions: Vec<Expression>) -> Rule {
    Rule { chain, expressions }
}

fn regular(name: &str) -> Chain {
    Chain {
        name: name.into(),
        base: None,
    }
}

fn meta(key: Meta, to: u8) -> Expression {
    Expression::Meta {
        key,
        to: Register(to),
    }
}

fn equal(register: u8, value: &[u8]) -> Expression {
    Expression::Compare {
        register: Register(register),
        how: Compare::Equal,
        value: value.to_vec(),
    }
}

fn lookup(set: &str, inverted: bool) -> Expression {
    Expression::Lookup {
        set: set.into(),
        key: Register(0),
        value: None,
        inverted,
    }
}

fn jump(chain: &str) -> Expression {
    Expression::Verdict(Verdict::Jump(chain.into()))
}
