//! Prints what each change of the firewall costs, with no element and with ten
//! thousand. Run as root: `cargo run --release -p fairlead-firewall --example firewall-cost`.

use fairlead_firewall::{Element, Firewall, FirewallError, Publish};
use fairlead_kernel::NetNs;
use fairlead_kernel::conntrack::{Conntrack, Filter};
use fairlead_types::Protocol;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const ROUNDS: u16 = 200;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("ns");
    let namespace = NetNs::create(&path)?;
    let measured = namespace.run(measure)?;
    NetNs::remove(&path)?;
    measured
}

fn measure() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let subnet: IpNet = "10.0.0.0/8".parse()?;
    let mut firewall = Firewall::open()?;
    let first = Instant::now();
    firewall.add(&[masquerade(0, subnet), publish(0)])?;
    println!("first change, makes the table: {:?}", first.elapsed());
    for filled in [0, 10_000] {
        let many: Vec<Element> = (1..=filled)
            .flat_map(|n| [publish(n), masquerade(n, subnet)])
            .collect();
        let start = Instant::now();
        firewall.add(&many)?;
        println!(
            "\n{filled} ports and addresses, added in {:?}",
            start.elapsed()
        );
        let port = [publish(20_000)];
        let address = [masquerade(20_000, subnet)];
        let both = [publish(20_000), masquerade(20_000, subnet)];
        for (name, elements) in [
            ("publish", &port[..]),
            ("masquerade", &address[..]),
            ("both in one", &both[..]),
        ] {
            let added = median_of(&mut firewall, |f| f.add(elements), |f| f.remove(elements))?;
            firewall.add(elements)?;
            let removed = median_of(&mut firewall, |f| f.remove(elements), |f| f.add(elements))?;
            firewall.remove(elements)?;
            println!("  {name}: add {added:?}, remove {removed:?}");
        }
        let absent = median_of(&mut firewall, |f| f.remove(&both), |_| Ok(()))?;
        println!("  remove what is not there: {absent:?}");
        let start = Instant::now();
        let listed = firewall.list()?.len();
        println!("  list of {listed}: {:?}", start.elapsed());
        let start = Instant::now();
        firewall.ensure()?;
        println!("  ensure: {:?}", start.elapsed());
        let other = Element::Publish(Publish {
            target_port: 81,
            ..port_of(0)
        });
        let start = Instant::now();
        assert!(firewall.add(&[other]).is_err_and(|e| e.is_taken()));
        println!("  refused, the port is taken: {:?}", start.elapsed());
    }
    closing(subnet)?;
    conntrack()
}

/// What it costs to end with the handle, as a process does, after a change.
fn closing(subnet: IpNet) -> Result<(), FirewallError> {
    let both = [publish(20_000), masquerade(20_000, subnet)];
    type Change = fn(&mut Firewall, &[Element]) -> Result<(), FirewallError>;
    for (name, change) in [
        ("adding", Firewall::add as Change),
        ("removing", Firewall::remove),
    ] {
        let mut firewall = Firewall::open()?;
        change(&mut firewall, &both)?;
        let start = Instant::now();
        drop(firewall);
        println!("closing the handle after {name}: {:?}", start.elapsed());
    }
    Ok(())
}

fn conntrack() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut conntrack = Conntrack::open()?;
    let filter = Filter::to_port(false, Protocol::Udp, 53);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        conntrack.flush(&filter)?;
    }
    println!(
        "\nflush of no connection: {:?}",
        start.elapsed() / ROUNDS.into()
    );
    Ok(())
}

/// The median time of `step`, with `back` undoing it each time.
fn median_of(
    firewall: &mut Firewall,
    step: impl Fn(&mut Firewall) -> Result<(), FirewallError>,
    back: impl Fn(&mut Firewall) -> Result<(), FirewallError>,
) -> Result<Duration, FirewallError> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        step(firewall)?;
        times.push(start.elapsed());
        back(firewall)?;
    }
    times.sort();
    Ok(times[times.len() / 2])
}

fn address(n: u16) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + u32::from(n)).into()
}

fn port_of(n: u16) -> Publish {
    Publish {
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port: n,
        target_ip: address(n),
        target_port: 80,
    }
}

fn publish(n: u16) -> Element {
    Element::Publish(port_of(n))
}

fn masquerade(n: u16, subnet: IpNet) -> Element {
    Element::Masquerade {
        address: address(n),
        subnet,
    }
}
