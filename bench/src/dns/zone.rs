//! Made up services, and the files from which the servers and `dnsperf` read them.

use anyhow::{Context, Result};
use fairlead_dns::{Change, Instance, RType, Record, RecordData, Server, Settings};
use fairlead_types::{Expose, Naming, ObjectName, PortNames, Protocol, ResourceName};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many questions are asked before they begin again.
const QUESTIONS: u32 = 200_000;

/// Our server with so many services. It listens nowhere yet.
pub(super) fn server(services: u32) -> Result<Server> {
    let server = Server::start(Settings {
        cluster: "c1".into(),
        servers: vec![Ipv4Addr::LOCALHOST.into()],
        ranges: vec!["10.0.0.0/8".parse().context("a range")?],
        axfr: Vec::new(),
        recursion: Vec::new(),
        upstreams: Vec::new(),
        names: Arc::new(PortNames::common()),
    })?;
    let instances: Result<Vec<Instance>> = (0..services).map(instance).collect();
    server.apply(instances?.into_iter().map(Change::Insert));
    Ok(server)
}

/// The instance of the service of that number: nine records.
fn instance(i: u32) -> Result<Instance> {
    Ok(Instance {
        node: format!("n{}", i % 100),
        object: ObjectName::new(format!("ns{}/svc/web{i}", i % 50))?,
        resource: Some(ResourceName::new("ip#0")?),
        ip: address(i).into(),
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

fn address(i: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + i)
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("make {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// The questions: an address, a service and a name of an address in turns, of services that
/// follow each other in no order.
pub(super) fn questions(services: u32, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(format!("questions-{services}"));
    let mut file = create(&path)?;
    let mut state = 1u64;
    for k in 0..QUESTIONS {
        // Knuth's multiplier (MMIX); the upper bits are the random ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let i = u32::try_from((state >> 33) % u64::from(services))?;
        let base = format!("web{i}.ns{}.svc.c1", i % 50);
        match k % 3 {
            0 => writeln!(file, "{base} A")?,
            1 => writeln!(file, "_http._tcp.{base} SRV")?,
            _ => {
                let [a, b, c, d] = address(i).octets();
                writeln!(file, "{d}.{c}.{b}.{a}.in-addr.arpa PTR")?;
            }
        }
    }
    file.flush()?;
    Ok(path)
}

fn records(services: u32) -> Result<Vec<Record>> {
    let server = server(services)?;
    let records = server.records();
    server.stop();
    Ok(records)
}

/// The zones' files for `PowerDNS`' bind backend, and the file that names them.
pub(super) fn bind(services: u32, dir: &Path) -> Result<PathBuf> {
    let mut records = records(services)?;
    // The SOA record comes first.
    records.sort_by_key(|record| record.data.rtype() != RType::SOA);
    let origins = ["c1.", "10.in-addr.arpa."];
    let named = dir.join("named.conf");
    let mut conf = create(&named)?;
    for origin in origins {
        let path = dir.join(format!("{origin}zone"));
        let mut file = create(&path)?;
        let inside = |name: &str| name == origin || name.ends_with(&format!(".{origin}"));
        for record in records.iter().filter(|record| inside(&record.name)) {
            let (name, ttl, data) = (&record.name, record.ttl, &record.data);
            writeln!(file, "{name} {ttl} IN {} {data}", data.type_name())?;
        }
        file.flush()?;
        let zone = origin.trim_end_matches('.');
        writeln!(
            conf,
            "zone \"{zone}\" {{ type master; file \"{}\"; }};",
            path.display()
        )?;
    }
    conf.flush()?;
    Ok(named)
}

/// `dnsmasq`'s configuration. Addresses and their names stand in a file of hosts, where it
/// finds them quickest.
pub(super) fn dnsmasq(services: u32, dir: &Path) -> Result<PathBuf> {
    let (hosts, path) = (dir.join("hosts"), dir.join("dnsmasq.conf"));
    let (mut hosts_file, mut conf) = (create(&hosts)?, create(&path)?);
    writeln!(conf, "addn-hosts={}", hosts.display())?;
    for record in records(services)? {
        let name = record.name.trim_end_matches('.');
        match &record.data {
            RecordData::A(ip) => writeln!(hosts_file, "{ip} {name}")?,
            RecordData::Srv {
                port,
                target,
                priority,
                weight,
            } => {
                let target = target.trim_end_matches('.');
                writeln!(conf, "srv-host={name},{target},{port},{priority},{weight}")?;
            }
            _ => {}
        }
    }
    hosts_file.flush()?;
    conf.flush()?;
    Ok(path)
}
