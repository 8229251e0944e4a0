//! A namespace for a test, taken away with it, and links in it.
#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use fairlead_kernel::route::{AddressOptions, NewLink, NewLinkKind};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::IfName;
use std::net::IpAddr;
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

pub(crate) fn name(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Makes a link that is up, and returns its index.
pub(crate) fn make(route: &mut Route, text: &str, kind: NewLinkKind<'_>) -> u32 {
    let new = NewLink {
        up: true,
        ..NewLink::new(name(text), kind)
    };
    route.create_link(&new).unwrap();
    route.link(&name(text)).unwrap().unwrap().index
}

pub(crate) fn bridge(route: &mut Route, text: &str) -> u32 {
    let kind = NewLinkKind::Bridge {
        vlan_filtering: None,
    };
    make(route, text, kind)
}

/// Gives a link an address that is usable at once.
pub(crate) fn add(route: &mut Route, index: u32, net: &str) {
    let options = AddressOptions {
        no_dad: true,
        ..AddressOptions::default()
    };
    route
        .add_address(index, net.parse().unwrap(), options, &net)
        .unwrap();
}
