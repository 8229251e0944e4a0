//! Tunnels. Two hosts with a cable of 1500 bytes between them, packets as full as
//! can be through each kind of tunnel, and `ip` as the judge.

use crate::Case;
use fairlead_kernel::route::{
    AddressOptions, Link, LinkChange, LinkKind, NewLink, NewLinkKind, Peer, Tunnel, TunnelKind,
};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::IfName;
use serde_json::Value;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;

/// The cable's, in bytes.
const MTU: u32 = 1500;

pub(crate) const CASES: [Case; 6] = [
    ("ipip", || carries(TunnelKind::Ipip, "ipip", &["10.9.0"])),
    ("gre", || {
        carries(TunnelKind::Gre, "gre", &["10.9.0", "fd09:"])
    }),
    ("ip6gre", || {
        carries(TunnelKind::Gre6, "ip6gre", &["10.9.0", "fd09:"])
    }),
    ("ip6ip6", || {
        carries(TunnelKind::Ip6ip6, "ip6tnl", &["fd09:"])
    }),
    ("fallback devices", fallback_devices_are_no_tunnels),
    (
        "foreign tunnels",
        tunnels_with_more_in_their_headers_are_not_read,
    ),
];

struct Host {
    name: String,
    ns: NetNs,
    route: Route,
}

impl Host {
    fn new(name: &str) -> Self {
        let ns = NetNs::create(format!("/run/netns/{name}")).expect("a namespace");
        let mut route = Route::open_in(&ns).expect("a socket");
        let lo = route.link(&ifname("lo")).expect("lo").expect("lo").index;
        route.set_up(lo, &"lo").expect("up");
        Self {
            name: name.to_owned(),
            route,
            ns,
        }
    }

    /// Runs a program inside. Returns whether it succeeded, and what it said.
    fn run(&self, command: &str) -> (bool, String) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut ip = Command::new("ip");
        let output = ip
            .args(["netns", "exec", &self.name])
            .args(words)
            .output()
            .expect("ip");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    #[track_caller]
    fn must(&self, command: &str) -> String {
        let (success, text) = self.run(command);
        assert!(success, "{command}: {text}");
        text
    }

    fn link(&mut self, text: &str) -> Link {
        let link = self.route.link(&ifname(text)).expect("look");
        link.unwrap_or_else(|| panic!("no link {text}"))
    }

    fn add(&mut self, link: &str, net: &str) {
        let index = self.link(link).index;
        let options = AddressOptions {
            no_dad: true,
            ..AddressOptions::default()
        };
        let net = net.parse().expect("a network");
        self.route
            .add_address(index, net, options, &link)
            .expect("add");
    }

    fn set_mtu(&mut self, mtu: u32) {
        let index = self.link("t0").index;
        let change = LinkChange {
            mtu: Some(mtu),
            ..LinkChange::default()
        };
        self.route.change_link(index, &change, &"t0").expect("mtu");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        NetNs::remove(self.ns.path()).expect("remove");
    }
}

fn ifname(text: &str) -> IfName {
    IfName::new(text).expect("a name")
}

fn hosts() -> [Host; 2] {
    let mut hosts = ["one", "two"].map(Host::new);
    let [one, two] = &mut hosts;
    let peer = Peer {
        name: ifname("eth0"),
        mac: None,
        mtu: None,
        namespace: Some(two.ns.as_fd()),
    };
    let new = NewLink::new(ifname("eth0"), NewLinkKind::Veth(peer));
    one.route.create_link(&new).expect("a cable");
    for (number, host) in (1..).zip(&mut hosts) {
        let index = host.link("eth0").index;
        host.route.set_up(index, &"eth0").expect("up");
        host.add("eth0", &format!("192.0.2.{number}/24"));
        host.add("eth0", &format!("2001:db8::{number}/64"));
    }
    hosts
}

