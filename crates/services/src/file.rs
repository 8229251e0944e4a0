//! The files of services: `namespaces/NAMESPACE/svc/NAME.conf` below the directory of the
//! node's configuration.

use crate::ServiceError;
use fairlead_config::{Change, Config, Document, Problem};
use fairlead_types::{HostName, ObjectName, Root};
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one waits for another process that works on the same service.
const PATIENCE: Duration = Duration::from_secs(90);

/// Checks that a name is a service's: `NAMESPACE/svc/NAME`, whose parts can stand in DNS.
///
/// # Errors
/// [`ServiceError::Name`].
pub fn service_name(name: &str) -> Result<ObjectName, ServiceError> {
    let error = |reason: String| ServiceError::Name {
        name: name.to_owned(),
        reason,
    };
    let object = ObjectName::new(name).map_err(|e| error(e.to_string()))?;
    match object.parts() {
        Some((namespace, "svc", service)) => {
            for part in [namespace, service] {
                HostName::new(part).map_err(|e| error(e.to_string()))?;
            }
            // Two services must not be one in DNS, nor in a word with dots.
            match name.chars().find(char::is_ascii_uppercase) {
                Some(found) => Err(error(format!(
                    "{found:?} is upper case, which DNS does not tell apart"
                ))),
                None if namespace.contains('.') => Err(error("its namespace has a dot".to_owned())),
                None => Ok(object),
            }
        }
        Some((_, kind, _)) => Err(error(format!("its kind is {kind:?}, not svc"))),
        None => Err(error("it has not three parts".to_owned())),
    }
}

/// The file of a service.
#[must_use]
pub fn path(root: &Root, object: &ObjectName) -> PathBuf {
    namespaces(root).join(format!("{object}.conf"))
}

fn namespaces(root: &Root) -> PathBuf {
    root.etc().join("namespaces")
}

/// The services of this node, by name. What is no service's file is passed over.
///
/// # Errors
/// [`ServiceError::File`].
pub fn list(root: &Root) -> Result<Vec<ObjectName>, ServiceError> {
    let mut found = Vec::new();
    for namespace in entries(&namespaces(root))? {
        for file in entries(&namespace.join("svc"))? {
            let (Some(namespace), Some(name)) = (namespace.file_name(), file.file_stem()) else {
                continue;
            };
            if file.extension().is_none_or(|end| end != "conf") {
                continue;
            }
            let name = format!("{}/svc/{}", namespace.display(), name.display());
            found.extend(service_name(&name));
        }
    }
    found.sort();
    Ok(found)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, ServiceError> {
    match std::fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(e) => Err(ServiceError::file("read", dir)(e)),
    }
}

/// The text of a service's file.
///
/// # Errors
/// [`ServiceError::Missing`], [`ServiceError::File`].
pub fn text(root: &Root, object: &ObjectName) -> Result<String, ServiceError> {
    let path = path(root, object);
    match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|e| {
            let source = std::io::Error::new(ErrorKind::InvalidData, e);
            ServiceError::file("read", &path)(source)
        }),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(ServiceError::Missing {
            object: object.clone(),
            path,
        }),
        Err(e) => Err(ServiceError::file("read", &path)(e)),
    }
}

/// The node's configuration with this text as the service's file. Nothing is checked but
/// that it is one.
///
/// # Errors
/// [`ServiceError::Config`] names the line.
pub fn parse(config: &Config, object: &ObjectName, text: &str) -> Result<Config, ServiceError> {
    let document = Document::parse(text).map_err(|source| ServiceError::Config {
        object: object.clone(),
        source: fairlead_config::ConfigError::Malformed {
            path: path(config.root(), object),
            source,
        },
    })?;
    Ok(config.with_service(object, document))
}

/// The node's configuration with the service's file.
///
/// # Errors
/// As [`text`] and [`parse`].
pub fn load(config: &Config, object: &ObjectName) -> Result<Config, ServiceError> {
    parse(config, object, &text(config.root(), object)?)
}

/// Makes a service of a text and changes to it; gives the warnings. With `before` it
/// replaces the file that has that text.
///
/// # Errors
/// [`ServiceError::Exists`] or [`ServiceError::Changed`]; what is wrong with it, and then
/// nothing is written.
pub fn write(
    config: &Config,
    object: &ObjectName,
    text: &str,
    changes: &[Change],
    before: Option<&str>,
) -> Result<Vec<Problem>, ServiceError> {
    let _lock = lock(config.root(), object)?;
    let path = path(config.root(), object);
    match before {
        None if path.exists() => {
            let object = object.clone();
            return Err(ServiceError::Exists { object, path });
        }
        Some(before) if self::text(config.root(), object)? != before => {
            let object = object.clone();
            return Err(ServiceError::Changed { object, path });
        }
        _ => {}
    }
    let whole = parse(config, object, text)?;
    save(whole, object, &path, changes)
}

