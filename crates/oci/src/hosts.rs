//! The container's own line in the file that its engine mounts at `/etc/hosts`: an engine
//! that gave no address wrote none.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

const BEGIN: &str = "# fairlead: begin";
const END: &str = "# fairlead: end";

/// Puts the container's addresses under its name, in the place of what we wrote before.
///
/// # Errors
/// What the system says.
pub(crate) fn put(path: &Path, addresses: &[IpAddr], hostname: &str) -> std::io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut new = without(&text);
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    new.push_str(BEGIN);
    new.push('\n');
    for address in addresses {
        new.push_str(&format!("{address}\t{hostname}\n"));
    }
    new.push_str(END);
    new.push('\n');
    rewrite(path, &text, &new)
}

/// Takes away what we wrote; a file that is gone has nothing.
///
/// # Errors
/// What the system says.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::read_to_string(path) {
        Ok(text) => rewrite(path, &text, &without(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file is mounted, so that it must stay the same file.
fn rewrite(path: &Path, old: &str, new: &str) -> std::io::Result<()> {
    if old == new {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(new.as_bytes())?;
    file.set_len(new.len() as u64)
}

fn without(text: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        let line = line.trim_end();
        let was_inside = inside;
        inside = match line {
            BEGIN => true,
            END => false,
            _ => inside,
        };
        !(inside || was_inside)
    };
    text.split_inclusive('\n').filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_own_lines_are_replaced_and_removed_and_the_file_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        let before = "127.0.0.1\tlocalhost\n::1\tlocalhost";
        std::fs::write(&path, before).unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let addresses = ["10.1.0.7".parse().unwrap(), "fd00::7".parse().unwrap()];
        for name in ["other-name-that-is-long", "box"] {
            put(&path, &addresses, name).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!("{before}\n{BEGIN}\n10.1.0.7\tbox\nfd00::7\tbox\n{END}\n")
        );
        remove(&path).unwrap();
        remove(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{before}\n"));
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
        remove(&dir.path().join("none")).unwrap();
        assert!(put(&dir.path().join("none"), &addresses, "box").is_err());
    }
}
