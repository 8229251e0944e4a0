//! Connections through the rules: who is reached, and who the other end sees.
//!
//! One namespace is the host, with a bridge; two are containers on it; one is outside.

mod support;

use fairlead_firewall::{Condition, Element, Firewall, Publish, Side};
use fairlead_types::Protocol;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use support::Sandbox;

/// Long enough for a packet on this machine, short enough to wait for one that is
/// dropped.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the kernel may take to set links up.
const LIMIT: Duration = Duration::from_secs(20);

struct Net {
    host: Sandbox,
    one: Sandbox,
    two: Sandbox,
    outside: Sandbox,
}

impl Sandbox {
    /// Waits until the kernel has taken note of every carrier, which it does in the
    /// background, and of every IPv6 address. Until then packets may be lost.
    fn settle(&self) {
        let end = Instant::now() + LIMIT;
        let list = |command: &str| -> Vec<serde_json::Value> {
            serde_json::from_str(&self.run(command)).unwrap()
        };
        loop {
            let links = list("ip -j link show up");
            let addresses = self.run("ip -j -6 addr show tentative");
            let down = |l: &&serde_json::Value| l["ifname"] != "lo" && l["operstate"] != "UP";
            if !links.iter().any(|l| down(&l)) && !addresses.contains("local") {
                return;
            }
            assert!(Instant::now() < end, "{links:?} {addresses}");
            std::thread::yield_now();
        }
    }

    fn set(&self, setting: &str, value: &str) {
        let path = format!("/proc/sys/net/{setting}");
        self.ns
            .run(|| std::fs::write(path, value))
            .unwrap()
            .unwrap();
    }
}

impl Net {
    fn new() -> Self {
        let net = Self {
            host: Sandbox::new(),
            one: Sandbox::new(),
            two: Sandbox::new(),
            outside: Sandbox::new(),
        };
        // An IPv6 address that is still being probed cannot ask for neighbours.
        for sandbox in [&net.host, &net.one, &net.two, &net.outside] {
            sandbox.set("ipv6/conf/all/accept_dad", "0");
            sandbox.set("ipv6/conf/default/accept_dad", "0");
        }
        net.host.run("ip link set lo up");
        net.host.run("ip link add br0 type bridge");
        net.host.run("ip addr add 10.22.0.1/16 dev br0");
        net.host.run("ip addr add fd00:22::1/64 dev br0 nodad");
        net.host.run("ip link set br0 up");
        for (name, sandbox, number) in [("one", &net.one, 2), ("two", &net.two, 3)] {
            net.plug(name, sandbox);
            net.host.run(&format!("ip link set {name} master br0"));
            net.host
                .run(&format!("ip link set {name} type bridge_slave hairpin on"));
            sandbox.run(&format!("ip addr add 10.22.0.{number}/16 dev eth0"));
            sandbox.run(&format!("ip addr add fd00:22::{number}/64 dev eth0 nodad"));
            sandbox.run("ip route add default via 10.22.0.1");
            sandbox.run("ip route add default via fd00:22::1");
        }
        net.plug("eth0", &net.outside);
        net.host.run("ip addr add 192.0.2.1/24 dev eth0");
        net.host.run("ip addr add 2001:db8::1/64 dev eth0 nodad");
        net.outside.run("ip addr add 192.0.2.2/24 dev eth0");
        net.outside.run("ip addr add 2001:db8::2/64 dev eth0 nodad");
        for setting in [
            "ipv4/ip_forward",
            "ipv6/conf/all/forwarding",
            "ipv4/conf/br0/route_localnet",
        ] {
            net.host.set(setting, "1");
        }
        for sandbox in [&net.host, &net.one, &net.two, &net.outside] {
            sandbox.settle();
        }
        net
    }

