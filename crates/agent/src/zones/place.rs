//! Where the cluster's names are answered, and by which settings.

use fairlead_attach::Attachment;
use fairlead_cluster::{PublishedAddress, nameservers};
use fairlead_config::{Config, ConfigError, KeyPath, Value};
use fairlead_dns::{Backend, DnsError, Server, Settings};
use fairlead_kernel::Route;
use fairlead_types::{PortNames, Root};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The port of a server that is asked.
const DNS: u16 = 53;

/// What the zones are made from, as declared; the addresses in `own` are not asked.
pub(crate) fn settings(
    config: &Config,
    own: &BTreeSet<SocketAddr>,
) -> Result<Settings, ConfigError> {
    let (networks, _) = config.networks();
    let ranges = networks.iter().flat_map(|network| network.ranges.clone());
    let is_routable = |range: &IpNet| !range.addr().is_loopback();
    let upstreams = upstreams(config)?;
    Ok(Settings {
        cluster: config.cluster_name()?,
        servers: config.dns()?,
        ranges: ranges.filter(is_routable).collect(),
        axfr: cidrs(config, "allow_axfr")?,
        recursion: cidrs(config, "allow_recursion")?,
        upstreams: upstreams.into_iter().filter(|s| !own.contains(s)).collect(),
        // The names of ports are the system's, wherever our own files are.
        names: Arc::new(PortNames::read(&Root::default())),
    })
}

fn cidrs(config: &Config, option: &str) -> Result<Vec<IpNet>, ConfigError> {
    Ok(match config.eval(&KeyPath::new("dns", option))? {
        Some(Value::Ranges(ranges)) => ranges,
        _ => Vec::new(),
    })
}

fn upstreams(config: &Config) -> Result<Vec<SocketAddr>, ConfigError> {
    let declared = match config.eval(&KeyPath::new("dns", "upstreams"))? {
        Some(value) => value.elements(),
        None => Vec::new(),
    };
    if declared.is_empty() {
        // The agents of other nodes would ask this one in turn.
        let agents = config.dns()?;
        let servers = nameservers(config.root()).into_iter();
        let servers = servers.filter(|server| !agents.contains(server));
        return Ok(servers.map(|ip| SocketAddr::new(ip, DNS)).collect());
    }
    Ok(declared.iter().filter_map(|s| s.parse().ok()).collect())
}

/// Where names are answered: at the addresses of `cluster.dns` that are this node's, and at
/// those of its networks' bridges.
///
/// # Errors
/// A keyword or the kernel, in words.
pub(crate) fn listening(config: &Config) -> Result<BTreeSet<SocketAddr>, String> {
    let port = config.dns_port().map_err(|e| e.to_string())?;
    let declared = config.dns().map_err(|e| e.to_string())?;
    let (networks, _) = config.networks();
    let mut route = Route::open().map_err(|e| e.to_string())?;
    let links = route.links().map_err(|e| e.to_string())?;
    let mut found: BTreeSet<IpAddr> = BTreeSet::new();
    // Index 0 stands for every link.
    for address in route.addresses(0).map_err(|e| e.to_string())? {
        let ip = address.net.addr();
        let link = links.iter().find(|link| link.index == address.index);
        let is_gateway = networks.iter().any(|network| {
            let has_it = network.ranges.iter().any(|range| range.contains(&ip));
            let bridge = network.bridge.as_ref();
            has_it && bridge.is_some_and(|name| link.is_some_and(|link| link.name == name.as_str()))
        });
        if is_gateway || declared.contains(&ip) {
            found.insert(ip);
        }
    }
    let all = found.into_iter().map(|ip| SocketAddr::new(ip, port));
    Ok(all.collect())
}

/// Whom a command of this node asks for names: where its agent answers, else the servers of
/// `cluster.dns`.
///
/// # Errors
/// A keyword or the kernel, in words.
pub fn dns_servers(config: &Config) -> Result<Vec<SocketAddr>, String> {
    let own = listening(config)?;
    if !own.is_empty() {
        return Ok(own.into_iter().collect());
    }
    let port = config.dns_port().map_err(|e| e.to_string())?;
    let declared = config.dns().map_err(|e| e.to_string())?;
    Ok(declared
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

/// The socket for PowerDNS, for the user and group that are declared.
pub(super) fn backend(server: &Server, config: &Config) -> Result<Backend, String> {
    let id = |option: &str, file: &str| -> Result<u32, String> {
        let value = config.eval(&KeyPath::new("listener", option));
        let value = value.map_err(|e| e.to_string())?;
        let value = value.map(|v| v.to_string()).unwrap_or_default();
        let number = value.parse().ok();
        number
            .or_else(|| by_name(file, &value))
            .ok_or_else(|| format!("listener.{option} = {value:?}: {file} has no such name"))
    };
    let uid = id("dns_sock_uid", "/etc/passwd")?;
    let gid = id("dns_sock_gid", "/etc/group")?;
    let dir = config.root().dns();
    let made = std::fs::create_dir_all(&dir)
        .and_then(|()| std::fs::set_permissions(&dir, Permissions::from_mode(0o750)))
        .and_then(|()| chown(&dir, Some(uid), Some(gid)));
    made.map_err(|e| format!("make {}: {e}", dir.display()))?;
    let path = dir.join("pdns.sock");
    Backend::start(server, &path, uid, gid).map_err(|e: DnsError| e.to_string())
}

/// The number of a user or group; a static program has no NSS.
fn by_name(file: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|l| l.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// The addresses of an attachment, as they are published.
pub(super) fn published<'a>(
    node: &'a str,
    attachment: &'a Attachment,
) -> impl Iterator<Item = PublishedAddress> + 'a {
    let text = |name: Option<String>| name.unwrap_or_default();
    attachment.addresses.iter().map(move |ip| PublishedAddress {
        node: node.to_owned(),
        network: attachment.owner.network.clone(),
        ip: *ip,
        object: text(attachment.object.as_ref().map(ToString::to_string)),
        resource: text(attachment.resource.as_ref().map(ToString::to_string)),
        naming: attachment.naming.clone(),
        container: attachment.owner.container.to_string(),
        ifname: attachment.owner.ifname.to_string(),
        since: attachment.since,
    })
}

/// The serial number of a zone that begins now: it moves on from there, and a later begin
/// is always further, as nothing changes more often than once a second for long.
pub(crate) fn serial_now() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // It wraps in 2106, which RFC 1982 allows for.
    now.map_or(0, |now| (now.as_secs() & u64::from(u32::MAX)) as u32)
}
