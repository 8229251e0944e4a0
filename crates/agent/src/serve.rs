//! Connections: how many, and how long they may take.

use crate::AgentError;
use crate::lock::failed;
use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::net::SocketAddr;
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
pub(crate) const LIMIT: Duration = Duration::from_secs(600);
/// No limit: who is cut off in the middle of a call asks again, and was served already.
pub(crate) const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A socket that only root may open, in place of one that a dead agent left. Its folder is
/// made where it is missing. The caller holds the lock.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, AgentError> {
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

/// Binds the address that metrics are served on.
pub(crate) fn bind_metrics(address: SocketAddr) -> Result<std::net::TcpListener, AgentError> {
    let failed = |source| AgentError::Metrics { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Answers who connects, so many at once; the next waits to be let in.
pub(crate) async fn answer(mut listener: impl Listener, router: Router, limit: Duration) {
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
