//! HAProxy's configuration, as text.

use super::{Listen, Rule};
use crate::service::Service;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What does not depend on the rules. An answer counts for a second, so that an instance
/// that is gone gets no connection for long; HAProxy's own checks find it sooner.
const DEFAULTS: &str = "\
defaults
    timeout connect 2s
    timeout check 1s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 10s
    option redispatch 1
    retries 2
    default-server inter 1s fall 2 rise 1 init-addr none resolvers fairlead resolve-prefer ipv4
";

/// The configuration of a gateway. The same sections always yield the same text, and a
/// certificate that is written anew another one.
pub(super) fn text(
    service: &Service,
    cluster: &str,
    servers: &[SocketAddr],
    socket: &Path,
) -> String {
    let mut text = format!(
        "# Written by fairlead for {}; edits are lost.\n\
         global\n    stats socket {} mode 600 level admin expose-fd listeners\n    hard-stop-after 1h\n\n{DEFAULTS}\n",
        service.name,
        socket.display()
    );
    text += "resolvers fairlead\n";
    // By TCP: what does not fit in a datagram would be no answer at all.
    for (i, server) in servers.iter().enumerate() {
        let _ = writeln!(text, "    nameserver dns{i} tcp@{server}");
    }
    text += "    accepted_payload_size 8192\n    resolve_retries 3\n    timeout resolve 1s\n    timeout retry 1s\n    hold valid 1s\n    hold obsolete 1s\n    hold nx 1s\n\n";
    for (listen, rules) in by_listen(&service.rules) {
        frontend(&mut text, listen, &rules);
    }
    for rule in &service.rules {
        backend(&mut text, rule, cluster);
    }
    text
}

fn by_listen(rules: &[Rule]) -> BTreeMap<Listen, Vec<&Rule>> {
    let mut all: BTreeMap<Listen, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        for listen in &rule.listen {
            all.entry(*listen).or_default().push(rule);
        }
    }
    all
}

fn frontend(text: &mut String, listen: Listen, rules: &[&Rule]) {
    let name = listen.to_string();
    let name = name
        .trim_start_matches(':')
        .replace([':', '[', ']', '.'], "_");
    let http = rules.iter().any(|rule| rule.http);
    let mode = if http { "http" } else { "tcp" };
    let certificates: BTreeSet<&PathBuf> = rules.iter().flat_map(|r| &r.certificates).collect();
    for file in &certificates {
        let _ = writeln!(text, "# {} {}", file.display(), stamp(file));
    }
    let _ = write!(
        text,
        "frontend in_{name}\n    mode {mode}\n    bind {listen}"
    );
    // Where the kernel has no IPv6, nothing can listen there.
    if listen.address.is_none() && Path::new("/proc/net/if_inet6").exists() {
        text.push_str(&format!(",[::]:{} v6only", listen.port));
    }
    if !certificates.is_empty() {
        text.push_str(" ssl");
        if http {
            text.push_str(" alpn h2,http/1.1");
        }
        for file in &certificates {
            let _ = write!(text, " crt {}", file.display());
        }
    }
    text.push('\n');
    if http {
        text.push_str("    option forwardfor\n");
        let mut ordered = rules.to_vec();
        // The longest path first, and what says most before what says less.
        ordered.sort_by_key(|rule| {
            let path = rule.path.as_ref().map_or(0, String::len);
            (std::cmp::Reverse(path), rule.hosts.is_empty())
        });
        for rule in ordered {
            let condition = condition(rule);
            let _ = writeln!(text, "    use_backend {}{condition}", backend_name(rule));
        }
    } else if let Some(rule) = rules.first() {
        let _ = writeln!(text, "    default_backend {}", backend_name(rule));
    }
    text.push('\n');
}

/// When a rule is for a request; nothing where it always is.
fn condition(rule: &Rule) -> String {
    let mut parts = Vec::new();
    if !rule.hosts.is_empty() {
        parts.push(format!(
            "{{ req.hdr(host),host_only,lower -m str {} }}",
            rule.hosts.join(" ")
        ));
    }
    if let Some(path) = rule.path.as_deref().filter(|path| *path != "/") {
        // `/a` is for `/a` and `/a/b`, not for `/ab`.
        let path = path.trim_end_matches('/');
        parts.push(format!(
            "{{ path -m str {path} }} || {{ path -m beg {path}/ }}"
        ));
    }
    match (rule.hosts.is_empty(), parts.as_slice()) {
        (_, []) => String::new(),
        (_, [one]) => format!(" if {one}"),
        // 'or' is weaker than 'and' there, and there are no brackets.
        (_, [host, path, ..]) => {
            let (exact, below) = path.split_once(" || ").unwrap_or((path, path));
            format!(" if {host} {exact} || {host} {below}")
        }
    }
}

fn backend_name(rule: &Rule) -> String {
    format!("to_{}", rule.resource.as_str().replace('#', "_"))
}

fn backend(text: &mut String, rule: &Rule, cluster: &str) {
    let mode = if rule.http { "http" } else { "tcp" };
    let (namespace, _, name) =
        rule.backend
            .parts()
            .unwrap_or(("root", "svc", rule.backend.as_str()));
    let srv = format!(
        "_{}._{}.{name}.{namespace}.svc.{cluster}",
        rule.port.port, rule.port.protocol
    );
    let srv = srv.to_lowercase();
    let _ = writeln!(
        text,
        "# {}\nbackend {}\n    mode {mode}\n    balance {}\n    server-template i {} {srv} check\n",
        rule.backend,
        backend_name(rule),
        rule.balance,
        rule.slots,
    );
}

/// What tells one version of a file from the next.
fn stamp(path: &Path) -> String {
    match std::fs::metadata(path) {
        Ok(meta) => format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()),
        Err(_) => "absent".to_owned(),
    }
}
