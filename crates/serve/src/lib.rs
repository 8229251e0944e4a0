//! Sockets that are served: bound in place of what a dead process left, and their connections:
//! how many at once, and how long they may take.
#![forbid(unsafe_code)]

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tracing::debug;

/// So many connections are served at once; the others wait to be let in.
const CONNECTIONS: usize = 1024;
/// Who has not said by then what he wants is hung up on.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// The longest that one connection may last.
pub const LIMIT: Duration = Duration::from_secs(600);
/// No limit: who is cut off in the middle of a call asks again, and was served already.
pub const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}", .path.display())]
pub struct ServeError {
    /// What was done.
    pub operation: &'static str,
    /// The socket.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServeError {
    let path = path.to_owned();
    move |source| ServeError {
        operation,
        path,
        source,
    }
}

/// A socket that only root may open, in place of one that a dead process left. Its folder is
/// made where it is missing. The caller makes sure that nobody else serves it.
///
/// # Errors
/// [`ServeError`], with what was done and where.
pub fn bind(path: &Path) -> Result<UnixListener, ServeError> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.map_err(failed("make the folder of", path))?;
    }
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(failed("remove", path)(source));
        }
        _ => {}
    }
    // Bound under another name first: nobody finds it before its mode is set.
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".new");
    let hidden = PathBuf::from(hidden);
    let _ = std::fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(failed("bind", path))?;
    std::fs::set_permissions(&hidden, Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&hidden, path))
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(failed("set up", path))?;
    Ok(listener)
}

/// Answers who connects, so many at once; the next waits to be let in.
pub async fn answer(mut listener: impl Listener, router: Router, limit: Duration) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        // It waits by itself where descriptors or memory are short.
        let (stream, _) = listener.accept().await;
        let router = router.clone();
        tokio::spawn(async move {
            converse(stream, router, limit).await;
            drop(permit);
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, limit: Duration) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(limit, connection).await {
        Ok(Ok(())) => {}
        // What a client does wrong is the client's business.
        Ok(Err(error)) => debug!("a connection ended: {error}"),
        Err(_) => debug!("a connection lasted too long"),
    }
}
