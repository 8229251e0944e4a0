//! What each command does: asks the library, shows the answer, chooses the exit status.

mod agent;
mod attach;
mod cni;
mod config;
mod dns;
mod doctor;
mod install;
mod ip;
mod net;
mod net_status;
mod node;
mod nuage;
mod oci;
mod proxy;
mod service;

use crate::cli::{Cli, Command};
use crate::output::{Output, note};
use anyhow::Result;
use clap::{CommandFactory, Parser};
use fairlead_attach::Node;
use fairlead_cluster::Cluster;
use fairlead_networks::Known;
use fairlead_types::Root;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

/// The exit status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It was done.
    Done,
    /// It failed; the message says what and how to mend it.
    Failed,
    /// `doctor` found something to mend.
    Unwell,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Done => Self::SUCCESS,
            Status::Failed => Self::from(1),
            // 2 is what clap ends with when the command line is wrong.
            Status::Unwell => Self::from(3),
        }
    }
}

/// How long looking names up may take.
const LOOK_UP: Duration = Duration::from_secs(3);

/// What every command gets.
pub(crate) struct Context {
    pub(crate) root: Root,
    pub(crate) output: Output,
}

impl Context {
    pub(crate) fn node(&self) -> Result<Node> {
        Ok(Node::open(&self.root)?)
    }

    /// Where the nodes of the cluster are, for ways to them.
    pub(crate) fn known(&self, node: &Node) -> Known {
        match Cluster::open(&self.root) {
            Ok(cluster) => cluster.known(node.config(), LOOK_UP),
            Err(error) => {
                note(format_args!("fairlead: warning: {error}"));
                Known::default()
            }
        }
    }

    /// For showing and taking away what is recorded: a configuration that cannot be read
    /// is no reason not to.
    pub(crate) fn node_by_records(&self) -> Result<Node> {
        Node::open(&self.root).or_else(|error| {
            note(format_args!(
                "fairlead: warning: {error}; going on by the records alone"
            ));
            Ok(Node::without_config(&self.root)?)
        })
    }
}

/// Runs the command line `arguments`, the program's name not among them.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let program = OsString::from("fairlead");
    let cli = match Cli::try_parse_from(std::iter::once(program).chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failures; clap knows where each goes.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = Context {
        root: Root::new(&cli.root),
        output: Output::new(cli.output, cli.color),
    };
    match dispatch(&context, cli.command) {
        Ok(status) => status.into(),
        Err(error) => {
            // The library's messages contain their causes.
            note(format_args!("fairlead: {error}"));
            Status::Failed.into()
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<Status> {
    use fairlead_config::Target;
    match command {
        Command::Cluster(command) => config::run(context, Target::Cluster, command),
        Command::Node(command) => node::run(context, command),
        Command::Net(command) => net::run(context, command),
        Command::Svc(command) => service::run(context, command),
        Command::Dns(command) => dns::run(context, command),
        Command::Attach(arguments) => attach::attach(context, arguments),
        Command::Detach(arguments) => attach::detach(context, arguments),
        Command::Ls(arguments) => attach::list(context, &arguments),
        Command::Agent(arguments) => agent::run(context, arguments),
        Command::Gc(arguments) => attach::gc(context, &arguments),
        Command::Doctor => doctor::run(context),
        Command::Cni(arguments) => match arguments.by_hand {
            Some(command) => cni::run(context, command),
            None => oci::hook(context, arguments.command, arguments.config),
        },
        Command::Oci(arguments) => Ok(oci::runtime(context, arguments)),
        Command::Proxy(arguments) => proxy::run(context, arguments),
        Command::Nuage(command) => nuage::run(context, command),
        Command::Ip(command) => ip::run(context, command),
        Command::Install(arguments) => install::run(context, &arguments),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fairlead", &mut script);
            crate::output::write(&String::from_utf8_lossy(&script))?;
            Ok(Status::Done)
        }
    }
}