    /// A cable from the host's interface `name` to `eth0` of `sandbox`.
    fn plug(&self, name: &str, sandbox: &Sandbox) {
        let path = sandbox.ns.path().display();
        self.host.run(&format!(
            "ip link add {name} type veth peer name eth0 netns {path}"
        ));
        self.host.run(&format!("ip link set {name} up"));
        sandbox.run("ip link set lo up");
        sandbox.run("ip link set eth0 up");
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn listen(at: &Sandbox, on: &str) -> TcpListener {
    at.ns.run(|| TcpListener::bind(on)).unwrap().unwrap()
}

/// Connects and returns the address that the listener sees.
#[track_caller]
fn seen(from: &Sandbox, to: &str, listener: &TcpListener) -> IpAddr {
    let stream = connect(from, to).unwrap();
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(peer.is_ipv6(), stream.peer_addr().unwrap().is_ipv6());
    peer.ip()
}

fn connect(from: &Sandbox, to: &str) -> std::io::Result<TcpStream> {
    from.ns
        .run(|| TcpStream::connect_timeout(&address(to), PATIENCE))
        .unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn publish(protocol: Protocol, host: Option<&str>, host_port: u16, target: &str) -> Publish {
    let target = address(target);
    Publish {
        protocol,
        host_ip: host.map(ip),
        host_port,
        target_ip: target.ip(),
        target_port: target.port(),
    }
}

fn add(firewall: &mut Firewall, elements: &[Element]) {
    firewall.add(elements).unwrap();
}

#[test]
fn a_published_port_leads_to_the_container() {
    let net = Net::new();
    let mut firewall = net.host.firewall();
    let tcp = |host, port, target| Element::Publish(publish(Protocol::Tcp, host, port, target));
    add(
        &mut firewall,
        &[
            tcp(None, 8080, "10.22.0.2:80"),
            tcp(None, 8080, "[fd00:22::2]:80"),
            tcp(Some("192.0.2.1"), 8081, "10.22.0.2:80"),
            tcp(Some("2001:db8::1"), 8081, "[fd00:22::2]:80"),
            Element::Hairpin {
                address: ip("10.22.0.2"),
                subnet: "10.22.0.0/16".parse().unwrap(),
            },
            Element::Hairpin {
                address: ip("fd00:22::2"),
                subnet: "fd00:22::/64".parse().unwrap(),
            },
        ],
    );
    let v4 = listen(&net.one, "10.22.0.2:80");
    let v6 = listen(&net.one, "[fd00:22::2]:80");
    // From outside and from the host, the client is seen as itself.
    assert_eq!(seen(&net.outside, "192.0.2.1:8080", &v4), ip("192.0.2.2"));
    assert_eq!(seen(&net.outside, "192.0.2.1:8081", &v4), ip("192.0.2.2"));
    assert_eq!(
        seen(&net.outside, "[2001:db8::1]:8080", &v6),
        ip("2001:db8::2")
    );
    assert_eq!(
        seen(&net.outside, "[2001:db8::1]:8081", &v6),
        ip("2001:db8::2")
    );
    assert_eq!(seen(&net.host, "192.0.2.1:8080", &v4), ip("192.0.2.1"));
    // From the host's loopback and from the same bridge, as the bridge's address.
    assert_eq!(seen(&net.host, "127.0.0.1:8080", &v4), ip("10.22.0.1"));
    for container in [&net.two, &net.one] {
        assert_eq!(seen(container, "192.0.2.1:8080", &v4), ip("10.22.0.1"));
        assert_eq!(seen(container, "[2001:db8::1]:8080", &v6), ip("fd00:22::1"));
    }
    // Another address or port of the host is as it was: nobody listens.
    for refused in ["127.0.0.1:8081", "[::1]:8080", "192.0.2.1:8082"] {
        let error = connect(&net.host, refused).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionRefused,
            "{refused}"
        );
    }
    firewall.remove(&[tcp(None, 8080, "10.22.0.2:80")]).unwrap();
    let error = connect(&net.outside, "192.0.2.1:8080").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_published_udp_port_answers_from_where_it_was_asked() {
    let net = Net::new();
    let port = publish(Protocol::Udp, None, 53, "10.22.0.2:5353");
    add(&mut net.host.firewall(), &[Element::Publish(port)]);
    let open = |at: &Sandbox, on: &str| {
        let socket = at.ns.run(|| UdpSocket::bind(on)).unwrap().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let server = open(&net.one, "10.22.0.2:5353");
    let client = open(&net.outside, "192.0.2.2:0");
    client.send_to(b"ask", "192.0.2.1:53").unwrap();
    let mut buffer = [0; 8];
    let (_, peer) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    server.send_to(b"answer", peer).unwrap();
    assert_eq!(
        client.recv_from(&mut buffer).unwrap(),
        (6, address("192.0.2.1:53"))
    );
}

#[test]
fn a_container_goes_out_as_the_host_and_meets_its_neighbours_as_itself() {
    let net = Net::new();
    let mut firewall = net.host.firewall();
    let masquerade = |address, subnet: &str| Element::Masquerade {
        address: ip(address),
        subnet: subnet.parse().unwrap(),
    };
    add(
        &mut firewall,
        &[
            masquerade("10.22.0.2", "10.22.0.0/16"),
            masquerade("fd00:22::2", "fd00:22::/64"),
        ],
    );
    let v4 = listen(&net.outside, "192.0.2.2:80");
    let v6 = listen(&net.outside, "[2001:db8::2]:80");
    assert_eq!(seen(&net.one, "192.0.2.2:80", &v4), ip("192.0.2.1"));
    assert_eq!(seen(&net.one, "[2001:db8::2]:80", &v6), ip("2001:db8::1"));
    let neighbour = listen(&net.two, "10.22.0.3:80");
    assert_eq!(seen(&net.one, "10.22.0.3:80", &neighbour), ip("10.22.0.2"));
    // Between declared networks nothing is translated.
    net.outside.run("ip route add 10.22.0.0/16 via 192.0.2.1");
    net.outside.run("ip route add fd00:22::/64 via 2001:db8::1");
    let networks = ["192.0.2.0/24", "2001:db8::/64"].map(|n| n.parse().unwrap());
    firewall.set_networks(&networks, &[]).unwrap();
    assert_eq!(seen(&net.one, "192.0.2.2:80", &v4), ip("10.22.0.2"));
    assert_eq!(seen(&net.one, "[2001:db8::2]:80", &v6), ip("fd00:22::2"));
    // Who is not masqueraded is seen as itself too.
    firewall.set_networks(&[], &[]).unwrap();
    assert_eq!(seen(&net.two, "192.0.2.2:80", &v4), ip("10.22.0.3"));
}

#[test]
fn a_whole_range_goes_out_as_the_host() {
    let net = Net::new();
    net.outside.run("ip route add 10.22.0.0/16 via 192.0.2.1");
    net.outside.run("ip route add fd00:22::/64 via 2001:db8::1");
    let mut firewall = net.host.firewall();
    let nets =
        |texts: &[&str]| -> Vec<IpNet> { texts.iter().map(|n| n.parse().unwrap()).collect() };
    let range = nets(&["10.22.0.0/16", "fd00:22::/64"]);
    let outside = nets(&["192.0.2.0/24", "2001:db8::/64"]);
    let v4 = listen(&net.outside, "192.0.2.2:80");
    let v6 = listen(&net.outside, "[2001:db8::2]:80");
    let both = |from: &Sandbox| {
        [
            seen(from, "192.0.2.2:80", &v4),
            seen(from, "[2001:db8::2]:80", &v6),
        ]
    };
    let itself = [ip("10.22.0.2"), ip("fd00:22::2")];
    assert_eq!(both(&net.one), itself);
    firewall.set_networks(&range, &range).unwrap();
    for container in [&net.one, &net.two] {
        assert_eq!(both(container), [ip("192.0.2.1"), ip("2001:db8::1")]);
    }
    // Not who is outside of it.
    let half = nets(&["10.22.0.2/32", "fd00:22::2/128"]);
    firewall.set_networks(&range, &half).unwrap();
    assert_eq!(both(&net.one), [ip("192.0.2.1"), ip("2001:db8::1")]);
    assert_eq!(both(&net.two), [ip("10.22.0.3"), ip("fd00:22::3")]);
    let neighbour = listen(&net.two, "10.22.0.3:80");
    assert_eq!(seen(&net.one, "10.22.0.3:80", &neighbour), itself[0]);
    // To a declared network, and within what is masqueraded, each is itself.
    let all = [&range[..], &outside].concat();
    for (networks, masqueraded) in [(&all, &range), (&vec![], &all), (&range, &vec![])] {
        firewall.set_networks(networks, masqueraded).unwrap();
        assert_eq!(both(&net.one), itself, "{networks:?} {masqueraded:?}");
    }
}

#[test]
fn multicast_from_a_masqueraded_range_is_not_translated() {
    let net = Net::new();
    net.outside.run("ip route add 10.22.0.0/16 via 192.0.2.1");
    net.outside.run("ip route add fd00:22::/64 via 2001:db8::1");
    net.host.run("ip route add 239.0.0.0/8 dev eth0");
    // By the source the kernel chooses the link that multicast leaves by.
    net.host.run("ip addr add 10.22.9.9/32 dev eth0");
    net.host.run("ip addr add fd00:22::9/128 dev eth0 nodad");
    let range = ["10.22.0.0/16", "fd00:22::/64"].map(|n| n.parse().unwrap());
    net.host.firewall().set_networks(&[], &range).unwrap();
    let index = |at: &Sandbox| -> u32 {
        let link: serde_json::Value =
            serde_json::from_str(&at.run("ip -j link show eth0")).unwrap();
        u32::try_from(link[0]["ifindex"].as_u64().unwrap()).unwrap()
    };
    let bind = |at: &Sandbox, on: &str| {
        let socket = at.ns.run(|| UdpSocket::bind(on)).unwrap().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let mut buffer = [0; 8];
    let listener = bind(&net.outside, "0.0.0.0:5353");
    listener
        .join_multicast_v4(&"239.1.1.1".parse().unwrap(), &"192.0.2.2".parse().unwrap())
        .unwrap();
    let sender = bind(&net.host, "10.22.9.9:0");
    sender.send_to(b"all", "239.1.1.1:5353").unwrap();
    let (_, from) = listener.recv_from(&mut buffer).unwrap();
    assert_eq!(from.ip(), ip("10.22.9.9"));
    // One address is translated, so the range is in use.
    sender.send_to(b"one", "192.0.2.2:5353").unwrap();
    let (_, from) = listener.recv_from(&mut buffer).unwrap();
    assert_eq!(from.ip(), ip("192.0.2.1"));

    let group = "ff02::1:3".parse().unwrap();
    let listener = bind(&net.outside, "[::]:5354");
    listener
        .join_multicast_v6(&group, index(&net.outside))
        .unwrap();
    let sender = bind(&net.host, "[fd00:22::9]:0");
    let to = SocketAddrV6::new(group, 5354, 0, index(&net.host));
    sender.send_to(b"all", to).unwrap();
    let (_, from) = listener.recv_from(&mut buffer).unwrap();
    assert_eq!(from.ip(), ip("fd00:22::9"));
    sender.send_to(b"one", "[2001:db8::2]:5354").unwrap();
    let (_, from) = listener.recv_from(&mut buffer).unwrap();
    assert_eq!(from.ip(), ip("2001:db8::1"));
}

#[test]
fn a_condition_must_hold() {
    let net = Net::new();
    let mut firewall = net.host.firewall();
    let listener = listen(&net.one, "10.22.0.2:80");
    let mut with = |negated, prefix: &str| {
        let element = Element::PublishIf {
            publish: publish(Protocol::Tcp, None, 8080, "10.22.0.2:80"),
            conditions: vec![Condition {
                side: Side::Source,
                negated,
                prefix: prefix.parse().unwrap(),
            }],
            tag: "one".into(),
        };
        add(&mut firewall, &[element]);
    };
    for (negated, prefix) in [
        (false, "192.0.2.0/25"),
        (true, "192.0.2.4/30"),
        (false, "0.0.0.0/0"),
    ] {
        with(negated, prefix);
        assert_eq!(
            seen(&net.outside, "192.0.2.1:8080", &listener),
            ip("192.0.2.2")
        );
    }
    for (negated, prefix) in [
        (true, "192.0.2.0/25"),
        (false, "192.0.2.4/30"),
        (true, "0.0.0.0/0"),
    ] {
        with(negated, prefix);
        let error = connect(&net.outside, "192.0.2.1:8080").unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionRefused,
            "{prefix}"
        );
    }
}

#[test]
fn a_checked_port_sends_from_its_own_address_only() {
    let net = Net::new();
    let mut firewall = net.host.firewall();
    let link: serde_json::Value =
        serde_json::from_str(&net.one.run("ip -j link show eth0")).unwrap();
    let mac = link[0]["address"].as_str().unwrap().parse().unwrap();
    let check = Element::MacCheck {
        ifname: "one".parse().unwrap(),
        mac,
    };
    add(&mut firewall, std::slice::from_ref(&check));
    let listener = listen(&net.two, "10.22.0.3:80");
    assert_eq!(seen(&net.one, "10.22.0.3:80", &listener), ip("10.22.0.2"));
    net.one.run("ip link set eth0 address 02:00:00:00:00:99");
    let error = connect(&net.one, "10.22.0.3:80").unwrap_err();
    assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    firewall.remove(&[check]).unwrap();
    // Each still remembers what it learned or did not learn of the other.
    net.one.run("ip neigh flush all");
    net.two.run("ip neigh flush all");
    assert_eq!(seen(&net.one, "10.22.0.3:80", &listener), ip("10.22.0.2"));
}
