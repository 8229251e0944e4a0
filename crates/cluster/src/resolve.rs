//! Looking names up: `etc/hosts`, then the nameservers of `etc/resolv.conf`.
//!
//! A static program has no NSS, so both files are read here.

use fairlead_types::Root;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::parse_resolv_conf;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinSet;

/// By name: its addresses of both families, in their order, at least one; or why there
/// is none.
pub type Resolved = BTreeMap<String, Result<Vec<IpAddr>, String>>;

/// Looks all names up at once, each for at most `limit`, so none holds up another.
///
/// `etc/hosts` and `etc/resolv.conf` are those below `root` where they exist, else the
/// machine's. Addresses that only the host itself has are left out (specification 6.4):
/// 127.0.0.0/8, ::1, fe80::/10. A name that `etc/hosts` gives another address is not
/// asked for elsewhere. An address is its own name.
#[must_use]
pub fn resolve(root: &Root, names: &BTreeSet<String>, limit: Duration) -> Resolved {
    let hosts = Hosts::read(root);
    let mut found = BTreeMap::new();
    let mut ask = Vec::new();
    for name in names {
        if let Ok(ip) = name.parse() {
            found.insert(name.clone(), Ok(vec![ip]));
            continue;
        }
        match hosts.usable(name) {
            list if list.is_empty() => ask.push(name.clone()),
            list => {
                found.insert(name.clone(), Ok(list));
            }
        }
    }
    if !ask.is_empty() {
        found.extend(ask_servers(root, &ask, &hosts, limit));
    }
    found
}

/// Asks the nameservers for every name at once.
fn ask_servers(root: &Root, names: &[String], hosts: &Hosts, limit: Duration) -> Resolved {
    let all = |reason: &str| {
        let reason = |name: &String| (name.clone(), Err(hosts.because(name, reason)));
        names.iter().map(reason).collect()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return all(&format!("the lookup cannot be started: {e}")),
    };
    runtime.block_on(async {
        let resolver = match resolver(root, limit) {
            Ok(resolver) => resolver,
            Err(reason) => return all(&reason),
        };
        let mut tasks = JoinSet::new();
        for name in names {
            let (resolver, name) = (resolver.clone(), name.clone());
            tasks.spawn(async move {
                let answer = tokio::time::timeout(limit, resolver.lookup_ip(name.as_str())).await;
                let result = match answer {
                    Ok(Ok(lookup)) => Ok(lookup.iter().collect::<Vec<_>>()),
                    Ok(Err(e)) => Err(e.to_string()),
                    Err(_) => Err(format!(
                        "no nameserver answered within {} ms",
                        limit.as_millis()
                    )),
                };
                (name, result)
            });
        }
        let mut found = BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            let Ok((name, result)) = done else { continue };
            let result = match result.map(usable) {
                Ok(list) if list.is_empty() => {
                    Err(hosts.because(&name, "it has no address that others reach"))
                }
                // A nameserver may turn the addresses round at each answer.
                Ok(mut list) => {
                    list.sort_unstable();
                    Ok(list)
                }
                Err(reason) => Err(hosts.because(&name, &reason)),
            };
            found.insert(name, result);
        }
        found
    })
}

fn resolver(root: &Root, limit: Duration) -> Result<TokioResolver, String> {
    let path = file(root, "/etc/resolv.conf");
    let text = std::fs::read(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
    let (config, mut options) = parse_resolv_conf(text)
        .map_err(|e| format!("it is not in /etc/hosts, and {}: {e}", path.display()))?;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    // The second server has its turn within the limit.
    options.timeout = (limit / 3).max(Duration::from_millis(1));
    options.attempts = 2;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|e| e.to_string())
}

/// The nameservers of `etc/resolv.conf`, that below `root` where it exists, else the
/// machine's (resolv.conf(5)). A file that cannot be read has none.
#[must_use]
pub fn nameservers(root: &Root) -> Vec<IpAddr> {
    let text = std::fs::read(file(root, "/etc/resolv.conf")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().map(str::split_whitespace);
    let servers = lines.filter_map(|mut words| match (words.next(), words.next()) {
        // One of a link would need the link to be known.
        (Some("nameserver"), Some(server)) => server.parse().ok(),
        _ => None,
    });
    servers.collect()
}

/// The file below `root`, if it is there, else the machine's.
fn file(root: &Root, path: &str) -> PathBuf {
    let own = root.join(path);
    match own.exists() {
        true => own,
        false => path.into(),
    }
}

/// The addresses that other hosts can reach.
fn usable(list: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut kept: Vec<IpAddr> = Vec::new();
    for ip in list {
        let own = match ip {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
        };
        if !own && !kept.contains(&ip) {
            kept.push(ip);
        }
    }
    kept
}

/// `etc/hosts`: the addresses of names, in lower case.
#[derive(Debug, Default)]
struct Hosts(BTreeMap<String, Vec<IpAddr>>);

impl Hosts {
    /// A file that is not there or cannot be read has no names.
    fn read(root: &Root) -> Self {
        let text = std::fs::read(file(root, "/etc/hosts")).unwrap_or_default();
        Self::of(&String::from_utf8_lossy(&text))
    }

    fn of(text: &str) -> Self {
        let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(Ok(ip)) = words.next().map(str::parse) else {
                continue;
            };
            for name in words {
                names.entry(name.to_lowercase()).or_default().push(ip);
            }
        }
        Self(names)
    }

    fn usable(&self, name: &str) -> Vec<IpAddr> {
        let list = self.0.get(&name.trim_end_matches('.').to_lowercase());
        usable(list.cloned().unwrap_or_default())
    }

    /// A reason, and what this file says of the name, if that is of no use.
    fn because(&self, name: &str, reason: &str) -> String {
        match self.0.get(&name.trim_end_matches('.').to_lowercase()) {
            Some(list) => {
                let list: Vec<_> = list.iter().map(ToString::to_string).collect();
                format!(
                    "{reason}; /etc/hosts gives it {} only, which other hosts cannot reach",
                    list.join(", ")
                )
            }
            None => format!("looking up {name}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests;
