//! What can be said to the door of OCI.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = OCI_EXAMPLE)]
pub(crate) struct OciArgs {
    /// The settings, as eru-barrel-cni and docker-cni have them.
    #[arg(long, value_name = "FILE", default_value = fairlead_oci::DEFAULT_PATH)]
    pub(crate) config: PathBuf,
    /// What the real runtime is called with; stands behind '--'.
    #[arg(last = true, required = true, value_name = "RUNTIME'S ARGUMENTS")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}

const OCI_EXAMPLE: &str = "\
In /etc/docker/daemon.json:
  {\"runtimes\": {\"barrel-cni\": {\"path\": \"/usr/bin/eru-barrel-cni\",
    \"runtimeArgs\": [\"oci\", \"--config\", \"/etc/docker/cni.yaml\", \"--\"]}}}
Then:
  docker run -it --rm --runtime barrel-cni --net none bash bash
  docker run --runtime barrel-cni --net none --label eru.cni/network=back \\
    --label eru.cni/ipv4=10.1.0.7 --label eru.cni/fixed-ip=1 IMAGE

A container says by annotations, by labels of Docker's, or by variables of its environment
(IPPOOL, IPV4, fixed-ip) what it wants: eru.cni/network, ippool, ipv4, ipv6, mac, fixed-ip,
ports, args. Engines that call OCI hooks themselves call 'fairlead cni --command add' at
createRuntime and 'fairlead cni --command del' at poststop.";
