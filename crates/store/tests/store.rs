//! The state file from outside: opening, boots, damage, and every table.

use fairlead_store::{
    Actor, AttachmentFilter, AttachmentState, BootId, Claim, Masquerade, NetnsRef, NewAddress,
    NewAttachment, PortClaim, Store, StoreError,
};
use fairlead_types::{Owner, Protocol, Root};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("state/node.db")
    }

    fn open(&self) -> Store {
        self.open_in("boot-1")
    }

    fn open_in(&self, boot: &str) -> Store {
        Store::open_file(&self.file(), &BootId::new(boot)).unwrap()
    }
}

fn owner(container: &str) -> Owner {
    Owner {
        network: "net1".parse().unwrap(),
        container: container.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn address<'a>(owner: &'a Owner, addr: &str, boot_lived: bool) -> NewAddress<'a> {
    NewAddress {
        pool: "net1",
        addr: ip(addr),
        owner,
        netns: None,
        boot_lived,
    }
}

fn attachment(owner: &Owner) -> NewAttachment<'_> {
    NewAttachment::new(owner, "a1", "{}")
}

fn claim(host: Option<&str>, port: u16, target: &str) -> PortClaim {
    PortClaim {
        protocol: Protocol::Tcp,
        host: host.map(ip),
        port,
        target: target.parse().unwrap(),
        hairpin: None,
        conditions: None,
    }
}

fn gone() -> NetnsRef {
    NetnsRef {
        path: "/nonexistent/netns".into(),
        dev: 1,
        ino: 1,
        born: 0,
    }
}

#[test]
fn the_file_is_made_private_below_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    let store = Store::open(&root).unwrap();
    assert_eq!(store.path(), dir.path().join("var/lib/fairlead/node.db"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&root.state()), 0o700);
    for file in ["node.db", "node.db-wal", "node.db-shm"] {
        assert_eq!(mode(&root.state().join(file)), 0o600, "{file}");
    }
}

#[test]
fn many_may_be_the_first_to_open() {
    let dir = Dir::new();
    std::thread::scope(|scope| {
        for number in 0..24 {
            let dir = &dir;
            scope.spawn(move || {
                let owner = owner(&format!("c{number}"));
                let addr = format!("10.0.0.{number}");
                dir.open()
                    .write(|tx| tx.take_address(&address(&owner, &addr, true)))
                    .unwrap();
            });
        }
    });
    assert_eq!(dir.open().view().addresses().unwrap().len(), 24);
}

#[test]
fn an_empty_file_is_filled() {
    let dir = Dir::new();
    std::fs::create_dir(dir.file().parent().unwrap()).unwrap();
    std::fs::write(dir.file(), "").unwrap();
    assert!(dir.open().view().addresses().unwrap().is_empty());
}

#[test]
fn a_failed_closure_leaves_nothing() {
    let dir = Dir::new();
    let mut store = dir.open();
    let owner = owner("c1");
    let result = store.write(|tx| {
        tx.begin_attachment(&attachment(&owner))?;
        tx.take_address(&address(&owner, "10.0.0.1", true))?;
        tx.take_address(&address(&owner, "10.0.0.1", true))
    });
    match result {
        Err(StoreError::AddressTaken { addr, holder, .. }) => {
            assert_eq!((addr, *holder), (ip("10.0.0.1"), owner.clone()));
        }
        other => panic!("{other:?}"),
    }
    assert!(store.view().owners().unwrap().is_empty());
    assert_eq!(
        store.view().first_free("net1", ip("10.0.0.1")).unwrap(),
        Some(ip("10.0.0.1"))
    );
}

