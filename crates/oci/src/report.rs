//! Where the door tells what it does and what failed: its own log, the log of plugins, and
//! the file in which a runtime's caller looks for the reason.

use crate::error::one_line;
use crate::invocation::Invocation;
use crate::settings::{LogDriver, Settings};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Mutex;

/// The file in the bundle by which a hook tells the wrapper why it failed: a runtime that
/// does not pass on what its hooks say has no other way.
pub(crate) const REASON: &str = "fairlead-reason";

/// Begins the log that the settings ask for. What cannot be opened is no log: no container
/// fails for that. `quiet` where standard error is not ours.
pub(crate) fn begin(settings: &Settings, quiet: bool) {
    let builder = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .with_max_level(settings.log_level);
    // A second one in a process changes nothing.
    let _ = match &settings.log_driver {
        LogDriver::File(path) => match append(path) {
            Ok(file) => builder.with_writer(Mutex::new(file)).try_init(),
            Err(_) => Ok(()),
        },
        LogDriver::Stderr if !quiet => builder.with_writer(std::io::stderr).try_init(),
        LogDriver::Syslog => match syslog() {
            Ok(log) => builder
                .without_time()
                .with_writer(Mutex::new(log))
                .try_init(),
            Err(_) => Ok(()),
        },
        LogDriver::Stderr | LogDriver::None => Ok(()),
    };
}

/// Writes a line to the log of plugins, if there is one.
pub(crate) fn plugins(settings: &Settings, line: &str) {
    if let Some(mut file) = settings
        .cni_log
        .as_deref()
        .and_then(|path| append(path).ok())
    {
        let _ = writeln!(file, "{} {}", now(), one_line(line));
    }
}

/// Tells the caller of a runtime what failed: at the end of the runtime's log, where engines
/// look, and on standard error where that is not the container's.
pub(crate) fn failure(program: &str, call: &Invocation, message: &str) {
    let message = format!("{program}: {}", one_line(message));
    if let Some(mut file) = call.log.as_deref().and_then(|path| append(path).ok()) {
        let line = match call.log_is_json {
            true => {
                serde_json::json!({"level": "error", "msg": message, "time": now()}).to_string()
            }
            false => format!("time=\"{}\" level=error msg={message:?}", now()),
        };
        let _ = writeln!(file, "{line}");
    }
    if !call.has_the_containers_streams() || call.log.is_none() {
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The socket of the system's log, one datagram a line (RFC 3164, facility daemon).
fn syslog() -> std::io::Result<Syslog> {
    let socket = UnixDatagram::unbound()?;
    socket.connect("/dev/log")?;
    Ok(Syslog(socket))
}

struct Syslog(UnixDatagram);

impl Write for Syslog {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut datagram = format!("<30>fairlead-oci[{}]: ", std::process::id()).into_bytes();
        datagram.extend_from_slice(line.trim_ascii());
        // A log that is full loses lines, not containers.
        let _ = self.0.send(&datagram);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