/// Changes the file of a service; gives the warnings.
///
/// # Errors
/// What is wrong with the changes, and then the file is as it was.
pub fn change(
    config: &Config,
    object: &ObjectName,
    changes: &[Change],
) -> Result<Vec<Problem>, ServiceError> {
    let _lock = lock(config.root(), object)?;
    let whole = load(config, object)?;
    save(whole, object, &path(config.root(), object), changes)
}

fn save(
    mut config: Config,
    object: &ObjectName,
    path: &Path,
    changes: &[Change],
) -> Result<Vec<Problem>, ServiceError> {
    let wrong = |source| ServiceError::Config {
        object: object.clone(),
        source,
    };
    let mut warnings = config
        .change_service(path.to_path_buf(), changes)
        .map_err(wrong)?;
    // Also what was wrong before: nothing that cannot be started is written.
    crate::Service::read(&config, object)?;
    let odd = config.service_problems().into_iter();
    for problem in odd.filter(Problem::is_warning) {
        if !warnings.contains(&problem) {
            warnings.push(problem);
        }
    }
    let document = config.service_document().cloned().unwrap_or_default();
    replace(path, &document.to_string())?;
    Ok(warnings)
}

/// Removes the file of a service; says whether it was there.
///
/// # Errors
/// [`ServiceError::File`].
pub fn remove(root: &Root, object: &ObjectName) -> Result<bool, ServiceError> {
    let path = path(root, object);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(ServiceError::file("remove", path)(e)),
    }
}

/// Replaces a file at once; it is root's alone, as there may be passwords in it.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), ServiceError> {
    fairlead_config::replace(path, text.as_bytes(), 0o755)
        .map_err(ServiceError::file("write", path))
}

/// Waits for the lock of a service: who starts, stops or changes it has it. It ends with
/// the returned file.
///
/// # Errors
/// [`ServiceError::Busy`] after a while; [`ServiceError::File`].
pub(crate) fn lock(root: &Root, object: &ObjectName) -> Result<File, ServiceError> {
    let file = lock_file(root, object)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(ServiceError::Busy {
                    object: object.clone(),
                    seconds: begun.elapsed().as_secs(),
                });
            }
            Err(std::fs::TryLockError::Error(e)) => {
                let path = lock_path(root, object);
                return Err(ServiceError::file("lock", path)(e));
            }
        }
    }
}

/// The same without waiting: nothing while another process has it.
///
/// # Errors
/// [`ServiceError::File`].
pub(crate) fn try_lock(root: &Root, object: &ObjectName) -> Result<Option<File>, ServiceError> {
    let file = lock_file(root, object)?;
    Ok(file.try_lock().is_ok().then_some(file))
}

fn lock_path(root: &Root, object: &ObjectName) -> PathBuf {
    root.run()
        .join("services")
        .join(format!("{}.lock", slug(object)))
}

fn lock_file(root: &Root, object: &ObjectName) -> Result<File, ServiceError> {
    let path = lock_path(root, object);
    let open = || {
        let dir = root.make_run()?.join("services");
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).open(&path)
    };
    open().map_err(ServiceError::file("open", &path))
}

/// The service in one word: `shop.svc.web`.
#[must_use]
pub(crate) fn slug(object: &ObjectName) -> String {
    object.as_str().replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path) -> Config {
        let empty = Document::default;
        Config::from_documents(&Root::new(dir), "n1", empty(), empty())
    }

    #[test]
    fn a_service_is_made_listed_changed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (config, root) = (config(dir.path()), Root::new(dir.path()));
        let web = service_name("shop/svc/web").unwrap();
        let set = |text: &str| [Change::Set(text.parse().unwrap())];
        let made = write(&config, &web, "[ip#0]\nexpose = 80/tcp\n", &[], None);
        assert_eq!(made.unwrap(), []);
        let again = write(&config, &web, "", &[], None).unwrap_err();
        assert!(again.to_string().contains("is there already"), "{again}");
        assert_eq!(list(&root).unwrap(), std::slice::from_ref(&web));
        let error = change(&config, &web, &set("ip#0.expose=80")).unwrap_err();
        assert!(error.to_string().contains("ip#0.expose"), "{error}");
        change(&config, &web, &set("ip#0.nsdev=eth7")).unwrap();
        let now = text(&root, &web).unwrap();
        assert_eq!(now, "[ip#0]\nexpose = 80/tcp\nnsdev = eth7\n");
        assert!(remove(&root, &web).unwrap());
        assert!(!remove(&root, &web).unwrap());
        let gone = text(&root, &web).unwrap_err().to_string();
        assert!(gone.contains("fairlead svc create shop/svc/web"), "{gone}");
    }

    #[test]
    fn a_name_that_is_no_services_is_refused() {
        for bad in [
            "web",
            "shop/web",
            "shop/vol/web",
            "a/svc/b/c",
            "a/svc/b c",
            "",
            "../svc/x",
            "Shop/svc/web",
            "a.b/svc/c",
        ] {
            let error = service_name(bad).unwrap_err().to_string();
            assert!(error.contains("shop/svc/web"), "{bad}: {error}");
        }
    }
}