#[test]
fn a_reboot_removes_what_ended_with_it() {
    let dir = Dir::new();
    let (lived, kept) = (owner("c1"), owner("c2"));
    dir.open()
        .write(|tx| {
            tx.begin_attachment(&attachment(&lived))?;
            tx.take_address(&address(&lived, "10.0.0.1", true))?;
            tx.take_address(&address(&kept, "10.0.0.2", false))?;
            tx.set_cursor("net1", 0, ip("10.0.0.2"))?;
            tx.add_masquerade(&Masquerade {
                owner: lived.clone(),
                addr: ip("10.0.0.1"),
                subnet: "10.0.0.0/24".parse().unwrap(),
                netns: None,
            })?;
            tx.claim_ports(&lived, None, &[claim(None, 80, "10.0.0.1:80")])
        })
        .unwrap();
    assert_eq!(
        dir.open().view().owners().unwrap().len(),
        2,
        "the same boot"
    );
    let store = dir.open_in("boot-2");
    let owners = store.view().owners().unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0].owner, kept);
    assert!(owners[0].reserved);
    let free = |addr| store.view().first_free("net1", ip(addr)).unwrap();
    assert_eq!(free("10.0.0.1"), Some(ip("10.0.0.1")));
    assert_eq!(free("10.0.0.2"), Some(ip("10.0.0.3")));
    let cursors = store.view().cursors("net1").unwrap();
    assert_eq!(cursors, Some(vec![(0, ip("10.0.0.2"))]));
}

#[test]
fn damage_is_told_with_the_file_and_the_cure() {
    for bytes in [&b"no database at all, just a text"[..], &[0xff; 9000]] {
        let dir = Dir::new();
        std::fs::create_dir(dir.file().parent().unwrap()).unwrap();
        std::fs::write(dir.file(), bytes).unwrap();
        let error = Store::open_file(&dir.file(), &BootId::new("b")).unwrap_err();
        assert!(error.is_damaged(), "{error}");
        let text = error.to_string();
        assert!(text.contains(dir.file().to_str().unwrap()), "{text}");
        assert!(text.contains("move it and its -wal and -shm files away"));
    }
}

