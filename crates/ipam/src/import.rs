//! Taking over what the reference plugin has given out.
//!
//! host-local keeps one file for each address, named by it, with the container's
//! id and the interface's name on two lines that end in CR LF, and one file
//! `last_reserved_ip.N` for each range set. The files stay as they are.

use crate::{IpamError, Pool};
use fairlead_store::{NewAddress, StoreError, Tx};
use fairlead_types::{ContainerId, IfName, Owner};
use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::path::Path;

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// The addresses taken over and their holders.
    pub imported: Vec<(IpAddr, Owner)>,
    /// Addresses whose file does not say who holds them. They are taken until the
    /// next reboot, in the name of [`UNKNOWN`], rather than given out twice.
    pub unclaimed: Vec<Ignored>,
    /// Files that were passed over.
    pub ignored: Vec<Ignored>,
}

/// A file that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The file's name in the directory.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// The container in whose name an address is held that nobody is known to have.
const UNKNOWN: &str = "unknown";

/// The interface of an entry that does not name one, as old releases wrote it.
const OLD_IFNAME: &str = "eth0";

/// The most that is read of one file, in bytes; an entry has at most 272.
const ENTRY_MAX: u64 = 1024;

const CURSOR: &str = "last_reserved_ip.";

/// Takes over a host-local directory into `pool`. A directory that is not there
/// has nothing to take over. Addresses that `pool` has already stay as they are.
///
/// # Errors
/// [`IpamError::Import`] when the directory or a file in it cannot be read: a
/// taken address might be in it.
pub fn import_host_local(tx: &Tx<'_>, pool: &Pool, dir: &Path) -> Result<ImportReport, IpamError> {
    let mut report = ImportReport::default();
    let failed = |path: &Path, source| IpamError::Import {
        path: path.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(report),
        Err(error) => return Err(failed(dir, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(dir, error))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| failed(&path, error))?;
        if !kind.is_file() {
            report.ignore(file, "it is no regular file");
            continue;
        }
        if file == "lock" {
            continue;
        }
        // A container may leave between the listing and the reading.
        let text = match read_entry(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path, error)),
        };
        import_file(tx, pool, file, &text, &mut report)?;
    }
    report.imported.sort_unstable();
    Ok(report)
}

fn read_entry(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(ENTRY_MAX)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn import_file(
    tx: &Tx<'_>,
    pool: &Pool,
    file: String,
    text: &str,
    report: &mut ImportReport,
) -> Result<(), IpamError> {
    if let Some(index) = file.strip_prefix(CURSOR) {
        match (index.parse::<u16>(), text.trim().parse::<IpAddr>()) {
            (Ok(index), Ok(addr)) => tx.set_cursor(pool.id(), index.into(), addr.to_canonical())?,
            _ => report.ignore(file, "it names no range set or holds no address"),
        }
        return Ok(());
    }
    let Ok(addr) = file.parse::<IpAddr>() else {
        report.ignore(file, "its name is no address");
        return Ok(());
    };
    let addr = addr.to_canonical();
    let (owner, doubt) = match holder(pool, text) {
        Ok(owner) => (owner, None),
        Err(reason) => match holder(pool, UNKNOWN) {
            Ok(owner) => (owner, Some(reason)),
            Err(_) => return Ok(()),
        },
    };
    let taken = tx.take_address(&NewAddress {
        pool: pool.id(),
        addr,
        owner: &owner,
        netns: None,
        boot_lived: true,
    });
    match (taken, doubt) {
        (Ok(()), None) => report.imported.push((addr, owner)),
        (Ok(()), Some(reason)) => report.unclaimed.push(Ignored { file, reason }),
        (Err(StoreError::AddressTaken { holder, .. }), _) => {
            report.ignore(file, &format!("{holder} holds it already"));
        }
        (Err(error), _) => return Err(error.into()),
    }
    Ok(())
}

/// Who holds an address, by the text of its file.
fn holder(pool: &Pool, text: &str) -> Result<Owner, String> {
    let mut lines = text.lines().map(str::trim);
    let container = lines.next().unwrap_or_default();
    let ifname = lines.next().unwrap_or(OLD_IFNAME);
    let reason = |error: fairlead_types::NameError| error.to_string();
    Ok(Owner {
        network: pool.network().clone(),
        container: ContainerId::new(container).map_err(reason)?,
        ifname: IfName::new(ifname).map_err(reason)?,
    })
}

impl ImportReport {
    fn ignore(&mut self, file: String, reason: &str) {
        let reason = reason.to_owned();
        self.ignored.push(Ignored { file, reason });
    }
}
