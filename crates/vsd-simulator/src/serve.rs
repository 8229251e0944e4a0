//! The listener, its connections, and both going away and coming back.

use crate::api::{self, Asked};
use crate::faults::{Drop, Fault};
use crate::listing::Wanted;
use crate::login::Credentials;
use crate::reply::Reply;
use crate::world::World;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How large a request may be.
const LARGEST: usize = 4 << 20;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long is waited before a port that is not free yet is asked for again.
const BREATH: Duration = Duration::from_millis(20);

/// The state, and who may look at it.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// Nothing is left half done by who panics with it: each rule checks first.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the listener to close or to open; it tells when that is so.
pub(crate) struct Order {
    pub(crate) down: bool,
    pub(crate) done: oneshot::Sender<()>,
}

/// Opens a port. One that was used a moment ago can be used again.
pub(crate) fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves until nobody can give orders any more.
pub(crate) async fn attend(
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Shared,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            accepted = accept(listener.as_ref()) => {
                match accepted {
                    Ok(stream) => {
                        connections.spawn(connection(stream, tls.clone(), shared.clone()));
                    }
                    // No descriptors are left, perhaps: others will end.
                    Err(_) => tokio::time::sleep(BREATH).await,
                }
                continue;
            }
            Some(_) = connections.join_next() => continue,
        };
        let Some(Order { down, done }) = order else {
            return;
        };
        if down {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            listener = Some(open_again(address).await);
        }
        // Who does not wait for it need not know.
        let _ = done.send(());
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn open_again(address: SocketAddr) -> TcpListener {
    loop {
        match open(address) {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Shared) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, shared).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                talk(stream, shared).await;
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, shared: Shared) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { serve(&shared, request).await }
    });
    // A client that goes away is nobody's fault here; a dropped one is meant.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault that was asked for closes the connection")]
struct Dropped;

async fn serve(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let asked = read(request).await.map_err(|_| Dropped)?;
    match at_once(shared, &asked) {
        Ok(reply) => Ok(respond(reply)),
        Err(fault) => {
            // A task of its own: what was begun goes on without the client too.
            let failing = tokio::spawn(fail(shared.clone(), asked, *fault));
            failing.await.unwrap_or(Err(Dropped))
        }
    }
}

/// Carries a request out, or finds the fault that it shall meet.
fn at_once(shared: &Shared, asked: &Asked) -> Result<Reply, Box<Fault>> {
    let path = asked.path.as_deref().unwrap_or(&asked.full_path);
    let mut world = shared.world();
    let chosen = asked.has_chosen();
    if let Some(fault) = world.faults.take(&asked.method, path, chosen) {
        return Err(Box::new(fault));
    }
    let reply = api::answer(&mut world, asked);
    world.note(asked, Some(reply.status), false);
    Ok(reply)
}

/// Answers in the way that was asked for.
async fn fail(shared: Shared, asked: Asked, fault: Fault) -> Result<Response<Body>, Dropped> {
    let downs = shared.world().downs;
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    let mut world = shared.world();
    if fault.drop == Some(Drop::Before) || world.downs != downs {
        world.note(&asked, None, true);
        return Err(Dropped);
    }
    let reply = match fault.reply() {
        Some(reply) => {
            if fault.done {
                api::answer(&mut world, &asked);
            }
            reply
        }
        None => api::answer(&mut world, &asked),
    };
    if fault.drop == Some(Drop::After) {
        world.note(&asked, None, true);
        return Err(Dropped);
    }
    world.note(&asked, Some(reply.status), true);
    Ok(respond(fault.spoil(reply)))
}

/// Reads a request to its end: bodies of GET, HEAD and DELETE too, which some clients send.
async fn read(request: Request<Incoming>) -> Result<Asked, axum::Error> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), LARGEST).await?;
    let text = |name: &str| header(&head.headers, name);
    let full_path = head.uri.path().to_owned();
    Ok(Asked {
        method: head.method.as_str().to_owned(),
        path: Asked::below_base(&full_path),
        full_path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        credentials: Credentials::read(
            &text("authorization").unwrap_or_default(),
            &text("x-nuage-organization").unwrap_or_default(),
        ),
        proxy_user: text("x-nuage-proxyuser"),
        wanted: Wanted {
            filter: text("x-nuage-filter"),
            filter_type: text("x-nuage-filtertype"),
            page: text("x-nuage-page"),
            page_size: text("x-nuage-pagesize"),
            order: text("x-nuage-orderby"),
        },
        body: body.into(),
    })
}

/// A header as text: UTF-8, or else the Latin letters that HTTP once meant.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    let text = std::str::from_utf8(value).map(str::to_owned);
    Some(text.unwrap_or_else(|_| value.iter().copied().map(char::from).collect()))
}

fn respond(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let status = StatusCode::from_u16(reply.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    if let Some(content_type) = reply.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    match reply.body.is_empty() {
        // Some clients take a body for unknown, not for empty, where this is not said.
        true if reply.status != 204 => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        true => {}
        false => *response.body_mut() = Body::from(reply.body),
    }
    response
}
