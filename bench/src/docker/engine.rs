//! An engine on a node, and the networks that are compared.

use crate::typed;
use anyhow::{Result, bail};
use fairlead_tests::{Docker, Node};
use std::fmt;

/// Where the agent finds the engine, and the engine the agent.
const SETTINGS: &str =
    "--kw node.docker_socket=/run/docker.sock --kw docker.plugin=/run/docker/plugins/fairlead.sock";

/// What a container is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    None,
    Bridge,
    Ours,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "no network",
            Self::Bridge => "Docker's bridge",
            Self::Ours => "Fairlead",
        })
    }
}

impl Who {
    /// The network's name at the engine.
    pub(super) fn network(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bridge => "theirs",
            Self::Ours => "ours",
        }
    }

    /// The addresses of the network on one node: enough for a thousand containers.
    pub(super) fn range(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bridge => "10.81.0.0/22",
            Self::Ours => "10.80.0.0/22",
        }
    }

    fn drivers(self) -> &'static str {
        match self {
            Self::Ours => "-d fairlead --ipam-driver fairlead",
            _ => "-d bridge",
        }
    }
}

/// A `dockerd` with its rules of the firewall, as it is by default.
#[derive(Debug)]
pub(super) struct Engine<'n> {
    pub(super) node: &'n Node,
    docker: Docker,
}

impl<'n> Engine<'n> {
    /// Tells a node where its engine will be.
    pub(super) fn set(node: &Node) -> Result<()> {
        typed::printed(node.sh(&format!("fairlead node set {SETTINGS}"))).map(drop)
    }

    /// Starts the engine of a node.
    pub(super) fn start(node: &'n Node) -> Self {
        Self {
            node,
            docker: Docker::plan().with_bridge().start(node),
        }
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

    /// Makes one of the networks.
    pub(super) fn create(&self, who: Who, range: &str, options: &str) -> Result<()> {
        let (drivers, name) = (who.drivers(), who.network());
        let line = format!("network create {drivers} --subnet {range} {options} {name}");
        self.docker(&line).map(drop)
    }

    /// Starts a container that stays; its first process and its address.
    pub(super) fn stay(&self, who: Who, name: &str) -> Result<(String, String)> {
        let network = who.network();
        self.docker(&format!(
            "run -d --name {name} --network {network} busybox sleep 100000"
        ))?;
        let format = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let told = self.docker(&format!("inspect --format '{format}' {name}"))?;
        match told.split_once(' ') {
            Some((pid, address)) if !address.is_empty() => Ok((pid.to_owned(), address.to_owned())),
            _ => bail!("container {name} has no address: {told}"),
        }
    }
}
