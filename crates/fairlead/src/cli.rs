//! The command line: what can be said, with the help that teaches it.

mod node;
mod nuage;
mod oci;
mod proxy;
mod service;

pub(crate) use node::{AgentArgs, JoinArgs, LeaveArgs, NodeCommand};
pub(crate) use nuage::{NuageCommand, NuageServeArgs, NuageStateArgs};
pub(crate) use oci::OciArgs;
pub(crate) use proxy::ProxyArgs;
pub(crate) use service::{CreateArgs, DnsCommand, LookupArgs, RunArgs, ServiceCommand};

use clap::{Args, Parser, Subcommand, ValueEnum};
use fairlead_attach::PublishSpec;
use fairlead_types::{
    ContainerId, Expose, ExposeError, HostName, IfName, Mac, NetworkName, ObjectName, PortNames,
    ResourceName, Root,
};
use std::net::IpAddr;
use std::path::PathBuf;

/// Gives every container its place on the network.
///
/// A network is declared once (`fairlead cluster set`), made by `fairlead net setup`,
/// and containers are put on it by `fairlead attach`, by any runtime that speaks CNI, or
/// by the names this binary also answers to (`fairlead install --help`).
#[derive(Debug, Parser)]
#[command(name = "fairlead", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// Directory that every file of Fairlead is below.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "FAIRLEAD_ROOT",
        default_value = "/"
    )]
    pub(crate) root: PathBuf,
    /// How the answer is shown.
    #[arg(
        short = 'o',
        long = "output",
        visible_alias = "format",
        global = true,
        value_enum
    )]
    #[arg(default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Colours in tables.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  fairlead cluster set --kw network#web.type=bridge --kw network#web.network=10.30.0.0/24
  fairlead net setup
  ip netns add shop
  fairlead attach web --netns /run/netns/shop --publish 8080:80/tcp
  fairlead ls
  fairlead detach web --netns /run/netns/shop

Exit status: 0 done, 1 it failed (the message says what and how to mend it), 2 the command
line is wrong, 3 doctor found something to mend.";

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[value(alias = "tree", alias = "auto")]
    Table,
    /// For programs.
    #[value(alias = "flat_json")]
    Json,
    /// For both.
    Yaml,
}

