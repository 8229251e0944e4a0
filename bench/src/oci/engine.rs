//! An engine with three runtimes.

use crate::typed;
use anyhow::Result;
use fairlead_tests::{Docker, Node};
use serde_json::{Value, json};
use std::fmt;

/// The real runtime.
const RUNC: &str = "/usr/sbin/runc";

/// Who makes a container, and who gives it an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The plain runtime; nobody.
    Plain,
    /// Ours, with the plugins that are in the binary.
    Ours,
    /// The same, called by the engine without a shell in between.
    Direct,
    /// Ours, with the reference's plugins as programs of another maker.
    Reference,
    /// The plain one, on the host's network.
    PlainHost,
    /// Ours, on the host's network: it has nothing to do but to become the plain one.
    OursHost,
}

impl Who {
    pub(super) const ALL: [Self; 6] = [
        Self::Plain,
        Self::Ours,
        Self::Direct,
        Self::Reference,
        Self::PlainHost,
        Self::OursHost,
    ];

    /// The one that it is compared with.
    pub(super) fn plain(self) -> Self {
        match self {
            Self::OursHost | Self::PlainHost => Self::PlainHost,
            _ => Self::Plain,
        }
    }

    /// The network that the engine is asked for.
    pub(super) fn network(self) -> &'static str {
        match self.plain() {
            Self::PlainHost => "host",
            _ => "none",
        }
    }

    /// The runtime's name at the engine.
    pub(super) fn runtime(self) -> &'static str {
        match self {
            Self::Plain | Self::PlainHost => "runc",
            Self::Ours | Self::OursHost => "ours",
            Self::Direct => "direct",
            Self::Reference => "reference",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plain => "runc, no network",
            Self::Ours => "Fairlead, its own bridge plugin",
            Self::Direct => "the same as fairlead-runtime",
            Self::Reference => "Fairlead, the reference's bridge plugin",
            Self::PlainHost => "runc, the host's network",
            Self::OursHost => "Fairlead, the host's network: left alone",
        })
    }
}

/// A `dockerd` that leaves networks to the runtime.
#[derive(Debug)]
pub(super) struct Engine<'n> {
    pub(super) node: &'n Node,
    pub(super) docker: Docker,
}

impl<'n> Engine<'n> {
    pub(super) fn start(node: &'n Node) -> Result<Self> {
        typed::printed(
            node.sh("mkdir -p /run/bin /run/programs && fairlead install --links /run/bin"),
        )?;
        typed::printed(node.sh("ln -s /usr/lib/cni/bridge /run/programs/reference-bridge"))?;
        let mut runtimes = serde_json::Map::new();
        for (name, plugin, net) in [
            ("ours", "bridge", "10.62.0"),
            ("reference", "reference-bridge", "10.63.0"),
        ] {
            let folder = format!("/run/{name}");
            node.write(
                &format!("{folder}/net.d/10-{name}.conflist"),
                &list(name, plugin, net).to_string(),
            );
            let settings = format!("{folder}/cni.yaml");
            node.write(&settings, &yaml(&folder));
            runtimes.insert(
                name.into(),
                json!({"path": "/run/bin/eru-barrel-cni",
                    "runtimeArgs": ["oci", "--config", settings, "--"]}),
            );
        }
        runtimes.insert(
            "direct".into(),
            json!({"path": "/run/bin/fairlead-runtime"}),
        );
        let usual = format!("{}/etc/docker/cni.yaml", Node::ROOT);
        node.write(&usual, &yaml("/run/ours"));
        node.write(
            "/run/daemon.json",
            &json!({"runtimes": runtimes}).to_string(),
        );
        let plan = Docker::plan().extra(&["--config-file=/run/daemon.json"]);
        Ok(Self {
            node,
            docker: plan.start(node),
        })
    }

    /// Types `docker LINE`; what it prints.
    pub(super) fn docker(&self, line: &str) -> Result<String> {
        typed::printed(self.docker.cli(self.node, line))
    }

    /// Types any line at the node; what it prints.
    pub(super) fn sh(&self, line: &str) -> Result<String> {
        typed::printed(self.node.sh(line))
    }

    /// Its release and how it keeps files.
    pub(super) fn about(&self) -> Result<String> {
        typed::about(&self.docker, self.node)
    }
}

fn yaml(folder: &str) -> String {
    format!(
        "oci_bin: {RUNC}\ncni_conf_dir: {folder}/net.d\ncni_bin_dir: /run/programs\n\
         cni_log: /run/cni.log\nlog_driver: file:///run/docker-cni.log\n"
    )
}

/// The same for both: a bridge, an address, a masquerade.
fn list(name: &str, plugin: &str, net: &str) -> Value {
    json!({"cniVersion": "1.0.0", "name": name, "plugins": [{
        "type": plugin, "bridge": format!("br-{}", &name[..4]), "isGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "dataDir": "/run/host-local",
            "ranges": [[{"subnet": format!("{net}.0/24")}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }]})
}