/// Makes the tunnel on both hosts, full packets pass it, and it goes.
fn carries(kind: TunnelKind, word: &str, insides: &[&str]) {
    let mut hosts = hosts();
    let ends: [IpAddr; 2] = if kind.over_v6() {
        ["2001:db8::1", "2001:db8::2"]
    } else {
        ["192.0.2.1", "192.0.2.2"]
    }
    .map(|ip| ip.parse().expect("an address"));
    for (i, host) in hosts.iter_mut().enumerate() {
        let tunnel = Tunnel {
            kind,
            local: ends[i],
            remote: ends[1 - i],
        };
        host.route
            .create_link(&NewLink {
                mtu: Some(MTU - kind.overhead()),
                up: true,
                ..NewLink::new(ifname("t0"), NewLinkKind::Tunnel(tunnel))
            })
            .expect("a tunnel");
        is_as_asked(host, tunnel, word);
        for inside in insides {
            let (end, length) = if inside.contains(':') {
                (":", 64)
            } else {
                (".", 24)
            };
            host.add("t0", &format!("{inside}{end}{}/{length}", i + 1));
        }
    }
    let [one, two] = &mut hosts;
    for inside in insides {
        let (to, headers) = if inside.contains(':') {
            (format!("{inside}:2"), 48)
        } else {
            (format!("{inside}.2"), 28)
        };
        let mut fits = |mtu: u32| {
            one.set_mtu(mtu);
            two.set_mtu(mtu);
            let ping = format!("ping -c1 -W2 -M do -s {} {to}", mtu - headers);
            let (passed, text) = one.run(&ping);
            println!("{kind}, {mtu} bytes to {to}: {passed}");
            (passed, text)
        };
        let (passed, text) = fits(MTU - kind.overhead());
        assert!(passed, "{text}");
        // Else the overhead is less than it is said to be.
        let (passed, text) = fits(MTU - kind.overhead() + 1);
        assert!(!passed, "{text}");
    }
    let index = one.link("t0").index;
    one.route.delete_link(index, &"t0").expect("delete");
    assert!(!one.must("ip -j link").contains("\"t0\""));
}

/// `ip` shows what was asked for, and so do we.
fn is_as_asked(host: &mut Host, tunnel: Tunnel, word: &str) {
    let text = host.must("ip -j -d link show t0");
    let seen: Value = serde_json::from_str(&text).expect("JSON");
    let (info, link) = (&seen[0]["linkinfo"], host.link("t0"));
    let data = &info["info_data"];
    assert_eq!(seen[0]["mtu"], MTU - tunnel.kind.overhead(), "{text}");
    assert_eq!(info["info_kind"], word, "{text}");
    assert_eq!(data["local"], tunnel.local.to_string(), "{text}");
    assert_eq!(data["remote"], tunnel.remote.to_string(), "{text}");
    assert_eq!(data["ttl"], 64, "{text}");
    if tunnel.kind.over_v6() {
        assert_eq!(data["ip6_tnl_f_ign_encap_limit"], true, "{text}");
    } else {
        assert_eq!(data["pmtudisc"], true, "{text}");
    }
    let kind = match tunnel.kind {
        TunnelKind::Ipip => LinkKind::Ipip,
        TunnelKind::Gre => LinkKind::Gre,
        TunnelKind::Gre6 => LinkKind::Gre6,
        TunnelKind::Ip6ip6 => LinkKind::Ip6tnl,
    };
    assert_eq!((link.kind, link.tunnel), (Some(kind), Some(tunnel)));
    let again = NewLink::new(ifname("t1"), NewLinkKind::Tunnel(tunnel));
    let error = host.route.create_link(&again).expect_err("two of one way");
    assert!(error.is_exists(), "{error}");
}

/// What the kernel makes by itself when a module is loaded.
fn fallback_devices_are_no_tunnels() {
    let mut host = Host::new("lone");
    for (name, kind) in [
        ("tunl0", LinkKind::Ipip),
        ("gre0", LinkKind::Gre),
        ("ip6tnl0", LinkKind::Ip6tnl),
        ("ip6gre0", LinkKind::Gre6),
    ] {
        let link = host.link(name);
        assert_eq!((link.kind, link.tunnel), (Some(kind), None), "{name}");
    }
}

fn tunnels_with_more_in_their_headers_are_not_read() {
    let mut host = Host::new("lone");
    let four = "local 192.0.2.1 remote 192.0.2.2";
    let six = "local 2001:db8::1 remote 2001:db8::2";
    for (kind, is_ours) in [
        (format!("gre {four} ttl 64"), true),
        (format!("gre {four} key 7"), false),
        (format!("gre {four} csum"), false),
        (format!("ipip {four} mode any"), false),
        (format!("ipip {four} mode ipip"), true),
        (format!("ip6gre {six}"), false),
        (format!("ip6gre {six} encaplimit none"), true),
        (format!("ip6tnl {six} mode ip6ip6"), false),
        (format!("ip6tnl {six} mode ip6ip6 encaplimit none"), true),
        (format!("ip6tnl {six} mode ipip6 encaplimit none"), false),
    ] {
        host.must(&format!("ip link add t0 type {kind}"));
        let link = host.link("t0");
        assert_eq!(link.tunnel.is_some(), is_ours, "{kind}: {link:?}");
        host.must("ip link del t0");
    }
}