/// When tables have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// When standard output is a terminal.
    Auto,
    /// Always.
    #[value(alias = "always")]
    Yes,
    /// Never.
    #[value(alias = "never")]
    No,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read and change cluster.conf, which every node shares.
    #[command(subcommand)]
    Cluster(ConfigCommand),
    /// This node: its place in a cluster, and node.conf, which is its own and wins over
    /// cluster.conf.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Networks: list, make, look at.
    #[command(subcommand, visible_alias = "network")]
    Net(NetCommand),
    /// Services: what runs, the address it gets, its name and its ports.
    #[command(subcommand, visible_alias = "service")]
    Svc(ServiceCommand),
    /// The cluster's names.
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Put a container on a network.
    Attach(AttachArgs),
    /// Take a container off a network; repeating it is no error.
    Detach(DetachArgs),
    /// List who is attached where.
    Ls(LsArgs),
    /// Keep this node as it is declared: run by the system's service manager.
    Agent(AgentArgs),
    /// Remove what no living container holds: after a crash, a kill or a reboot.
    Gc(GcArgs),
    /// Look for what is wrong on this node, and say what mends it.
    Doctor,
    /// Do by hand what a CNI runtime does; with --command, be the hook of an OCI runtime.
    Cni(CniArguments),
    /// Be an OCI runtime that gives containers their networks and becomes the real one.
    Oci(OciArgs),
    /// Serve Docker's API in dockerd's place: pass it on, and put containers on CNI networks.
    Proxy(ProxyArgs),
    /// Docker networks that are subnets of Nuage VSP.
    #[command(subcommand)]
    Nuage(NuageCommand),
    /// Addresses that are given out.
    #[command(subcommand)]
    Ip(IpCommand),
    /// Make the links by which this binary answers to its other names.
    Install(InstallArgs),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Change keywords, all of one command or none.
    ///
    /// Operators: '=' replaces, '+=' appends, '|=' appends what is not there, '-='
    /// removes, '^=' toggles, 'key[i]=value' inserts at i. A scope is put behind the
    /// option: 'network#web.addr@node1=192.0.2.1'.
    Set(SetArgs),
    /// Remove keywords, or a whole section: 'network#web'.
    Unset(KeysArgs),
    /// Print the value as it is written.
    Get(GetArgs),
    /// Print the value as it counts on this node: scope, references, default.
    Eval(EvalArgs),
    /// List the keywords there are, with type, default and meaning.
    Keywords,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// SECTION.OPTION[@SCOPE]OPERATOR VALUE; may be repeated.
    #[arg(long = "kw", value_name = "KEY=VALUE", required = true, num_args = 0..=1)]
    #[arg(default_missing_value = "", action = clap::ArgAction::Append, allow_hyphen_values = false)]
    pub(crate) kw: Vec<String>,
    /// Check the change and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// SECTION.OPTION[@SCOPE], or TYPE#NAME for a whole section; may be repeated.
    #[arg(long = "kw", value_name = "KEY", required = true)]
    pub(crate) kw: Vec<String>,
    /// Check the change and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// SECTION.OPTION[@SCOPE].
    #[arg(long = "kw", value_name = "KEY")]
    pub(crate) kw: String,
    /// As 'eval' does.
    #[arg(long)]
    pub(crate) eval: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// SECTION.OPTION.
    #[arg(long = "kw", value_name = "KEY")]
    pub(crate) kw: String,
    /// As it counts on another node.
    #[arg(long, value_name = "NODE")]
    pub(crate) impersonate: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetCommand {
    /// List the networks' names.
    #[command(visible_alias = "list")]
    Ls,
    /// Show what networks are made of.
    Show {
        /// Only this network.
        #[arg(long)]
        name: Option<String>,
    },
    /// Show how much of each network is used, and by whom.
    Status {
        /// Only this network.
        #[arg(long)]
        name: Option<String>,
        /// Each address, too.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Make bridges, ways to other nodes and CNI configurations follow what is declared.
    Setup {
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Give the segment of a node that left the cluster back, for another node.
    Release {
        /// The network.
        #[arg(long)]
        name: NetworkName,
        /// The node.
        #[arg(long)]
        node: String,
        /// Also when the node is in the cluster, or has addresses that would be given out
        /// twice.
        #[arg(long)]
        force: bool,
    },
}

/// Which namespace.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Sandbox {
    /// Path of the container's network namespace.
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
    /// Process whose network namespace it is.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The network.
    pub(crate) network: NetworkName,
    #[command(flatten)]
    pub(crate) sandbox: Sandbox,
    /// The container's id; by default the namespace's name or 'pid-PID'.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<ContainerId>,
    /// The interface's name in the container.
    #[arg(long, default_value = "eth0", value_name = "NAME")]
    pub(crate) ifname: IfName,
    /// This address, if it is free; may be repeated, one of each family.
    #[arg(long, value_name = "ADDR")]
    pub(crate) ip: Vec<IpAddr>,
    /// This hardware address.
    #[arg(long, value_name = "MAC")]
    pub(crate) mac: Option<Mac>,
    /// [HOSTIP:]HOSTPORT[-LAST]:PORT[-LAST][/PROTOCOL]; may be repeated.
    #[arg(long, short = 'p', value_name = "PORT")]
    pub(crate) publish: Vec<PublishSpec>,
    /// What it is for, as namespace/kind/name; shown by 'net status --verbose'.
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Option<ObjectName>,
    /// Which resource of the object, as ip#0.
    #[arg(long, value_name = "RESOURCE", requires = "object")]
    pub(crate) resource: Option<ResourceName>,
    /// The container's own name, in the cluster's DNS.
    #[arg(long, value_name = "NAME", requires = "object")]
    pub(crate) hostname: Option<HostName>,
    /// A port that it offers, as 80/tcp, for a record in the cluster's DNS; may be repeated.
    #[arg(long, value_name = "PORT", requires = "object")]
    pub(crate) expose: Vec<ExposeList>,
}

/// Ports as `--expose` takes them.
#[derive(Debug, Clone)]
pub(crate) struct ExposeList(pub(crate) Vec<Expose>);

impl std::str::FromStr for ExposeList {
    type Err = ExposeError;

    fn from_str(text: &str) -> Result<Self, ExposeError> {
        Expose::list(text, &PortNames::read(&Root::default())).map(Self)
    }
}

#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    /// The network; every network when it is left out.
    pub(crate) network: Option<NetworkName>,
    #[command(flatten)]
    pub(crate) target: DetachTarget,
    /// Only this interface.
    #[arg(long, value_name = "NAME")]
    pub(crate) ifname: Option<IfName>,
}

