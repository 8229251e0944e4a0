//! A network namespace of a test's own, and what `nft` says about it.

use fairlead_firewall::Firewall;
use fairlead_kernel::NetNs;
use std::process::Command;

/// A namespace that goes with the value.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    pub(crate) ns: NetNs,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ns = NetNs::create(dir.path().join("ns")).unwrap();
        Self { dir, ns }
    }

    pub(crate) fn firewall(&self) -> Firewall {
        self.ns.run(Firewall::open).unwrap().unwrap()
    }

    /// Runs a program in the namespace; it must succeed. Returns what it printed.
    pub(crate) fn run(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let output = self
            .ns
            .run(|| Command::new(words.next().unwrap()).args(words).output())
            .unwrap()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = NetNs::remove(self.dir.path().join("ns"));
    }
}