#[test]
fn damaged_pages_are_told_when_they_are_read() {
    let dir = Dir::new();
    drop(dir.open());
    for log in ["node.db-wal", "node.db-shm"] {
        std::fs::remove_file(dir.file().with_file_name(log)).unwrap();
    }
    let mut bytes = std::fs::read(dir.file()).unwrap();
    bytes[4096 * 2..].fill(0xa5);
    std::fs::write(dir.file(), bytes).unwrap();
    let opened = Store::open_file(&dir.file(), &BootId::new("boot-1"));
    let error = match opened {
        Ok(mut store) => store
            .write(|tx| tx.begin_attachment(&attachment(&owner("c1"))))
            .unwrap_err(),
        Err(error) => error,
    };
    assert!(error.is_damaged(), "{error}");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = Dir::new();
    drop(dir.open());
    let conn = rusqlite::Connection::open(dir.file()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    for boot in ["boot-1", "boot-2"] {
        match Store::open_file(&dir.file(), &BootId::new(boot)) {
            Err(StoreError::Newer { found: 99, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let error = Store::open_file(Path::new("/dev/null/x/node.db"), &BootId::new("b")).unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("/dev/null"), "{error}");
}

#[test]
fn an_attachment_goes_from_pending_to_gone() {
    let dir = Dir::new();
    let mut store = dir.open();
    let owner = owner("c1");
    let object = "ns/svc/web".parse().unwrap();
    let host_ifname = "veth1".parse().unwrap();
    let actor = Actor::current().unwrap();
    let netns = gone();
    let new = NewAttachment {
        netns: Some(&netns),
        object: Some(&object),
        actor: Some(actor),
        args: Some("IP=1.2.3.4"),
        ..attachment(&owner)
    };
    let missing = store.write(|tx| tx.attachment_ready(&owner, "{}", None));
    assert!(matches!(missing, Err(StoreError::AttachmentMissing { .. })));
    store.write(|tx| tx.begin_attachment(&new)).unwrap();
    assert_eq!(store.view().cached_result(&owner).unwrap(), None);
    let owners = store.view().owners().unwrap();
    assert!(owners[0].is_gone() && owners[0].is_worked_on());
    match store.write(|tx| tx.begin_attachment(&new)) {
        Err(StoreError::AttachmentExists { state, .. }) => {
            assert_eq!(state, AttachmentState::Pending);
        }
        other => panic!("{other:?}"),
    }
    store
        .write(|tx| tx.attachment_ready(&owner, "{\"ips\":[]}", Some(&host_ifname)))
        .unwrap();
    let record = store.view().attachment(&owner).unwrap().unwrap();
    assert_eq!(record.state, AttachmentState::Ready);
    assert_eq!(record.actor, None);
    assert_eq!(record.host_ifname, Some(host_ifname));
    assert_eq!(record.netns, Some(netns));
    assert_eq!(record.args.as_deref(), Some("IP=1.2.3.4"));
    let cached = store.view().cached_result(&owner).unwrap();
    assert_eq!(cached.as_deref(), Some("{\"ips\":[]}"));
    let same = std::slice::from_ref(&record);
    assert_eq!(store.view().attachments_for(&object).unwrap(), same);
    assert_eq!(store.view().attachments_of(&owner.container).unwrap(), same);
}

#[test]
fn an_attachment_is_listed_by_how_far_it_is_until_it_is_removed() {
    let dir = Dir::new();
    let mut store = dir.open();
    let owner = owner("c1");
    let actor = Actor::current().unwrap();
    store
        .write(|tx| tx.begin_attachment(&attachment(&owner)))
        .unwrap();
    store
        .write(|tx| tx.attachment_detaching(&owner, Some(actor)))
        .unwrap();
    let detaching = AttachmentFilter {
        state: Some(AttachmentState::Detaching),
        network: Some(&owner.network),
        ..AttachmentFilter::default()
    };
    assert_eq!(store.view().attachments(&detaching).unwrap().len(), 1);
    let ready = AttachmentFilter {
        state: Some(AttachmentState::Ready),
        ..detaching
    };
    assert!(store.view().attachments(&ready).unwrap().is_empty());
    assert!(store.write(|tx| tx.remove_attachment(&owner)).unwrap());
    assert!(!store.write(|tx| tx.remove_attachment(&owner)).unwrap());
}

#[test]
fn a_port_has_one_holder() {
    let dir = Dir::new();
    let mut store = dir.open();
    let (one, two) = (owner("c1"), owner("c2"));
    let mut take =
        |owner: &Owner, claims: &[PortClaim]| store.write(|tx| tx.claim_ports(owner, None, claims));
    take(&one, &[claim(None, 80, "10.0.0.1:8080")]).unwrap();
    take(&one, &[claim(Some("192.0.2.1"), 81, "10.0.0.1:81")]).unwrap();
    // The same again, and to another target, is the holder's own affair.
    take(&one, &[claim(None, 80, "10.0.0.1:8081")]).unwrap();
    for (host, port, held) in [
        (None, 80, None),
        (Some("192.0.2.9"), 80, None),
        (None, 81, Some("192.0.2.1")),
        (Some("192.0.2.1"), 81, Some("192.0.2.1")),
    ] {
        let free = claim(None, 8000, "10.0.0.2:80");
        match take(&two, &[free, claim(host, port, "10.0.0.2:80")]) {
            Err(error @ StoreError::PortTaken { .. }) => {
                let text = error.to_string();
                assert!(text.contains("container c1"), "{text}");
                assert!(
                    text.contains(held.unwrap_or("every host address")),
                    "{text}"
                );
            }
            other => panic!("{host:?} {port}: {other:?}"),
        }
    }
    let udp = PortClaim {
        protocol: Protocol::Udp,
        ..claim(None, 80, "10.0.0.2:80")
    };
    let others = [
        udp.clone(),
        claim(None, 80, "[fd00::2]:80"),
        claim(Some("192.0.2.2"), 81, "10.0.0.2:80"),
    ];
    take(&two, &others).unwrap();
    let limited = PortClaim {
        conditions: Some("ip saddr 192.0.2.0/24".into()),
        ..udp
    };
    take(&two, std::slice::from_ref(&limited)).unwrap();
    let ports = store.view().ports().unwrap();
    assert!(ports.iter().any(|port| port.claim == limited), "{ports:?}");
    assert_eq!(
        ports.len(),
        5,
        "a refused call claims nothing at all: {ports:?}"
    );
    assert_eq!(ports[0].claim.target, "10.0.0.1:8081".parse().unwrap());
    let released = store.write(|tx| tx.release_ports(&one)).unwrap();
    assert_eq!(released.len(), 2);
    assert!(store.write(|tx| tx.release_ports(&one)).unwrap().is_empty());
    let free = [claim(None, 80, "10.0.0.2:80")];
    store.write(|tx| tx.claim_ports(&two, None, &free)).unwrap();
}

#[test]
fn masquerades_are_kept_by_owner() {
    let dir = Dir::new();
    let mut store = dir.open();
    let new = Masquerade {
        owner: owner("c1"),
        addr: ip("fd00::2"),
        subnet: "fd00::/64".parse().unwrap(),
        netns: Some(gone()),
    };
    for _ in 0..2 {
        store.write(|tx| tx.add_masquerade(&new)).unwrap();
    }
    assert_eq!(
        store.view().masquerades().unwrap(),
        std::slice::from_ref(&new)
    );
    assert_eq!(
        store.view().own_masquerades(&new.owner).unwrap(),
        std::slice::from_ref(&new)
    );
    // A new holder of the address before the old one's row is gone.
    let late = Masquerade {
        owner: owner("c2"),
        ..new.clone()
    };
    store.write(|tx| tx.add_masquerade(&late)).unwrap();
    assert_eq!(store.view().own_masquerades(&new.owner).unwrap(), []);
    store.write(|tx| tx.remove_masquerades(&new.owner)).unwrap();
    assert_eq!(store.view().own_masquerades(&late.owner).unwrap(), [late]);
    store
        .write(|tx| tx.remove_masquerades(&owner("c2")))
        .unwrap();
    assert!(store.view().masquerades().unwrap().is_empty());
}

#[test]
fn of_several_that_claim_an_attachment_one_has_it() {
    let dir = Dir::new();
    let mut store = dir.open();
    let one = owner("c1");
    let me = Actor::current().unwrap();
    let claim = |store: &mut Store, actor, garbage| {
        store
            .write(|tx| tx.claim_attachment(&one, actor, |_| garbage))
            .unwrap()
    };
    assert_eq!(claim(&mut store, me, true), Claim::Gone);
    let new = NewAttachment::new(&one, "c1", "{}");
    store.write(|tx| tx.begin_attachment(&new)).unwrap();
    assert_eq!(claim(&mut store, me, false), Claim::Changed);
    assert_eq!(claim(&mut store, me, true), Claim::Taken);
    let other = Actor {
        pid: me.pid,
        started: me.started + 1,
    };
    assert_eq!(claim(&mut store, other, true), Claim::Busy(me));
}

#[test]
fn an_owner_is_found_over_all_tables() {
    let dir = Dir::new();
    let mut store = dir.open();
    let (one, two) = (owner("c1"), owner("c2"));
    let netns = gone();
    store
        .write(|tx| {
            let mut new = address(&one, "10.0.0.1", true);
            new.netns = Some(&netns);
            tx.take_address(&new)?;
            tx.take_address(&address(&one, "10.0.0.2", true))?;
            tx.claim_ports(&two, None, &[claim(None, 1, "10.0.0.3:1")])
        })
        .unwrap();
    let owners = store.view().owners().unwrap();
    assert_eq!(owners.len(), 2);
    assert_eq!((owners[0].addresses, owners[0].ports), (2, 0));
    assert!(owners[0].is_gone());
    assert_eq!((owners[1].addresses, owners[1].ports), (0, 1));
    assert!(!owners[1].is_gone(), "nobody noted its namespace");
    let freed = store.write(|tx| tx.free_addresses_of(&one)).unwrap();
    assert_eq!(freed.len(), 2);
    assert_eq!(store.view().owners().unwrap().len(), 1);
}

#[test]
fn a_writer_that_is_killed_leaves_nothing_and_blocks_nobody() {
    // The test binary is its own second process: it dies inside a transaction.
    let dir = Dir::new();
    if let Some(file) = std::env::var_os("STORE_TEST_DIE_IN") {
        let mut store = Store::open_file(Path::new(&file), &BootId::new("boot-1")).unwrap();
        let owner = owner("c1");
        let _ = store.write(|tx| -> Result<(), StoreError> {
            tx.take_address(&address(&owner, "10.0.0.1", true))?;
            std::process::abort()
        });
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_writer_that_is_killed_leaves_nothing_and_blocks_nobody",
        ])
        .env("STORE_TEST_DIE_IN", dir.file())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    assert!(dir.file().exists(), "the child came as far as the file");
    let mut store = dir.open();
    assert!(store.view().addresses().unwrap().is_empty());
    let owner = owner("c2");
    store
        .write(|tx| tx.take_address(&address(&owner, "10.0.0.1", true)))
        .unwrap();
}
