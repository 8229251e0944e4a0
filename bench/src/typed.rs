//! What commands print that must succeed.

use anyhow::{Result, bail};
use fairlead_tests::{Docker, Node, Ran};

/// What a command printed, without blanks around.
pub(crate) fn printed(ran: Ran) -> Result<String> {
    if ran.status != Some(0) {
        bail!("it shall succeed: {ran:?}");
    }
    Ok(ran.stdout.trim().to_owned())
}

/// The release of an engine and how it keeps files.
pub(crate) fn about(docker: &Docker, node: &Node) -> Result<String> {
    let version = printed(docker.cli(node, "version --format '{{.Server.Version}}'"))?;
    let files = printed(docker.cli(node, "info --format '{{.Driver}}'"))?;
    Ok(format!("Docker {version} ({files})"))
}
