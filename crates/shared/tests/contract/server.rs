//! Shared state in a real etcd, for one test.

use crate::engine::Engine;
use fairlead_shared::{Etcd, EtcdOptions, SharedState};
use fairlead_tests::LoneEtcd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(crate) fn options(server: &LoneEtcd) -> EtcdOptions {
    EtcdOptions {
        endpoints: vec![server.url().to_owned()],
        ..EtcdOptions::default()
    }
}

pub(crate) fn opened(server: &LoneEtcd) -> Etcd {
    Etcd::open(&options(server)).unwrap()
}

impl Engine for LoneEtcd {
    fn open(&self) -> Box<dyn SharedState> {
        Box::new(opened(self))
    }

    fn seen(&self, key: &str) -> Option<Vec<u8>> {
        self.value(&format!("/fairlead/{key}"))
    }

    fn compact(&self, state: &dyn SharedState) {
        let revision = state.put("filler", b"", None).unwrap();
        self.ctl(&["compact", &revision.to_string()]);
    }

    fn tell(&self, command: &mut Command) {
        command.env("SHARED_ETCD", self.url());
    }
}

/// Options for quick failures.
pub(crate) fn hasty(endpoints: &[&str]) -> EtcdOptions {
    EtcdOptions {
        endpoints: endpoints.iter().map(|url| (*url).to_owned()).collect(),
        timeout: Duration::from_secs(2),
        ..EtcdOptions::default()
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
