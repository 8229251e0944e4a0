//! One step of a setup, and what takes it back.

use super::path_step::PathStep;
use fairlead_firewall::Ranges;
use fairlead_types::{IfName, Mac, NetworkName};
use ipnet::IpNet;
use serde::Serialize;
use std::fmt;
use std::mem::swap;
use std::path::PathBuf;

/// Steps that belong together: when one fails, those before it are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The network it is for; none for what all share.
    pub network: Option<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Whether it takes away what others may still need until what takes its place is there:
    /// it is left for another time when making that failed.
    pub cleans_up: bool,
}

/// One change. Each happens whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Make a bridge, down, with the mark of its network.
    CreateBridge {
        /// The network.
        network: NetworkName,
        /// The bridge.
        bridge: IfName,
        /// Its hardware address.
        mac: Mac,
        /// The greatest packet it takes, in bytes, where that is not the kernel's default.
        mtu: Option<u32>,
    },
    /// Delete a bridge that has the mark of a network and no port.
    DeleteBridge {
        /// The network of the mark.
        network: String,
        /// The bridge.
        bridge: IfName,
    },
    /// Give a bridge the mark of a network, in its alias.
    Mark {
        /// The bridge.
        bridge: IfName,
        /// The alias.
        alias: String,
        /// The alias it had.
        previous: String,
    },
    /// Set a bridge up or down.
    SetLink {
        /// The bridge.
        bridge: IfName,
        /// Whether up.
        up: bool,
    },
    /// Set the greatest packet of a link.
    SetMtu {
        /// The link.
        link: IfName,
        /// The greatest packet, in bytes.
        mtu: u32,
        /// What it was.
        previous: u32,
    },
    /// Add an address to a bridge, and remember that.
    AddAddress {
        /// The network.
        network: String,
        /// The bridge.
        bridge: IfName,
        /// The address.
        address: IpNet,
    },
    /// Take away an address that setup had added.
    RemoveAddress {
        /// The network it was added for.
        network: String,
        /// The bridge.
        bridge: IfName,
        /// The address.
        address: IpNet,
    },
    /// Change a kernel setting.
    SetSysctl {
        /// The setting, with slashes.
        key: String,
        /// The value.
        value: String,
        /// The value it had.
        previous: String,
    },
    /// Write a CNI file.
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Its text.
        #[serde(skip)]
        text: String,
        /// The text it had, if it was there.
        #[serde(skip)]
        previous: Option<String>,
    },
    /// Remove a file.
    RemoveFile {
        /// The file.
        path: PathBuf,
        /// The text it had; none for what an interrupted setup left, which is not
        /// worth putting back.
        #[serde(skip)]
        previous: Option<String>,
    },
    /// Tell the firewall between which ranges nothing is translated, and which of them
    /// are translated on their way out.
    SetRanges {
        /// The ranges.
        #[serde(flatten, serialize_with = "both")]
        ranges: Ranges,
        /// Those it had.
        #[serde(skip)]
        previous: Ranges,
    },
    /// A change of the ways to other nodes.
    #[serde(untagged)]
    Path(PathStep),
}

impl Step {
    /// The step that takes this one back; none for the one that cannot be, which is
    /// last in its job.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let mut step = self.clone();
        match &mut step {
            Self::SetLink { up, .. } => *up = !*up,
            Self::Mark {
                alias: new,
                previous: old,
                ..
            }
            | Self::SetSysctl {
                value: new,
                previous: old,
                ..
            }
            | Self::WriteFile {
                text: new,
                previous: Some(old),
                ..
            } => swap(new, old),
            Self::SetRanges { ranges, previous } => swap(ranges, previous),
            Self::SetMtu { mtu, previous, .. } => swap(mtu, previous),
            Self::Path(step) => *step = step.inverse(),
            Self::CreateBridge { .. }
            | Self::DeleteBridge { .. }
            | Self::AddAddress { .. }
            | Self::RemoveAddress { .. }
            | Self::WriteFile { previous: None, .. }
            | Self::RemoveFile { .. } => return self.opposite(),
        }
        Some(step)
    }

    /// The inverse of a step that makes or removes something: another kind of step.
    fn opposite(&self) -> Option<Self> {
        match self.clone() {
            Self::CreateBridge {
                network, bridge, ..
            } => Some(Self::DeleteBridge {
                network: network.into(),
                bridge,
            }),
            Self::AddAddress {
                network,
                bridge,
                address,
            } => Some(Self::RemoveAddress {
                network,
                bridge,
                address,
            }),
            Self::RemoveAddress {
                network,
                bridge,
                address,
            } => Some(Self::AddAddress {
                network,
                bridge,
                address,
            }),
            Self::WriteFile {
                path,
                text,
                previous: None,
            } => Some(Self::RemoveFile {
                path,
                previous: Some(text),
            }),
            Self::RemoveFile {
                path,
                previous: Some(text),
            } => Some(Self::WriteFile {
                path,
                text,
                previous: None,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge {
                network, bridge, ..
            } => {
                write!(f, "create bridge {bridge} for network {network}")
            }
            Self::DeleteBridge { network, bridge } => {
                write!(f, "delete bridge {bridge} of network {network}")
            }
            Self::Mark { bridge, alias, .. } => write!(f, "mark bridge {bridge} as {alias:?}"),
            Self::SetLink { bridge, up: true } => write!(f, "set {bridge} up"),
            Self::SetLink { bridge, up: false } => write!(f, "set {bridge} down"),
            Self::AddAddress {
                bridge, address, ..
            } => write!(f, "add {address} to {bridge}"),
            Self::RemoveAddress {
                bridge, address, ..
            } => {
                write!(f, "remove {address} from {bridge}")
            }
            Self::SetSysctl { key, value, .. } => write!(f, "set {key} to {value}"),
            Self::WriteFile {
                path,
                previous: None,
                ..
            } => write!(f, "write {}", path.display()),
            Self::WriteFile { path, .. } => write!(f, "rewrite {}", path.display()),
            Self::RemoveFile { path, .. } => write!(f, "remove {}", path.display()),
            Self::SetMtu { link, mtu, .. } => write!(f, "set the mtu of {link} to {mtu}"),
            Self::SetRanges { ranges, .. } => write_ranges(f, ranges),
            Self::Path(step) => step.fmt(f),
        }
    }
}

fn both<S: serde::Serializer>(ranges: &Ranges, to: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = to.serialize_map(Some(2))?;
    map.serialize_entry("ranges", &ranges.networks)?;
    map.serialize_entry("masqueraded", &ranges.masqueraded)?;
    map.end()
}

fn write_ranges(f: &mut fmt::Formatter<'_>, ranges: &Ranges) -> fmt::Result {
    if ranges.networks.is_empty() {
        return f.write_str("declare no ranges to the firewall");
    }
    let list = |ranges: &[IpNet]| {
        let texts: Vec<_> = ranges.iter().map(IpNet::to_string).collect();
        texts.join(", ")
    };
    let networks = list(&ranges.networks);
    write!(f, "declare to the firewall the ranges {networks}")?;
    match ranges.masqueraded.is_empty() {
        true => Ok(()),
        false => write!(f, ", masquerading {}", list(&ranges.masqueraded)),
    }
}