/// Whose attachments.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct DetachTarget {
    /// Path of the container's network namespace.
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
    /// Process whose network namespace it is.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// The container's id.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<ContainerId>,
    /// The object it was attached for.
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Option<ObjectName>,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only this network.
    pub(crate) network: Option<NetworkName>,
}

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Say what would be removed, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct CniArguments {
    /// What an OCI runtime's hook does for the container whose state is on standard input:
    /// add at createRuntime, del at poststop, check at any time.
    #[arg(long, value_name = "add|del|check")]
    pub(crate) command: Option<String>,
    /// The settings of the hook [default: /etc/docker/cni.yaml].
    #[arg(long, value_name = "FILE", requires = "command")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) by_hand: Option<CniCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CniCommand {
    /// Attach, and print the result.
    Add(CniArgs),
    /// Detach.
    Del(CniArgs),
    /// Check that an attachment is as it was made.
    Check(CniArgs),
    /// Remove what belongs to no attachment of this configuration.
    Gc(CniListArgs),
    /// Ask whether the plugins can serve.
    Status(CniListArgs),
    /// Check a configuration, and that every plugin of it is there and fits.
    Validate(CniListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CniListArgs {
    /// A .conf, .json or .conflist file, or the name of a network in cni.config.
    pub(crate) config: String,
}

#[derive(Debug, Args)]
pub(crate) struct CniArgs {
    #[command(flatten)]
    pub(crate) list: CniListArgs,
    /// Path of the container's network namespace, or its name below /run/netns.
    pub(crate) netns: String,
    /// The container's id; by default the namespace's name.
    #[arg(long, value_name = "ID", env = "CNI_CONTAINERID")]
    pub(crate) id: Option<ContainerId>,
    /// The interface's name in the container.
    #[arg(long, default_value = "eth0", value_name = "NAME", env = "CNI_IFNAME")]
    pub(crate) ifname: IfName,
    /// Arguments for the plugins, K=V;K=V.
    #[arg(long, value_name = "ARGS", env = "CNI_ARGS", default_value = "")]
    pub(crate) args: String,
    /// Capability arguments, a JSON object as {"portMappings":[...]}.
    #[arg(long, value_name = "JSON", env = "CAP_ARGS", default_value = "{}")]
    pub(crate) capabilities: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IpCommand {
    /// List the addresses that are given out, by whichever door.
    Ls(LsArgs),
    /// Show who has an address, where it is configured, and for whom it is kept.
    Show(IpArgs),
    /// Hold an address back: no container gets it until it is released.
    Assign(AssignArgs),
    /// Give an address free, with the attachment that has it, and what is kept of it.
    Release(ReleaseArgs),
    /// Look whether everything that is known of an address agrees with what is there.
    Check(IpArgs),
    /// Take over the addresses of a host-local directory, as
    /// /var/lib/cni/networks/NETWORK.
    Import {
        /// The directory; its last part is the network's name.
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IpArgs {
    /// The address.
    pub(crate) address: IpAddr,
    /// On this network only.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<NetworkName>,
}

#[derive(Debug, Args)]
pub(crate) struct AssignArgs {
    /// The address.
    pub(crate) address: IpAddr,
    /// The network that would give it out.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: NetworkName,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    pub(crate) which: IpArgs,
    /// Even while a container uses it, which loses it then.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Directory of the command names: om, nodemgr, eru-barrel, eru-barrel-cni, ...
    #[arg(long, value_name = "DIR")]
    pub(crate) links: Option<PathBuf>,
    /// Directory of the CNI plugin names: bridge, host-local, ...; by default that of
    /// the keyword cni.plugins when --plugins is given without a value.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "")]
    pub(crate) plugins: Option<PathBuf>,
    /// Replace files that are there and are not our links.
    #[arg(long)]
    pub(crate) force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_keyword_may_be_left_out_behind_kw_as_the_documents_have_it() {
        let line = ["fairlead", "cluster", "set", "--kw", "a.b=c", "--kw"];
        let cli = Cli::try_parse_from(line).unwrap();
        let Command::Cluster(ConfigCommand::Set(set)) = cli.command else {
            panic!()
        };
        assert_eq!(set.kw, ["a.b=c", ""]);
    }
}
