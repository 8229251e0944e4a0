//! A server on a port of its own, and those who ask it.

#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use fairlead_dns::{Change, Instance, Server, Settings};
use fairlead_types::{Expose, HostName, Naming, ObjectName, PortNames, ResourceName};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn settings() -> Settings {
    Settings {
        cluster: "c1".into(),
        servers: vec!["127.0.0.1".parse().unwrap()],
        ranges: vec![
            "10.22.0.0/16".parse().unwrap(),
            "fd00:1::/32".parse().unwrap(),
        ],
        axfr: vec!["127.0.0.1/32".parse().unwrap()],
        recursion: Vec::new(),
        upstreams: Vec::new(),
        names: Arc::new(PortNames::common()),
    }
}

pub(crate) fn instance(name: &str, ip: &str, hostname: &str, expose: &str) -> Instance {
    Instance {
        node: "n1".into(),
        object: ObjectName::new(format!("ns1/svc/{name}")).unwrap(),
        resource: Some(ResourceName::new("ip#0").unwrap()),
        ip: ip.parse().unwrap(),
        naming: Naming {
            hostname: HostName::new(hostname).ok(),
            app: None,
            expose: Expose::list(expose, &PortNames::common()).unwrap(),
        },
    }
}

pub(crate) fn inserted(all: Vec<Instance>) -> Vec<Change> {
    all.into_iter().map(Change::Insert).collect()
}

/// A port of loopback that nobody has, over UDP and TCP. Another may take it before it is
/// used: the caller tries again then.
pub(crate) fn free_port() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Makes a server listen on a free port of loopback.
pub(crate) fn listen(server: &Server) -> SocketAddr {
    loop {
        let address = free_port();
        if server.listen(&BTreeSet::from([address])).is_empty() {
            return address;
        }
    }
}

/// A server with these instances, and where it listens.
pub(crate) fn start(settings: Settings, instances: Vec<Instance>) -> (Server, SocketAddr) {
    let server = Server::start(settings).unwrap();
    server.apply(inserted(instances));
    let address = listen(&server);
    (server, address)
}

/// What `dig` saw.
#[derive(Debug)]
pub(crate) struct Dig {
    pub(crate) status: String,
    pub(crate) flags: Vec<String>,
    /// Name, TTL, type and data of the answers.
    pub(crate) answers: Vec<String>,
    pub(crate) authority: Vec<String>,
    pub(crate) additional: Vec<String>,
    pub(crate) text: String,
}

impl Dig {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    /// The data of the answers, sorted.
    pub(crate) fn data(&self) -> Vec<&str> {
        let last = |line: &'_ String| line.splitn(4, ' ').nth(3).map(str::len);
        let data = self.answers.iter();
        let mut data: Vec<&str> = data
            .map(|line| &line[line.len() - last(line).unwrap_or(0)..])
            .collect();
        data.sort_unstable();
        data
    }
}

/// Asks by `dig`.
pub(crate) fn dig(server: SocketAddr, arguments: &[&str]) -> Dig {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+time=10", "+tries=1"])
        .args(arguments)
        .output()
        .expect("dig is needed: install bind9-dnsutils");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut dig = Dig {
        status: String::new(),
        flags: Vec::new(),
        answers: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        text: text.clone(),
    };
    let mut section = "";
    for line in text.lines() {
        let between = |start: &str, end: char| {
            let (_, rest) = line.split_once(start)?;
            rest.split(end).next().map(str::to_owned)
        };
        if line.starts_with(";; ->>HEADER<<-") {
            dig.status = between("status: ", ',').unwrap();
        } else if line.starts_with(";; flags:") {
            let flags = between("flags: ", ';').unwrap();
            dig.flags = flags.split(' ').map(str::to_owned).collect();
        } else if let Some(name) = line.strip_suffix(" SECTION:") {
            section = name.trim_start_matches(";; ");
        } else if !line.is_empty() && !line.starts_with(';') {
            let mut words = line.split_whitespace();
            let mut next = || words.next().unwrap_or("");
            let (name, ttl, _, rtype) = (next(), next(), next(), next());
            let data: Vec<&str> = words.collect();
            let record = format!("{name} {ttl} {rtype} {}", data.join(" "));
            match section {
                "AUTHORITY" => dig.authority.push(record),
                "ADDITIONAL" => dig.additional.push(record),
                // A transfer has no sections.
                _ => dig.answers.push(record),
            }
        }
    }
    dig
}

/// Waits until something is so.
pub(crate) fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that ends with this value.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null());
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
