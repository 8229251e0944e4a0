//! The zones for `PowerDNS`: its remote backend over a socket (specification 9.2).

use crate::name::Name;
use crate::server::State;
use crate::{DnsError, RType, Record, Server};
use serde_json::{Value, json};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The longest request, in bytes.
const LONGEST: usize = 64 * 1024;
/// So many connections are served at once. `PowerDNS` has one for each of its threads.
const CONNECTIONS: usize = 64;
/// So long may one write take.
const WRITE: Duration = Duration::from_secs(10);

/// The socket for `PowerDNS`, served until it is stopped or dropped.
#[derive(Debug)]
pub struct Backend {
    path: PathBuf,
    task: AbortHandle,
}

impl Backend {
    /// Serves the zones of `server` at `path`, in place of a socket that is there already.
    /// The socket is of `uid` and `gid`, who may use it (0660).
    ///
    /// # Errors
    /// [`DnsError::Socket`] when it cannot be made; what is at `path` and no socket stays.
    pub fn start(server: &Server, path: &Path, uid: u32, gid: u32) -> Result<Self, DnsError> {
        let failed = |operation| {
            move |source| DnsError::Socket {
                operation,
                path: path.to_owned(),
                source,
            }
        };
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => {
                std::fs::remove_file(path).map_err(failed("replace the socket"))?;
            }
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path);
        let listener = listener.map_err(failed("make the socket"))?;
        let prepared = std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)))
            .and_then(|()| listener.set_nonblocking(true));
        let _runtime = server.handle().enter();
        let listener = prepared.and_then(|()| UnixListener::from_std(listener));
        let listener = listener.map_err(|source| {
            let _ = std::fs::remove_file(path);
            failed("give away the socket")(source)
        })?;
        let task = tokio::spawn(accept(listener, server.state()));
        Ok(Self {
            path: path.to_owned(),
            task: task.abort_handle(),
        })
    }

    /// Ends it; the socket is gone when it returns.
    pub fn stop(self) {}
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, state: Arc<State>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    // What the other side does wrong ends its connection.
                    let _ = converse(stream, state).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers line by line, however the lines arrive.
async fn converse(mut stream: UnixStream, state: Arc<State>) -> io::Result<()> {
    let mut input = Vec::new();
    loop {
        let mut done = 0;
        while let Some(length) = input[done..].iter().position(|byte| *byte == b'\n') {
            let line: &[u8] = &input[done..done + length];
            done += length + 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            // A whole zone takes its time; who asks over TCP must not wait for it.
            let (line, state) = (line.to_owned(), Arc::clone(&state));
            let made = tokio::task::spawn_blocking(move || encoded(&line, &state));
            let answer = made.await.map_err(io::Error::other)??;
            let written = timeout(WRITE, stream.write_all(&answer)).await;
            written.map_err(io::Error::other)??;
        }
        input.drain(..done);
        if input.len() > LONGEST {
            return Err(io::Error::other("a request without end"));
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// The answer to one request, as a line.
fn encoded(line: &[u8], state: &State) -> io::Result<Vec<u8>> {
    let mut encoded = serde_json::to_vec(&answer(line, state))?;
    encoded.push(b'\n');
    Ok(encoded)
}

/// The answer to one request.
fn answer(line: &[u8], state: &State) -> Value {
    let Ok(request) = serde_json::from_slice::<Value>(line) else {
        return json!({"error": "a request is one JSON object in a line", "result": false});
    };
    let method = request["method"].as_str().unwrap_or("");
    let parameters = &request["parameters"];
    let text = |key: &str| parameters[key].as_str().unwrap_or("");
    let result = match method {
        "initialize" => json!(true),
        "lookup" => lookup(text("qname"), text("qtype"), state),
        "list" => list(text("zonename"), state),
        "getAllDomains" => domains(state),
        "getAllDomainMetadata" => json!({"ALLOW-AXFR-FROM": allowed()}),
        "getDomainMetadata" if text("kind") == "ALLOW-AXFR-FROM" => allowed(),
        "getDomainMetadata" => json!([]),
        other => {
            let error = format!("there is no method {other:?}");
            return json!({"error": error, "result": false});
        }
    };
    json!({"result": result})
}

/// Who may have the zones from `PowerDNS` (specification 9.2). Its own settings decide it.
fn allowed() -> Value {
    json!(["0.0.0.0/0", "AUTO-NS"])
}

fn lookup(qname: &str, qtype: &str, state: &State) -> Value {
    // It asks for `*.x` where there is no `x`, and would take an answer for all names.
    let name = Name::new(qname).filter(|_| !qname.starts_with('*'));
    let (Some(name), Ok(rtype)) = (name, qtype.parse::<RType>()) else {
        return json!([]);
    };
    let records = state.view().zones.name_records(&name);
    let is_asked = |record: &&Record| rtype == RType::ANY || record.data.rtype() == rtype;
    records.iter().filter(is_asked).map(row).collect()
}

fn list(zonename: &str, state: &State) -> Value {
    let origin = Name::new(zonename);
    let records = origin.and_then(|origin| state.view().zones.zone_records(&origin));
    records.unwrap_or_default().iter().map(row).collect()
}

fn domains(state: &State) -> Value {
    let view = state.view();
    let origins = view.zones.origins().zip(1u32..);
    let serial = view.zones.serial();
    let domain = |(zone, id): (String, u32)| {
        json!({
            "id": id, "zone": zone, "kind": "native", "masters": [],
            "serial": serial, "notified_serial": serial, "last_check": 0,
        })
    };
    origins.map(domain).collect()
}

/// A record as `PowerDNS` takes it.
fn row(record: &Record) -> Value {
    json!({
        "qname": record.name,
        "qtype": record.data.type_name(),
        "content": record.data.to_string(),
        "ttl": record.ttl,
        "auth": true,
        "domain_id": -1,
    })
}
