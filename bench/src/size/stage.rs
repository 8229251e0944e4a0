//! The stage: etcd, the node that is measured, and a twin of it without an agent.

use super::Extent;
use super::daemon::Daemon;
use super::host::{Agent, Host};
use super::wait::until;
use crate::inside::Place;
use crate::program::tool;
use anyhow::{Context, Result};
use fairlead_kernel::NetNs;
use fairlead_shared::{Etcd, EtcdOptions, SharedState};
use fairlead_types::Root;
use ipnet::IpNet;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The network that spans all nodes.
pub(super) const NETWORK: &str = "big";
/// The node that is measured.
pub(super) const NODE: &str = "n1";
/// Where etcd is, as the node and its twin see it.
const ETCD: [&str; 2] = ["198.20.0.2", "198.20.0.6"];
/// Their own addresses on the way there.
const WAY: [&str; 2] = ["198.20.0.1/30", "198.20.0.5/30"];
/// Addresses of nodes are counted from here.
const NODES: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// And from here after they have moved.
const MOVED: u32 = u32::from_be_bytes([198, 19, 0, 0]);

/// Everything that is there.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) extent: Extent,
    /// The node that is measured. Its agent is stopped first.
    pub(super) agent: Option<Agent>,
    pub(super) node: Host,
    /// Another host that is the same node of the cluster, so that what is done with an
    /// agent and without is measured in turns.
    pub(super) twin: Host,
    /// The segments of all nodes, the first that of [`NODE`]; none before it has joined.
    pub(super) segments: Vec<IpNet>,
    /// The namespaces of containers.
    pub(super) containers: Vec<NetNs>,
    etcd: Option<Daemon>,
    etcd_host: NetNs,
    etcd_data: PathBuf,
}

impl Stage {
    /// Sets the stage; etcd runs, and nothing of the product.
    ///
    /// # Errors
    /// When etcd or a tool is missing.
    pub(super) fn set(place: &Place, extent: Extent, fairlead: &Path) -> Result<Self> {
        // Who asks for its node's name asks the kernel.
        std::fs::write("/proc/sys/kernel/hostname", NODE).context("name the host")?;
        let etcd_host = place.namespace("etcd")?;
        tool(&etcd_host, &["ip", "link", "set", "lo", "up"], "")?;
        let host = |at: usize| {
            let netns = place.namespace(["node", "twin"][at])?;
            cable(&etcd_host, &netns, at)?;
            let root = Root::new(place.directory(["node", "twin"][at])?);
            std::fs::create_dir_all(root.etc()).context("make etc/fairlead")?;
            let hosts = format!("{} {NODE}\n", address(1));
            std::fs::write(root.join("/etc/hosts"), hosts).context("write etc/hosts")?;
            anyhow::Ok(Host {
                netns,
                root,
                fairlead: fairlead.to_owned(),
            })
        };
        let [node, twin] = [host(0)?, host(1)?];
        let containers = (0..extent.detaches.max(1)).map(|_| place.namespace("container"));
        let containers = containers.collect::<Result<Vec<_>>>()?;
        let mut stage = Self {
            extent,
            agent: None,
            node,
            twin,
            segments: Vec::new(),
            containers,
            etcd: None,
            etcd_host,
            etcd_data: place.directory("etcd")?,
        };
        stage.start_etcd()?;
        Ok(stage)
    }

    /// Starts etcd with the data it has, and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn start_etcd(&mut self) -> Result<()> {
        let data = self.etcd_data.display();
        let urls = "http://0.0.0.0:2379";
        let line = format!(
            "--name one --data-dir {data}/data --listen-client-urls {urls} \
             --advertise-client-urls http://{}:2379 --listen-peer-urls http://127.0.0.1:2380 \
             --initial-advertise-peer-urls http://127.0.0.1:2380 \
             --initial-cluster one=http://127.0.0.1:2380 --quota-backend-bytes 8589934592 \
             --logger zap --log-level warn",
            ETCD[0]
        );
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let log = self.etcd_data.join("log");
        let daemon = Daemon::start(&self.etcd_host, Path::new("etcd"), &words, &[], &log)?;
        let daemon = self.etcd.insert(daemon);
        let pause = Duration::from_millis(50);
        let netns = &self.node.netns;
        until("etcd serves", Instant::now(), pause, || {
            daemon.runs().context("etcd (Debian package etcd-server)")?;
            netns.run(|| Ok(engine(0)?.get("config").is_ok()))?
        })?;
        Ok(())
    }

    /// Ends etcd; its data stays.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) fn stop_etcd(&mut self) -> Result<()> {
        self.etcd.take().map_or(Ok(()), Daemon::end)
    }

    /// How many MiB etcd's data are.
    ///
    /// # Errors
    /// When its file is not there.
    pub(super) fn etcd_size(&self) -> Result<u64> {
        let path = self.etcd_data.join("data/member/snap/db");
        let size = std::fs::metadata(&path).with_context(|| format!("look at {}", path.display()));
        Ok(size?.len() >> 20)
    }

    /// What the node's agent counts, and its process.
    ///
    /// # Errors
    /// When none runs.
    pub(super) fn agent(&self) -> Result<&Agent> {
        self.agent.as_ref().context("no agent runs")
    }

    /// Ends the node's agent, if one runs.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) fn stop_agent(&mut self) -> Result<()> {
        self.agent.take().map_or(Ok(()), |agent| agent.daemon.end())
    }

    /// Shared state, as others write it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn engine(&self) -> Result<Etcd> {
        self.node.netns.run(|| engine(0))?
    }

    /// How many nodes there are beside the one that is measured.
    pub(super) fn others(&self) -> usize {
        self.segments.len().saturating_sub(1)
    }
}

/// The URL of etcd, as the node sees it, or its twin.
pub(super) fn url(twin: bool) -> String {
    format!("http://{}:2379", ETCD[usize::from(twin)])
}

fn engine(at: usize) -> Result<Etcd> {
    let options = EtcdOptions {
        endpoints: vec![url(at == 1)],
        ..EtcdOptions::default()
    };
    Ok(Etcd::open(&options)?)
}

/// The address of node number `k`, from 1.
pub(super) fn address(k: u32) -> Ipv4Addr {
    Ipv4Addr::from(NODES + k)
}

/// The address of node number `k` after a move.
pub(super) fn moved(k: u32) -> Ipv4Addr {
    Ipv4Addr::from(MOVED + k)
}

/// The cable between a host and etcd, which also has the host's address among nodes.
fn cable(etcd: &NetNs, host: &NetNs, at: usize) -> Result<()> {
    let (end, way, own, server) = (format!("host{at}"), WAY[at], address(1), ETCD[at]);
    let other = host.path().display();
    let lines = format!(
        "link add {end} type veth peer name eth0 netns {other}\n\
         address add {server}/30 dev {end}\n\
         link set {end} up\n"
    );
    tool(etcd, &["ip", "-batch", "-"], &lines)?;
    let lines = format!(
        "link set lo up\n\
         address add {way} dev eth0\n\
         address add {own}/15 dev eth0\n\
         link set eth0 up\n"
    );
    tool(host, &["ip", "-batch", "-"], &lines)?;
    Ok(())
}
