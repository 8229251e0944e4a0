use super::*;
use std::net::UdpSocket;
use std::thread;
use std::time::Instant;

struct Place {
    _dir: tempfile::TempDir,
    root: Root,
}

fn place(hosts: &str, resolv: &str) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    std::fs::create_dir_all(root.join("/etc")).unwrap();
    std::fs::write(root.join("/etc/hosts"), hosts).unwrap();
    std::fs::write(root.join("/etc/resolv.conf"), resolv).unwrap();
    Place { _dir: dir, root }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn text(answer: &Result<Vec<IpAddr>, String>) -> String {
    let list = answer.as_ref().unwrap();
    let list: Vec<_> = list.iter().map(ToString::to_string).collect();
    list.join(" ")
}

#[test]
fn the_hosts_file_comes_first_and_the_hosts_own_addresses_are_left_out() {
    let p = place(
        "127.0.0.1 localhost n1\n127.0.1.1 N1.example.org n1\n192.0.2.1 n1 # here\n\
         2001:db8::1 n1\nfe80::1 n1\n::1 n1\n192.0.2.2 n2 \n192.0.2.1 n1\nbad line\n",
        "nameserver 127.0.0.1\n",
    );
    let found = resolve(
        &p.root,
        &names(&["n1", "N2.", "192.0.2.9"]),
        Duration::from_secs(1),
    );
    assert_eq!(text(&found["n1"]), "192.0.2.1 2001:db8::1");
    assert_eq!(text(&found["N2."]), "192.0.2.2");
    assert_eq!(text(&found["192.0.2.9"]), "192.0.2.9");
}

#[test]
fn a_name_that_nobody_knows_holds_up_nobody() {
    let p = place(
        "127.0.1.1 self\n192.0.2.2 n2\n",
        "nameserver 192.0.2.253\noptions timeout:30\n",
    );
    let start = Instant::now();
    let found = resolve(
        &p.root,
        &names(&["self", "n2", "n3", "n4"]),
        Duration::from_millis(600),
    );
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(text(&found["n2"]), "192.0.2.2");
    let reason = found["self"].as_ref().unwrap_err();
    assert!(reason.contains("127.0.1.1 only"), "{reason}");
    assert!(found["n3"].is_err() && found["n4"].is_err());
}

#[test]
fn a_broken_resolv_conf_is_told_for_each_name() {
    let p = place("", "nameserver nonsense\n");
    let found = resolve(&p.root, &names(&["n3"]), Duration::from_millis(300));
    assert!(found["n3"].is_err());
}

/// A nameserver at an address of its own: `n3` has one address of each family, and its own
/// host's; `slow` gets no answer; nothing else is there.
struct Nameserver {
    socket: UdpSocket,
    address: String,
    thread: Option<thread::JoinHandle<()>>,
}

impl Nameserver {
    fn start() -> Self {
        // Port 53 is the only one that resolv.conf can mean; the address keeps tests apart.
        let [low, high] = std::process::id().to_le_bytes()[..2] else {
            unreachable!("two bytes");
        };
        let address = format!("127.53.{high}.{}", low.max(1));
        let socket = UdpSocket::bind((address.as_str(), 53)).unwrap();
        let own = socket.try_clone().unwrap();
        let thread = thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((len, from)) = own.recv_from(&mut query) {
                if len == 1 {
                    break;
                }
                if let Some(answer) = answer(&query[..len]) {
                    own.send_to(&answer, from).unwrap();
                }
            }
        });
        Self {
            socket,
            address,
            thread: Some(thread),
        }
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        let own = UdpSocket::bind("127.0.0.1:0").unwrap();
        own.send_to(&[0], self.socket.local_addr().unwrap())
            .unwrap();
        self.thread.take().map(thread::JoinHandle::join);
    }
}

/// The answer to a query (RFC 1035, 4.1).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut name = Vec::new();
    while query[at] != 0 {
        let len = usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..=at + len]).to_lowercase());
        at += 1 + len;
    }
    let (kind, end) = (u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5);
    let known = name.first().is_some_and(|n| n == "n3");
    if name.first().is_some_and(|n| n == "slow") {
        return None;
    }
    let addresses: Vec<Vec<u8>> = match kind {
        1 if known => vec![vec![127, 0, 0, 1], vec![192, 0, 2, 3]],
        28 if known => {
            let v6: std::net::Ipv6Addr = "2001:db8::3".parse().unwrap();
            vec![v6.octets().to_vec()]
        }
        _ => Vec::new(),
    };
    let code = if known { 0x80 } else { 0x83 };
    let count = u8::try_from(addresses.len()).unwrap();
    let mut out = query[..2].to_vec();
    out.extend([0x81, code, 0, 1, 0, count, 0, 0, 0, 0]);
    out.extend(&query[12..end]);
    for address in addresses {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(address.len()).unwrap()]);
        out.extend(address);
    }
    Some(out)
}

#[test]
fn nameservers_are_asked_for_both_families() {
    let server = Nameserver::start();
    let text = format!("nameserver {}\n", server.address);
    let p = place("192.0.2.2 n2\n", &text);
    let start = Instant::now();
    let wanted = names(&["n3", "n2", "slow", "absent"]);
    let found = resolve(&p.root, &wanted, Duration::from_secs(2));
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    let n3 = super::tests::text(&found["n3"]);
    let mut list: Vec<_> = n3.split(' ').collect();
    list.sort_unstable();
    assert_eq!(list, ["192.0.2.3", "2001:db8::3"]);
    assert_eq!(found["n2"].as_ref().unwrap().len(), 1);
    let slow = found["slow"].as_ref().unwrap_err();
    let absent = found["absent"].as_ref().unwrap_err();
    assert_ne!(slow, absent, "silence is no denial");
}
