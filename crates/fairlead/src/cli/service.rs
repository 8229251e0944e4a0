//! What can be said of services and of the cluster's names.

use super::{EvalArgs, GetArgs, KeysArgs};
use clap::{Args, Subcommand};
use fairlead_types::ResourceName;
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  fairlead svc create shop/svc/web --kw container#0.image=busybox --kw ip#0.network=backend1 \\
      --kw ip#0.netns=container#0 --kw ip#0.expose=80:8001/tcp
  fairlead svc start shop/svc/web
  fairlead svc status shop/svc/web
  fairlead dns lookup web.shop.svc.CLUSTER";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ServiceCommand {
    /// Declare a service of this node, from a file, from keywords, or from both.
    Create(CreateArgs),
    /// Change the file of a service with $VISUAL or $EDITOR; what cannot be is refused.
    Edit {
        /// NAMESPACE/svc/NAME.
        service: String,
    },
    /// Change keywords of a service, all of one command or none.
    Set(ServiceSetArgs),
    /// Remove keywords of a service, or whole sections: 'ip#0'.
    Unset {
        /// NAMESPACE/svc/NAME.
        service: String,
        #[command(flatten)]
        keys: KeysArgs,
    },
    /// Print a keyword of a service as it is written.
    Get {
        /// NAMESPACE/svc/NAME.
        service: String,
        #[command(flatten)]
        key: GetArgs,
    },
    /// Print a keyword of a service as it counts on this node.
    Eval {
        /// NAMESPACE/svc/NAME.
        service: String,
        #[command(flatten)]
        key: EvalArgs,
    },
    /// Print the file of a service.
    #[command(visible_alias = "print")]
    Show {
        /// NAMESPACE/svc/NAME.
        service: String,
    },
    /// List the services of this node, and those of other nodes that have addresses.
    #[command(visible_alias = "list")]
    Ls,
    /// Show how a service is on this node: each resource, its address, what it exposes.
    Status {
        /// NAMESPACE/svc/NAME; every service of this node when it is left out.
        service: Option<String>,
    },
    /// Start a service: containers, then their addresses. Repeating it is no error.
    Start(RunArgs),
    /// Stop a service, in the reverse order. Repeating it is no error.
    Stop(RunArgs),
    /// Stop a service and start it; it keeps its addresses.
    Restart(RunArgs),
    /// Remove a service that is stopped: its containers and its file.
    #[command(visible_alias = "delete")]
    Rm {
        /// NAMESPACE/svc/NAME.
        service: String,
        /// Stop it first.
        #[arg(long)]
        force: bool,
    },
    /// List the keywords of services, with type, default and meaning.
    Keywords,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// NAMESPACE/svc/NAME.
    pub(crate) service: String,
    /// Take the text of this file; '-' is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// SECTION.OPTION[@NODE]=VALUE; may be repeated.
    #[arg(long = "kw", value_name = "KEY=VALUE")]
    pub(crate) kw: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceSetArgs {
    /// NAMESPACE/svc/NAME.
    pub(crate) service: String,
    /// SECTION.OPTION[@NODE]OPERATOR VALUE; may be repeated.
    #[arg(long = "kw", value_name = "KEY=VALUE", required = true)]
    pub(crate) kw: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// NAMESPACE/svc/NAME.
    pub(crate) service: String,
    /// Only this resource, with what it needs; may be repeated.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) rid: Vec<ResourceName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Print every record of the cluster's zones, as this node knows them.
    Dump,
    /// Ask the agent of this node for a name, or another server.
    Lookup(LookupArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// The name; a name without a dot at its end is also tried with the cluster's.
    pub(crate) name: String,
    /// The type of record: A, AAAA, SRV, PTR, SOA, NS or ANY; by default both kinds of
    /// addresses, SRV for names that begin with '_', and PTR for addresses.
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// The server; by default where the agent of this node answers.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = server)]
    pub(crate) server: Option<SocketAddr>,
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let alone = || text.parse().map(|ip| SocketAddr::new(ip, 53));
    let server = text.parse().or_else(|_| alone());
    server.map_err(|_| format!("{text:?} is neither ADDRESS nor ADDRESS:PORT"))
}
