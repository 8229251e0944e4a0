//! `dns`: the cluster's names.

use super::{Context, Status};
use crate::cli::{DnsCommand, LookupArgs};
use crate::output::note;
use anyhow::{Result, bail, ensure};
use fairlead_cluster::Cluster;
use fairlead_dns::client::{Answer, ask};
use fairlead_dns::{RType, Record};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn run(context: &Context, command: DnsCommand) -> Result<Status> {
    match command {
        DnsCommand::Dump => dump(context),
        DnsCommand::Lookup(arguments) => lookup(context, &arguments),
    }
}

fn dump(context: &Context) -> Result<Status> {
    let node = context.node()?;
    let cluster = Cluster::open(&context.root)?;
    let records = fairlead_agent::records(&node, &cluster).map_err(anyhow::Error::msg)?;
    show(context, &records)
}

fn show(context: &Context, records: &[Record]) -> Result<Status> {
    let rows: Vec<Value> = records.iter().map(row).collect();
    context.output.show(&rows, |_| text(records))?;
    Ok(Status::Done)
}

fn row(record: &Record) -> Value {
    json!({
        "name": record.name,
        "type": record.data.type_name(),
        "ttl": record.ttl,
        "content": record.data.to_string(),
    })
}

/// As a zone's file has them, in columns: `NAME  IN  TYPE  TTL  CONTENT`.
fn text(records: &[Record]) -> String {
    let wide = |of: fn(&Record) -> usize| records.iter().map(of).max().unwrap_or(0);
    let name = wide(|r| r.name.len());
    let kind = wide(|r| r.data.type_name().len());
    let ttl = wide(|r| r.ttl.to_string().len());
    let line = |r: &Record| {
        format!(
            "{:name$}  IN  {:kind$}  {:ttl$}  {}\n",
            r.name,
            r.data.type_name(),
            r.ttl,
            r.data
        )
    };
    records.iter().map(line).collect()
}

fn lookup(context: &Context, arguments: &LookupArgs) -> Result<Status> {
    let node = context.node()?;
    let servers = match arguments.server {
        Some(server) => vec![server],
        None => fairlead_agent::dns_servers(node.config()).map_err(anyhow::Error::msg)?,
    };
    ensure!(
        !servers.is_empty(),
        "there is no server to ask: this node has no network with a bridge yet, and cluster.dns \
         is not set; run 'fairlead net setup', or give --server"
    );
    let kinds = kinds(arguments)?;
    let cluster = node.config().cluster_name()?;
    let mut told: Option<String> = None;
    for name in names(&arguments.name, &cluster) {
        let mut found = Vec::new();
        let mut is_there = false;
        for kind in &kinds {
            match first_answer(&servers, &name, *kind)? {
                (_, Ok(answer)) => found.extend(answer.records),
                (server, Err((code, reason))) => {
                    // A name that is there, without such a record, is the one that is meant.
                    is_there |= code == 0;
                    let text = format!("{name} {kind}: {server} says {reason}");
                    if told.is_none() || code == 0 {
                        told = Some(text);
                    }
                }
            }
        }
        if !found.is_empty() {
            return show(context, &found);
        }
        if is_there {
            break;
        }
    }
    note(format_args!("fairlead: {}", told.unwrap_or_default()));
    Ok(Status::Failed)
}

/// What is asked for: an address is asked by its reverse name.
fn kinds(arguments: &LookupArgs) -> Result<Vec<RType>> {
    if let Some(kind) = &arguments.kind {
        return Ok(vec![kind.parse()?]);
    }
    Ok(match arguments.name.parse::<IpAddr>() {
        Ok(_) => vec![RType::PTR],
        Err(_) if arguments.name.ends_with(".arpa") || arguments.name.ends_with(".arpa.") => {
            vec![RType::PTR]
        }
        Err(_) if arguments.name.starts_with('_') => vec![RType::SRV],
        Err(_) => vec![RType::A, RType::AAAA],
    })
}

/// The names that may be meant, the likeliest first.
fn names(given: &str, cluster: &str) -> Vec<String> {
    if let Ok(ip) = given.parse::<IpAddr>() {
        return vec![reverse(ip)];
    }
    let plain = given.trim_end_matches('.');
    let is_whole = given.ends_with('.')
        || plain == cluster
        || plain.to_lowercase().ends_with(&format!(".{cluster}"));
    match is_whole {
        true => vec![plain.to_owned()],
        false => vec![
            format!("{plain}.svc.{cluster}"),
            format!("{plain}.{cluster}"),
            plain.to_owned(),
        ],
    }
}

/// The name of an address in the reverse tree (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let digits = ip.octets().into_iter().rev();
            let digits = digits.map(|b| format!("{:x}.{:x}.", b & 15, b >> 4));
            format!("{}ip6.arpa", digits.collect::<String>())
        }
    }
}

/// Records, or the code of the answer and why there are none.
type Told = Result<Answer, (u16, String)>;

/// The answer of the first server that gives one: records, or why there are none.
fn first_answer(servers: &[SocketAddr], name: &str, kind: RType) -> Result<(SocketAddr, Told)> {
    let mut failed = Vec::new();
    for server in servers {
        match ask(*server, name, kind, PATIENCE) {
            Ok(answer) if answer.records.is_empty() => {
                let reason = match answer.rcode {
                    0 => "there is no such record".to_owned(),
                    2 => "it failed (SERVFAIL)".to_owned(),
                    3 => "there is no such name (NXDOMAIN)".to_owned(),
                    5 => "it does not answer us (REFUSED)".to_owned(),
                    other => format!("error {other}"),
                };
                return Ok((*server, Err((u16::from(answer.rcode), reason))));
            }
            Ok(answer) => return Ok((*server, Ok(answer))),
            Err(error) => failed.push(error.to_string()),
        }
    }
    bail!(
        "no server answers: {}; does the agent run",
        failed.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_tried_in_the_cluster() {
        assert_eq!(names("web.shop.svc.clu", "clu"), ["web.shop.svc.clu"]);
        assert_eq!(names("web.shop", "clu").len(), 3);
        assert_eq!(names("a.", "clu"), ["a"]);
        let v4 = names("10.1.2.3", "clu");
        assert_eq!(v4, ["3.2.1.10.in-addr.arpa"]);
        assert!(names("fd00::1", "clu")[0].starts_with("1.0.0."));
        assert!(names("fd00::1", "clu")[0].ends_with("0.0.d.f.ip6.arpa"));
    }
}
