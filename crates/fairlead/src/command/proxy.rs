//! `proxy`: the proxy of Docker's API, in the foreground.

use super::{Context, Status};
use crate::cli::ProxyArgs;
use anyhow::Result;
use fairlead_proxy::{Flags, Node, Settings, run as run_proxy};
use std::sync::Arc;

pub(crate) fn run(context: &Context, arguments: ProxyArgs) -> Result<Status> {
    let config = arguments.config.clone();
    let flags = flags(arguments);
    let env = |key: &str| std::env::var(key).ok();
    run_proxy(
        || Settings::load(&context.root, config.as_deref(), &flags, &env),
        |settings| Ok(Arc::new(Node::open(&context.root, &settings.cni_config)?)),
    )?;
    Ok(Status::Done)
}

/// The command line as settings.
fn flags(arguments: ProxyArgs) -> Flags {
    let list = |all: Vec<String>| (!all.is_empty()).then(|| all.join(","));
    let switch = |on: bool| on.then(|| "1".to_owned());
    Flags::default()
        .with("BARREL_MODE", arguments.mode)
        .with("BARREL_DOCKERD_PATH", arguments.dockerd_path)
        .with("BARREL_HOSTS", list(arguments.host))
        .with("BARREL_GROUP", arguments.group)
        .with("BARREL_TLS_CERT_FILE_PATH", arguments.tls_cert)
        .with("BARREL_TLS_KEY_FILE_PATH", arguments.tls_key)
        .with("BARREL_TLS_CA_FILE_PATH", arguments.tls_ca)
        .with("BARREL_ENABLE_CNI", switch(arguments.enable_cni))
        .with("CNI_CONFIG_PATH", arguments.cni_config)
        .with("BARREL_BUFFER_SIZE", arguments.buffer_size)
        .with("BARREL_LOG_LEVEL", arguments.log_level)
        .with(
            "BARREL_RESOURCE_PATH_PREFIXES",
            list(arguments.res_path_prefix),
        )
        .with(
            "BARREL_ENABLE_CNM_AGENT",
            switch(arguments.enable_cnm_agent),
        )
}
