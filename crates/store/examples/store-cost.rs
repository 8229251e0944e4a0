//! What one short process pays for node state: opening the file, one write
//! transaction as an ADD makes it, closing.
//!
//! `cost FILE fill N` takes N addresses and ports; `cost FILE add N` opens,
//! writes and closes N times and prints the medians; `cost FILE once` does it once,
//! for `strace -c`; `cost FILE storm N` has N processes of itself do it at once.
#![forbid(unsafe_code)]

use fairlead_store::{
    Actor, BootId, NetnsRef, NewAddress, NewAttachment, PortClaim, Store, StoreError, Tx,
};
use fairlead_types::{Owner, Protocol};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

const RESULT: &str = r#"{"cniVersion":"1.0.0","interfaces":[{"name":"br0","mac":"0a:58:0a:16:00:01"},{"name":"veth12345678","mac":"0a:58:0a:16:00:01"},{"name":"eth0","mac":"0a:58:0a:16:00:02","sandbox":"/run/netns/x"}],"ips":[{"interface":2,"address":"10.22.0.2/16","gateway":"10.22.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{}}"#;
const CONFIG: &str = r#"{"cniVersion":"1.0.0","name":"net1","plugins":[{"type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","subnet":"10.22.0.0/16","routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap","capabilities":{"portMappings":true}}]}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [file, "fill", count] => fill(Path::new(file), count.parse()?)?,
        [file, "add", count] => measure(Path::new(file), count.parse()?)?,
        [file, "once"] => drop(once(Path::new(file), std::process::id())?),
        [file, "storm", count] => storm(file, count.parse()?)?,
        _ => return Err("cost FILE fill N | add N | once | storm N".into()),
    }
    Ok(())
}

fn owner(number: u32) -> Result<Owner, Box<dyn std::error::Error>> {
    Ok(Owner {
        network: "net1".parse()?,
        container: format!("{number:064x}").parse()?,
        ifname: "eth0".parse()?,
    })
}

fn add(tx: &Tx<'_>, owner: &Owner) -> Result<(), StoreError> {
    let netns = NetnsRef {
        path: "/run/netns/x".into(),
        dev: 4,
        ino: 4_026_532_000,
        born: 0,
    };
    let start = tx.cursors("net1")?.and_then(|c| c.first().map(|(_, a)| *a));
    let start = start.unwrap_or(IpAddr::V4(Ipv4Addr::new(10, 22, 0, 2)));
    let addr = tx.first_free("net1", start)?.unwrap_or(start);
    let (netns, id) = (Some(&netns), &owner.container.as_str()[48..]);
    tx.begin_attachment(&NewAttachment {
        owner,
        id,
        netns,
        object: None,
        resource: None,
        naming: None,
        actor: Some(Actor { pid: 1, started: 1 }),
        host_ifname: None,
        config: CONFIG,
        args: None,
        capability_args: None,
    })?;
    tx.take_address(&NewAddress {
        pool: "net1",
        addr,
        owner,
        netns,
        boot_lived: true,
    })?;
    tx.set_cursor("net1", 0, addr)?;
    let claim = PortClaim {
        protocol: Protocol::Tcp,
        host: None,
        port: 1 + (u16::try_from(addr_number(addr) % 60_000).unwrap_or(0)),
        target: SocketAddr::new(addr, 80),
        hairpin: None,
        conditions: None,
    };
    tx.claim_ports(owner, netns, &[claim])
}

fn addr_number(addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(_) => 0,
    }
}

fn remove(tx: &Tx<'_>, owner: &Owner) -> Result<(), StoreError> {
    tx.free_addresses_in("net1", owner)?;
    tx.release_ports(owner)?;
    tx.remove_attachment(owner).map(drop)
}

fn fill(file: &Path, count: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut store = Store::open_file(file, &BootId::current()?)?;
    let owners = (0..count).map(owner).collect::<Result<Vec<_>, _>>()?;
    store.write(|tx| owners.iter().try_for_each(|owner| add(tx, owner)))?;
    store.checkpoint_if_large()?;
    Ok(())
}

/// How long opening took, and opening, writing and closing together.
fn once(file: &Path, number: u32) -> Result<[Duration; 3], Box<dyn std::error::Error>> {
    let owner = owner(1_000_000 + number)?;
    let start = Instant::now();
    let mut store = Store::open_file(file, &BootId::current()?)?;
    let opened = start.elapsed();
    store.write(|tx| add(tx, &owner))?;
    let written = start.elapsed();
    drop(store);
    Ok([opened, written, start.elapsed()])
}

fn measure(file: &Path, count: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut times = [const { Vec::new() }; 4];
    for number in 0..count {
        for (times, time) in times.iter_mut().zip(once(file, number)?) {
            times.push(time);
        }
        let owner = owner(1_000_000 + number)?;
        let mut store = Store::open_file(file, &BootId::current()?)?;
        let start = Instant::now();
        store.write(|tx| tx.attachment_ready(&owner, RESULT, None))?;
        times[3].push(start.elapsed());
        store.write(|tx| remove(tx, &owner))?;
        store.checkpoint_if_large()?;
    }
    let names = [
        "open",
        "open+write",
        "open+write+close",
        "ready (2nd write)",
    ];
    for (name, mut times) in names.into_iter().zip(times) {
        times.sort_unstable();
        println!("{name:<20} median {:?}", times[times.len() / 2]);
    }
    Ok(())
}

fn storm(file: &str, count: u32) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let children = (0..count).map(|_| {
        std::process::Command::new("/proc/self/exe")
            .args([file, "once"])
            .spawn()
    });
    let children = children.collect::<Result<Vec<_>, _>>()?;
    let started = start.elapsed();
    for mut child in children {
        if !child.wait()?.success() {
            return Err("a process of the storm failed".into());
        }
    }
    println!(
        "{count} processes: started in {started:?}, done in {:?}",
        start.elapsed()
    );
    Ok(())
}
