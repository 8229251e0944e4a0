//! A namespace for a test, taken away with it.

use fairlead_kernel::NetNs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A namespace that ends with this value.
pub(crate) struct TestNs {
    /// The namespace.
    pub(crate) ns: NetNs,
    /// Where it is mounted.
    pub(crate) path: PathBuf,
}

impl TestNs {
    /// Makes one with a name that no other test has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/run/netns/flk-{}-{number}", std::process::id()));
        let ns = NetNs::create(&path).expect("tests need root: run them by 'sudo make test'");
        Self { ns, path }
    }

    /// Runs a program inside and returns what it printed.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> String {
        let net = format!("--net={}", self.path.display());
        let output = Command::new("nsenter")
            .arg(net)
            .arg(program)
            .args(args)
            .output()
            .expect("nsenter");
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("utf-8")
    }

    /// What `ip -j` says inside.
    #[allow(
        dead_code,
        reason = "each test program uses its own part of this module"
    )]
    pub(crate) fn ip(&self, args: &[&str]) -> serde_json::Value {
        let all: Vec<&str> = ["-j"].iter().chain(args).copied().collect();
        let text = self.run("ip", &all);
        serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).expect("json")
    }
}

impl Drop for TestNs {
    fn drop(&mut self) {
        NetNs::remove(&self.path).expect("remove the namespace of a test");
    }
}
