//! Sockets that clients come to.

use crate::ProxyError;
use crate::live::Live;
use crate::session::serve;
use crate::settings::Host;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long is waited where there are no descriptors for one more client.
const BREATH: Duration = Duration::from_millis(100);

/// What every client's connection gets.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) live: watch::Receiver<Arc<Live>>,
    /// Whether the end has come.
    pub(crate) ending: watch::Receiver<bool>,
    /// Who shakes hands with clients on TCP.
    pub(crate) tls: watch::Receiver<Option<TlsAcceptor>>,
    /// Is held while a connection lasts.
    pub(crate) alive: mpsc::Sender<()>,
}

/// A socket that is open.
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp { listener: TcpListener, tls: bool },
}

/// Opens a host. A unix socket is one for root, or for a group as well.
///
/// # Errors
/// [`ProxyError::Listen`], also when somebody answers at the socket already.
pub(crate) async fn open(
    host: &Host,
    group: Option<u32>,
    has_tls: bool,
) -> Result<Vec<Listener>, ProxyError> {
    let failed = |operation| {
        move |source| ProxyError::Listen {
            operation,
            host: host.to_string(),
            source,
        }
    };
    match host {
        Host::Unix(path) => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                let taken = io::ErrorKind::AddrInUse.into();
                return Err(failed("listen on")(taken));
            }
            let listener = bind(path, group).map_err(failed("listen on"))?;
            Ok(vec![Listener::Unix(listener)])
        }
        Host::Tcp { address, tls } => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(failed("listen on"))?;
            Ok(vec![Listener::Tcp {
                listener,
                tls: *tls,
            }])
        }
        Host::Systemd => inherited(has_tls).map_err(failed("take the sockets of")),
    }
}

/// Bound under another name first: nobody finds it before its mode is set.
fn bind(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".new");
    let hidden = PathBuf::from(hidden);
    match std::fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&hidden)?;
    let mode = match group {
        Some(_) => 0o660,
        None => 0o600,
    };
    if group.is_some() {
        std::os::unix::fs::chown(&hidden, None, group)?;
    }
    std::fs::set_permissions(&hidden, Permissions::from_mode(mode))?;
    std::fs::rename(&hidden, path)?;
    Ok(listener)
}

/// The sockets that systemd has opened for this process.
fn inherited(has_tls: bool) -> io::Result<Vec<Listener>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut listeners = Vec::new();
    for number in sd_notify::listen_fds()? {
        // A descriptor of our own beside the one that systemd left.
        let socket: OwnedFd = pidfd_getfd(&own, number, PidfdGetfdFlags::empty())?;
        let address = rustix::net::getsockname(&socket)?;
        listeners.push(match address.address_family() {
            rustix::net::AddressFamily::UNIX => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                Listener::Unix(UnixListener::from_std(listener)?)
            }
            _ => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                Listener::Tcp {
                    listener: TcpListener::from_std(listener)?,
                    tls: has_tls,
                }
            }
        });
    }
    match listeners.is_empty() {
        true => Err(io::Error::other("systemd has opened none")),
        false => Ok(listeners),
    }
}

/// Serves all who come, until it is given up.
pub(crate) async fn attend(listener: Listener, desk: Desk) {
    loop {
        let taken = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let desk = desk.clone();
                drop(tokio::spawn(async move {
                    serve(stream, desk.live, desk.ending).await;
                    drop(desk.alive);
                }));
            }),
            Listener::Tcp { listener, tls } => listener.accept().await.map(|(stream, from)| {
                debug!("{from} connects");
                drop(tokio::spawn(over_tcp(stream, *tls, desk.clone())));
            }),
        };
        if let Err(error) = taken {
            warn!("a client cannot be let in: {error}");
            tokio::time::sleep(BREATH).await;
        }
    }
}

async fn over_tcp(stream: TcpStream, tls: bool, desk: Desk) {
    let _ = stream.set_nodelay(true);
    if !tls {
        serve(stream, desk.live, desk.ending).await;
        return drop(desk.alive);
    }
    let acceptor = desk.tls.borrow().clone();
    let Some(acceptor) = acceptor else {
        return;
    };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, desk.live, desk.ending).await,
        Ok(Err(error)) => debug!("a client shows no good certificate: {error}"),
        Err(_) => debug!("a client does not finish its handshake"),
    }
    drop(desk.alive);
}
