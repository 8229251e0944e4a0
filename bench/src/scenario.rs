//! What is measured: who does it, what it is, and how full the node is.

use serde_json::{Value, json};
use std::fmt;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// The kernel's messages alone, as a program.
    Floor,
    /// The same messages by two programs, as a runtime calls `bridge` and `portmap`.
    FloorInTwo,
    /// The same without the start of a process.
    FloorInProcess,
    /// The reference plugins.
    Reference,
    /// Fairlead's plugins, each a program.
    Ours,
    /// Fairlead's own runtime, the whole chain in one process (`fairlead cni`).
    OursAtOnce,
}

impl Who {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::Floor,
        Self::FloorInTwo,
        Self::FloorInProcess,
        Self::Reference,
        Self::Ours,
        Self::OursAtOnce,
    ];

    /// Whether it is one of Fairlead's ways.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursAtOnce)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "floor",
            Self::FloorInTwo => "floor (two programs)",
            Self::FloorInProcess => "floor (no process start)",
            Self::Reference => "reference",
            Self::Ours => "ours (programs)",
            Self::OursAtOnce => "ours (one process)",
        })
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// An address on a bridge.
    Plain,
    /// The same, masqueraded.
    Masquerade,
    /// The same, and a published port.
    Port,
}

impl Case {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Masquerade, Self::Port];
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "bridge + host-local",
            Self::Masquerade => "with masquerade",
            Self::Port => "with masquerade and one port",
        })
    }
}

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scenario {
    /// Who.
    pub who: Who,
    /// What.
    pub case: Case,
    /// How many addresses (and, where the case has them, masquerades and ports) are
    /// taken already.
    pub taken: u32,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {} taken", self.who, self.case, self.taken)
    }
}

/// How many are taken.
pub const TAKEN: [u32; 3] = [0, 1_000, 10_000];

/// Everything there is to measure.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for case in Case::ALL {
        for taken in TAKEN {
            let scenarios = Who::ALL.map(|who| Scenario { who, case, taken });
            all.extend(
                scenarios
                    .into_iter()
                    .filter(|scenario| makes_sense(*scenario)),
            );
        }
    }
    all
}

fn makes_sense(scenario: Scenario) -> bool {
    let Scenario { who, case, taken } = scenario;
    match who {
        // It keeps no addresses.
        Who::Floor => case != Case::Plain || taken == 0,
        Who::FloorInTwo => case == Case::Port && taken == 0,
        Who::FloorInProcess => taken == 0,
        // Ten thousand iptables chains make each call take many seconds.
        Who::Reference => case == Case::Plain || taken <= 1_000,
        Who::Ours | Who::OursAtOnce => true,
    }
}

/// The network's name, everywhere.
pub const NETWORK: &str = "bench";
/// Its bridge.
pub const BRIDGE: &str = "bench0";
/// Its subnet.
pub const SUBNET: &str = "10.88.0.0/16";

impl Case {
    /// The CNI configuration list. `data_dir` is host-local's, where it is not to be
    /// the default.
    #[must_use]
    pub fn conflist(self, data_dir: Option<&str>) -> Value {
        let mut bridge = json!({
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "ipMasq": self != Self::Plain,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": SUBNET}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        });
        if let Some(dir) = data_dir {
            bridge["ipam"]["dataDir"] = dir.into();
        }
        let mut plugins = vec![bridge];
        if self == Self::Port {
            plugins.push(json!({"type": "portmap", "capabilities": {"portMappings": true}}));
        }
        json!({"cniVersion": "1.0.0", "name": NETWORK, "plugins": plugins})
    }
}

/// The value of the capability `portMappings`.
#[must_use]
pub fn port_mappings(port: u16) -> Value {
    let container = crate::floor::CONTAINER_PORT;
    json!([{"hostPort": port, "containerPort": container, "protocol": "tcp"}])
}
