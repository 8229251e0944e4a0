//! What can be said of the proxy of Docker's API.

use clap::Args;
use std::path::PathBuf;

/// Each option is a setting of the file and of the environment as well; the command line wins,
/// then the environment.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// File of settings, as KEY=VALUE [default: /etc/eru/barrel.conf if it is there].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is done besides passing on: default or proxy-only (BARREL_MODE).
    #[arg(long, short)]
    pub(crate) mode: Option<String>,
    /// Dockerd's socket, as unix:///var/run/docker.sock (BARREL_DOCKERD_PATH).
    #[arg(long, short = 'D', value_name = "URL")]
    pub(crate) dockerd_path: Option<String>,
    /// Where clients come, as unix:///var/run/barrel.sock or https://0.0.0.0:2376; may be
    /// repeated (BARREL_HOSTS).
    #[arg(long, short = 'H', value_name = "URL")]
    pub(crate) host: Vec<String>,
    /// Group that may use the socket, by name or number; root alone without it (BARREL_GROUP).
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Certificate of listeners on TCP (BARREL_TLS_CERT_FILE_PATH).
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<String>,
    /// Key of that certificate (BARREL_TLS_KEY_FILE_PATH).
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
    /// Certificate of the authority that signs clients' certificates (BARREL_TLS_CA_FILE_PATH).
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<String>,
    /// Put containers on CNI networks that name one (BARREL_ENABLE_CNI).
    #[arg(long)]
    pub(crate) enable_cni: bool,
    /// Settings of the runtime eru-barrel-cni (CNI_CONFIG_PATH) [default: /etc/docker/cni.yaml].
    #[arg(long, value_name = "FILE")]
    pub(crate) cni_config: Option<String>,
    /// Bytes that are buffered in one direction of a connection (BARREL_BUFFER_SIZE).
    #[arg(long, value_name = "BYTES")]
    pub(crate) buffer_size: Option<String>,
    /// How much is told: error, warn, info, debug or trace (BARREL_LOG_LEVEL).
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Refused unless empty: folders of containers are not removed with them.
    #[arg(long, value_name = "PREFIX", hide = true)]
    pub(crate) res_path_prefix: Vec<String>,
    /// Taken for the sake of units that have it; nothing here needs it.
    #[arg(long, hide = true)]
    pub(crate) hostname: Option<String>,
    /// The same.
    #[arg(long, hide = true)]
    pub(crate) enable_cnm_agent: bool,
    /// The same.
    #[arg(long, hide = true)]
    pub(crate) dial_timeout: Option<String>,
    /// The same.
    #[arg(long, hide = true)]
    pub(crate) request_timeout: Option<String>,
}
