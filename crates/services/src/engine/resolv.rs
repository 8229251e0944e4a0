//! The `/etc/resolv.conf` of containers whose engine does not make it: one file for each,
//! mounted into it.

use crate::engine::{ContainerSpec, EngineError, Network};
use fairlead_types::Root;
use std::fmt::Write;
use std::path::PathBuf;

/// Writes the file that a container is to see, and returns where it is; `None` if it has
/// somebody else's resolver, or nothing is said about it.
///
/// It is changed in place: a container that runs sees the change.
pub(super) fn write(root: &Root, spec: &ContainerSpec) -> Result<Option<PathBuf>, EngineError> {
    if spec.dns.is_empty() || spec.network != Network::None {
        return Ok(None);
    }
    let path = path(root, spec);
    let text = text(spec);
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(Some(path));
    }
    let dir = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    dir.and_then(|()| std::fs::write(&path, text))
        .map_err(spec.failed("write", path.display()))?;
    Ok(Some(path))
}

/// Takes the file away; it need not be there.
pub(super) fn remove(root: &Root, spec: &ContainerSpec) -> Result<(), EngineError> {
    let path = path(root, spec);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(spec.failed("remove", path.display())(error))
        }
        _ => Ok(()),
    }
}

fn path(root: &Root, spec: &ContainerSpec) -> PathBuf {
    let dir = root.state().join("services").join(spec.service.as_str());
    dir.join(format!("{}.resolv.conf", spec.resource_word()))
}

fn text(spec: &ContainerSpec) -> String {
    let dns = &spec.dns;
    let mut text = String::new();
    // Writing to a string cannot fail.
    for server in &dns.servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    for (word, list) in [("search", &dns.search), ("options", &dns.options)] {
        if !list.is_empty() {
            let _ = writeln!(text, "{word} {}", list.join(" "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Kind;
    use fairlead_types::{ObjectName, ResourceName};

    #[test]
    fn the_file_is_written_once_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let service = ObjectName::new("shop/svc/web").unwrap();
        let resource = ResourceName::new("container#0").unwrap();
        let mut spec = ContainerSpec::new(service, resource, Kind::Lxc);
        assert_eq!(write(&root, &spec).unwrap(), None);
        spec.dns.servers = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        spec.dns.search = vec!["svc.c1".into(), "c1".into()];
        spec.dns.options = vec!["ndots:2".into()];
        let path = write(&root, &spec).unwrap().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "nameserver 10.0.0.1\nnameserver fd00::1\nsearch svc.c1 c1\noptions ndots:2\n"
        );
        spec.network = Network::Host;
        assert_eq!(write(&root, &spec).unwrap(), None);
        remove(&root, &spec).unwrap();
        remove(&root, &spec).unwrap();
        assert!(!path.exists());
    }
}
