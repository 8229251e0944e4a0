//! What can be said about networks of an SDN controller.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Docker networks that are subnets of Nuage VSP.
#[derive(Debug, Subcommand)]
pub(crate) enum NuageCommand {
    /// List the addresses that this host has from the controller, and whose they are.
    Ls(NuageStateArgs),
    /// List the networks of Docker that are subnets of the controller.
    Networks(NuageStateArgs),
    /// Serve Docker as the drivers nuage and nuage-ipam; the same as `nuage-libnetwork`.
    Serve(NuageServeArgs),
}

/// Where the records are.
#[derive(Debug, Args)]
pub(crate) struct NuageStateArgs {
    /// The folder of the records, if the settings name one (key statedir).
    #[arg(long, value_name = "DIR")]
    pub(crate) statedir: Option<PathBuf>,
}

/// How it is served.
#[derive(Debug, Args)]
pub(crate) struct NuageServeArgs {
    /// The settings: YAML, or the older nuage.cfg.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/default/nuage-libnetwork.yaml"
    )]
    pub(crate) config: PathBuf,
    /// Compare controller, switch, kernel and Docker once, mend, and end.
    #[arg(long, conflicts_with = "check")]
    pub(crate) audit: bool,
    /// Read the settings, say what is wrong with them, and end.
    #[arg(long)]
    pub(crate) check: bool,
}
