//! A host with an engine, a switch, a controller in small, and one of the plugins.

use crate::typed;
use anyhow::{Context, Result};
use fairlead_tests::{Daemon, Docker, Node, Ovs, OvsPlan, Place as _, Vsd, eventually, patience};
use serde_json::json;
use std::fmt;
use std::path::PathBuf;

/// The settings, which both read.
const SETTINGS: &str = "\
vrssocketfile: /var/run/openvswitch/db.sock
dockersocketfile: unix:///var/run/docker.sock
vrsbridge: alubr0
loglevel: Warn
scope: local
username: Y3Nwcm9vdA==
password: Y3Nwcm9vdA==
organization: Y3Nw
url: https://127.0.0.1:8443
";

/// The network, as the plugin's document makes it.
const CREATE: &str = r#"network create --driver=nuage --ipam-driver=nuage-ipam --ipam-opt organization=Enterprise --ipam-opt domain=Domain --ipam-opt zone=Zone --ipam-opt subnet="Subnet 2" --ipam-opt user=admin --subnet=10.80.0.0/22 --gateway=10.80.0.1 MyNet"#;

/// Whose drivers they are.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Ours.
    Ours,
    /// The plugin at that path.
    Peer(PathBuf),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours => "fairlead",
            Self::Peer(_) => "nuage-libnetwork",
        })
    }
}

/// The programs end before their host.
pub(super) struct Host {
    plugin: Daemon,
    docker: Docker,
    vsd: Vsd,
    _ovs: Ovs,
    node: Node,
}

impl Host {
    pub(super) fn start(who: &Who) -> Result<Self> {
        eprintln!("starting a host for {who}");
        let node = Node::new();
        for place in ["/etc/default", "/var/log"] {
            node.run(&format!("mount -t tmpfs none {place}"));
        }
        node.run("mkdir -p /var/log/nuage-libnetwork");
        let insecure = format!("{SETTINGS}vsdinsecure: true\n");
        let (program, settings) = match who {
            Who::Ours => ("nuage-libnetwork".to_owned(), insecure),
            Who::Peer(path) => (path.display().to_string(), SETTINGS.to_owned()),
        };
        node.write("/etc/default/nuage-libnetwork.yaml", &settings);
        node.run("chmod 600 /etc/default/nuage-libnetwork.yaml");
        let subnet =
            json!({"address": "10.80.0.0", "netmask": "255.255.252.0", "gateway": "10.80.0.1"});
        let seed = json!({"Enterprise": {"Domain": {"Zone": {"Subnet 2": subnet}}}});
        let vsd = Vsd::start(&node, &seed);
        let ovs = Ovs::start(&node, OvsPlan::default());
        // The earlier plugin waits for the engine before it serves.
        let docker = Docker::plan().start(&node);
        let line = format!("exec {program} -config /etc/default/nuage-libnetwork.yaml");
        let log = node.path("/run/nuage.out");
        let plugin = Daemon::start(&node.shell(&line), "plugin", &log);
        let socket = node.path("/run/docker/plugins/nuage-ipam.sock");
        eventually(patience(), || match socket.exists() {
            true => Ok(()),
            false => Err(plugin.log()),
        });
        let host = Self {
            plugin,
            docker,
            vsd,
            _ovs: ovs,
            node,
        };
        host.docker(CREATE)?;
        Ok(host)
    }

    pub(super) fn docker(&self, line: &str) -> Result<String> {
        typed::printed(self.docker.cli(&self.node, line))
    }

    pub(super) fn about(&self) -> Result<String> {
        typed::about(&self.docker, &self.node)
    }

    pub(super) fn at_once(&self, lines: &[String]) {
        self.docker.at_once(&self.node, lines);
    }

    /// What the controller still has, as soon as that changes no more.
    pub(super) fn left(&self) -> usize {
        let mut last = usize::MAX;
        eventually(patience() * 3, || {
            let now = self.vsd.state("containers").len();
            let is_still = now == 0 || now == std::mem::replace(&mut last, now);
            is_still.then_some(now).ok_or(now)
        })
    }

    /// What of the program is in memory, in kB.
    pub(super) fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.plugin.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let number = number.context("the program has ended")?;
        Ok(number.parse()?)
    }
}
