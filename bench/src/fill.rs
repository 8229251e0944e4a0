//! Fills a node's state, as if that many containers were attached already.

use crate::floor;
use crate::program::tool;
use crate::scenario::{BRIDGE, Case, NETWORK, SUBNET};
use anyhow::{Context, Result};
use fairlead_firewall::{Element, Firewall, Publish};
use fairlead_ipam::{IpamConfig, Request};
use fairlead_kernel::NetNs;
use fairlead_store::{Masquerade, PortClaim, Store};
use fairlead_types::{ContainerId, IfName, NetworkName, Owner, Protocol, Root};
use ipnet::IpNet;
use serde_json::Value;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// The first port that a filled node has taken.
const FIRST_PORT: u16 = 20_000;
/// How many set elements go in one transaction.
const AT_ONCE: usize = 500;

/// The address and the port of each container that is there already. The first ones
/// are left to the containers of the measurement.
fn taken(count: u32, first: u32) -> Vec<(Ipv4Addr, u16)> {
    let base = u32::from(Ipv4Addr::new(10, 88, 0, 0)) + first;
    (0..count)
        .map(|at| {
            (
                Ipv4Addr::from(base + at),
                FIRST_PORT + u16::try_from(at).unwrap_or(0),
            )
        })
        .collect()
}

/// Makes the floor's bridge, with this index, and its table, with so many elements.
///
/// # Errors
/// When a tool fails.
pub fn floor(host: &NetNs, bridge: u32, case: Case, count: u32) -> Result<()> {
    let index = bridge.to_string();
    tool(
        host,
        &[
            "ip", "link", "add", BRIDGE, "index", &index, "type", "bridge",
        ],
        "",
    )?;
    tool(
        host,
        &["ip", "address", "add", "10.88.0.1/16", "dev", BRIDGE],
        "",
    )?;
    tool(host, &["ip", "link", "set", BRIDGE, "up"], "")?;
    if case != Case::Plain {
        let table = floor::table(SUBNET, &taken(count, 0x1000));
        tool(host, &["nft", "-f", "-"], &table)?;
    }
    Ok(())
}

/// Takes addresses, and masquerades and ports where the case has them, in
/// Fairlead's store and firewall.
///
/// # Errors
/// When the store or the kernel refuses.
pub fn ours(host: &NetNs, root: &Path, conflist: &Value, case: Case, count: u32) -> Result<()> {
    let root = Root::new(root);
    let network = NetworkName::new(NETWORK)?;
    let mut config = conflist["plugins"][0].clone();
    config["cniVersion"] = conflist["cniVersion"].clone();
    let config = IpamConfig::from_value(&config, "")?;
    let pool = config.pool(&root, &network);
    let mut elements = Vec::new();
    Store::open(&root)?.write(|tx| -> Result<()> {
        for at in 0..count {
            let owner = owner(&network, at)?;
            let request = Request {
                pool: &pool,
                sets: &config.ranges,
                owner: &owner,
                netns: None,
                requested: &[],
            };
            let allocation = fairlead_ipam::allocate_in(tx, &request)?;
            let Some(lease) = allocation.leases.first() else {
                continue;
            };
            let (address, subnet) = (lease.address.addr(), lease.address.trunc());
            if case != Case::Plain {
                let addr = address;
                let owner = owner.clone();
                tx.add_masquerade(&Masquerade {
                    owner,
                    addr,
                    subnet,
                    netns: None,
                })?;
                elements.push(Element::Masquerade { address, subnet });
            }
            if case == Case::Port {
                let claim = claim(address, subnet, FIRST_PORT + u16::try_from(at).unwrap_or(0));
                elements.push(publish(&claim));
                tx.claim_ports(&owner, None, &[claim])?;
                elements.push(Element::Hairpin { address, subnet });
            }
        }
        Ok(())
    })?;
    host.run(|| -> Result<()> {
        let mut firewall = Firewall::open()?;
        for part in elements.chunks(AT_ONCE) {
            firewall.add(part)?;
        }
        Ok(())
    })?
}

fn owner(network: &NetworkName, at: u32) -> Result<Owner> {
    Ok(Owner {
        network: network.clone(),
        container: ContainerId::new(format!("taken{at:060}"))?,
        ifname: IfName::new("eth0")?,
    })
}

fn claim(address: IpAddr, subnet: IpNet, port: u16) -> PortClaim {
    PortClaim {
        protocol: Protocol::Tcp,
        host: None,
        port,
        target: SocketAddr::new(address, floor::CONTAINER_PORT),
        hairpin: Some(subnet),
        conditions: None,
    }
}

fn publish(claim: &PortClaim) -> Element {
    Element::Publish(Publish {
        protocol: claim.protocol,
        host_ip: claim.host,
        host_port: claim.port,
        target_ip: claim.target.ip(),
        target_port: claim.target.port(),
    })
}

/// Takes addresses in a directory of host-local, and makes the reference plugins'
/// iptables chains where the case has them.
///
/// # Errors
/// When a file cannot be written, or iptables refuses.
pub fn reference(host: &NetNs, data_dir: &Path, case: Case, count: u32) -> Result<()> {
    // The container that is attached already has 10.88.0.2.
    let taken = taken(count, 3);
    let dir = data_dir.join(NETWORK);
    let write = |name: &str, content: &str| {
        let path = dir.join(name);
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))
    };
    for (at, (address, _)) in taken.iter().enumerate() {
        write(&address.to_string(), &format!("taken{at:060}\r\neth0"))?;
    }
    if let Some((address, _)) = taken.last() {
        write("last_reserved_ip.0", &address.to_string())?;
    }
    if case != Case::Plain && count > 0 {
        tool(
            host,
            &["iptables-restore", "--noflush"],
            &chains(case, &taken),
        )?;
    }
    Ok(())
}

/// What the reference plugins would have made, for `iptables-restore`.
fn chains(case: Case, taken: &[(Ipv4Addr, u16)]) -> String {
    let mut heads = String::from("*nat\n");
    let mut rules = String::new();
    for (at, (address, port)) in taken.iter().enumerate() {
        let comment =
            format!("-m comment --comment \"name: \\\"{NETWORK}\\\" id: \\\"taken{at}\\\"\"");
        let _ = writeln!(heads, ":CNI-{at:024x} - [0:0]");
        let _ = write!(
            rules,
            "-A POSTROUTING -s {address}/32 {comment} -j CNI-{at:024x}\n\
             -A CNI-{at:024x} -d {SUBNET} {comment} -j ACCEPT\n\
             -A CNI-{at:024x} ! -d 224.0.0.0/4 {comment} -j MASQUERADE\n"
        );
        if case != Case::Port {
            continue;
        }
        let _ = writeln!(heads, ":CNI-DN-{at:021x} - [0:0]");
        let chain = format!("-A CNI-DN-{at:021x}");
        let to = format!("-p tcp -m tcp --dport {port}");
        let _ = write!(
            rules,
            "{chain} -s {SUBNET} {to} -j CNI-HOSTPORT-SETMARK\n\
             {chain} -s 127.0.0.1/32 {to} -j CNI-HOSTPORT-SETMARK\n\
             {chain} {to} -j DNAT --to-destination {address}:{}\n\
             -A CNI-HOSTPORT-DNAT -p tcp {comment} -m multiport --dports {port} -j CNI-DN-{at:021x}\n",
            floor::CONTAINER_PORT
        );
    }
    format!("{heads}{rules}COMMIT\n")
}
