//! What can be said of nodes and the agent.

use super::ConfigCommand;
use clap::{Args, Subcommand};
use fairlead_agent::LogLevel;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    #[command(flatten)]
    Config(ConfigCommand),
    /// Put this node in a cluster that shares its state by etcd.
    ///
    /// The first node founds the cluster with its own cluster.conf; each other takes that
    /// of the cluster. Doing it again is no error, and finishes what was interrupted.
    Join(JoinArgs),
    /// Take this node out of its cluster. Its segments stay its own until 'net release'.
    Leave(LeaveArgs),
    /// List the nodes: which live, their segments, their tunnels.
    #[command(visible_alias = "list")]
    Ls,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// Where etcd is, as https://192.0.2.1:2379; several are separated by commas.
    #[arg(long, value_name = "URL", required = true, value_delimiter = ',')]
    pub(crate) etcd: Vec<String>,
    /// Certificate of the authority that etcd's certificates are checked with.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate that this node shows to etcd.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Key of that certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// User to log in to etcd as.
    #[arg(long, requires = "password_file")]
    pub(crate) user: Option<String>,
    /// File with the password of that user.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// What the names of all keys in etcd begin with.
    #[arg(long, default_value = "/fairlead")]
    pub(crate) prefix: String,
    /// Also when cluster.conf here is of another cluster; it is kept beside the new one.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LeaveArgs {
    /// Another node, which is dead.
    #[arg(long, value_name = "NODE")]
    pub(crate) name: Option<String>,
    /// Also when this node has containers on networks of the cluster or cannot reach etcd,
    /// or when the other one is alive.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The longest time between two looks at everything, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) interval: u64,
    /// Serve metrics for Prometheus on this address too, as 127.0.0.1:9464. They are
    /// always at /metrics on the control socket.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How much is told: error, warn, info, debug or trace.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "FAIRLEAD_LOG"
    )]
    pub(crate) log: LogLevel,
    /// Make /proc/sys writable for the agent, where an engine that runs it in a container
    /// mounted it read-only.
    #[arg(long)]
    pub(crate) remount_proc_sys: bool,
}
