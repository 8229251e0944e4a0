//! Serves the names of so many made up services, for measurements:
//! `dns-serve ADDRESS:PORT SERVICES [TRANSFERS]`. Each service has one instance that exposes
//! a port, which makes nine records. TRANSFERS is a range that may have whole zones. With
//! `dump` in place of the address it prints the records, one a line. It ends when its
//! standard input does.

use fairlead_dns::{Change, Instance, Server, Settings};
use fairlead_types::{Expose, Naming, ObjectName, PortNames, Protocol, ResourceName};
use std::collections::BTreeSet;
use std::error::Error;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [place, services, transfers @ ..] = arguments.as_slice() else {
        return Err("dns-serve ADDRESS:PORT|dump SERVICES [TRANSFERS]".into());
    };
    let services: u32 = services.parse()?;
    let transfers: Result<_, _> = transfers.iter().map(|range| range.parse()).collect();
    let server = Server::start(Settings {
        cluster: "c1".into(),
        servers: vec![Ipv4Addr::LOCALHOST.into()],
        ranges: vec!["10.0.0.0/8".parse()?],
        axfr: transfers?,
        recursion: Vec::new(),
        upstreams: Vec::new(),
        names: Arc::new(PortNames::common()),
    })?;
    let instances: Result<Vec<Instance>, _> = (0..services).map(instance).collect();
    server.apply(instances?.into_iter().map(Change::Insert));
    let mut out = std::io::stdout().lock();
    if place == "dump" {
        for record in server.records() {
            let (name, ttl, data) = (&record.name, record.ttl, &record.data);
            writeln!(out, "{name} {ttl} IN {} {data}", data.type_name())?;
        }
        return Ok(());
    }
    let errors = server.listen(&BTreeSet::from([place.parse()?]));
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    writeln!(out, "ready")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    server.stop();
    Ok(())
}

/// The instance of the service of that number.
fn instance(i: u32) -> Result<Instance, Box<dyn Error>> {
    Ok(Instance {
        node: format!("n{}", i % 100),
        object: ObjectName::new(format!("ns{}/svc/web{i}", i % 50))?,
        resource: Some(ResourceName::new("ip#0")?),
        ip: Ipv4Addr::from_bits(0x0a00_0000 + i + 1).into(),
        naming: Naming {
            hostname: None,
            app: None,
            expose: vec![Expose {
                port: 80,
                protocol: Protocol::Tcp,
                host_port: None,
            }],
        },
    })
}
