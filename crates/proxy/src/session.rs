//! One client's connection: its requests, one after the other.

mod cni;

use crate::engine::EngineError;
use crate::exchange::{After, Exchange, Lost, Outgoing};
use crate::http::{Framing, HEAD_LIMIT, Parsed, RequestHead};
use crate::live::Live;
use crate::reply::message;
use crate::route::{Call, route};
use crate::side::Side;
use crate::tunnel::tunnel;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tracing::debug;

/// How long is listened to a client behind the last answer: it may be in the middle of a
/// request and would lose the answer with its connection.
const LINGER: Duration = Duration::from_millis(500);
/// The media types of a stream that takes the connection over.
const RAW: [&str; 2] = [
    "application/vnd.docker.raw-stream",
    "application/vnd.docker.multiplexed-stream",
];

/// A client.
struct Session<S> {
    client: Side<S>,
    live: Arc<Live>,
}

/// A connection to dockerd.
type Upstream = Side<UnixStream>;

/// What a client does next.
enum Next {
    Asks(RequestHead),
    /// It says what is not understood here.
    Mumbles,
    /// Nothing more.
    Ends,
}

/// Serves a client until it or dockerd ends, or until `ending` while it asks nothing.
pub(crate) async fn serve<S>(
    stream: S,
    mut live: watch::Receiver<Arc<Live>>,
    mut ending: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite,
{
    let now = Arc::clone(&live.borrow_and_update());
    let mut session = Session {
        client: Side::new(stream, now.buffer),
        live: now,
    };
    let mut upstream = None;
    loop {
        let next = session.next(upstream.as_mut(), &mut ending).await;
        if matches!(next, Next::Ends) {
            return;
        }
        session.live = Arc::clone(&live.borrow_and_update());
        let dockerd = match upstream.take() {
            Some(dockerd) => Ok(dockerd),
            None => session.connect().await,
        };
        let dockerd = dockerd.map(|side| upstream.insert(side));
        let Next::Asks(head) = next else {
            // Dockerd knows what to say to that.
            if let Ok(dockerd) = dockerd {
                tunnel(&mut session.client, dockerd).await;
            }
            return;
        };
        let after = match dockerd {
            Ok(dockerd) => session.answer(dockerd, &head).await,
            Err(error) => session.unreachable(&head, &error).await,
        };
        match after {
            Ok(After::Next) => {}
            Ok(After::Close) => return session.farewell().await,
            Err(Lost::Upstream) => return session.hung_up(&head.method).await,
            Ok(After::Gone) | Err(Lost::Client) => return,
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Session<S> {
    /// Waits for the next request.
    async fn next(
        &mut self,
        mut upstream: Option<&mut Upstream>,
        ending: &mut watch::Receiver<bool>,
    ) -> Next {
        loop {
            match RequestHead::parse(self.client.input.bytes()) {
                Parsed::Whole(head) => return Next::Asks(head),
                Parsed::Unreadable => return Next::Mumbles,
                Parsed::Partial => {}
            }
            debug_assert!(self.client.input.bytes().len() <= HEAD_LIMIT);
            let idle = self.client.input.bytes().is_empty();
            let hang_up = async {
                match upstream.as_mut() {
                    Some(upstream) => drop(upstream.input.more().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                read = self.client.input.more() => {
                    if !matches!(read, Ok(1..)) {
                        return Next::Ends;
                    }
                }
                // What the client would see if it were dockerd's own. Nothing is said unasked.
                () = hang_up => return Next::Ends,
                _ = ending.wait_for(|ending| *ending), if idle => return Next::Ends,
            }
        }
    }

    async fn connect(&self) -> Result<Upstream, EngineError> {
        let stream = self.live.engine.connect().await?;
        Ok(Side::new(stream, self.live.buffer))
    }

    async fn answer(&mut self, to: &mut Upstream, head: &RequestHead) -> Result<After, Lost> {
        let (call, version) = route(&head.method, &head.target);
        // What is behind a path may be a secret.
        let path = head.target.split('?').next().unwrap_or_default();
        debug!("{} {path}", head.method);
        if self.live.places.is_none() {
            return self.pass(to, head, call == Call::Stream).await;
        }
        match call {
            Call::Create if self.live.cni => self.create(to, head, version).await,
            Call::Join { network, verb } if self.live.cni => {
                self.join(to, head, (&network, verb)).await
            }
            Call::Inspect => self.inspect(to, head).await,
            Call::List => self.list(to, head).await,
            Call::Remove(name) => self.remove(to, head, &name).await,
            Call::Prune => self.prune(to, head).await,
            call => self.pass(to, head, call == Call::Stream).await,
        }
    }

    /// A request as the client says it.
    fn exchange<'s>(
        &'s mut self,
        to: &'s mut Upstream,
        head: &RequestHead,
    ) -> Exchange<'s, S, UnixStream> {
        let request = Outgoing::verbatim(head, self.client.input.bytes());
        Exchange::new(&mut self.client, to, head.method.clone(), request)
    }

    /// Passes the request on as it is, and the answer, which may take the connections over.
    async fn pass(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
        may_stream: bool,
    ) -> Result<After, Lost> {
        let mut exchange = self.exchange(to, head);
        let answer = exchange.head().await?;
        let streams = may_stream && answer.status == 200 && answer.body == Framing::Rest;
        if answer.status == 101 || (streams && RAW.contains(&answer.media.as_str())) {
            tunnel(&mut self.client, to).await;
            return Ok(After::Gone);
        }
        exchange.pass(answer).await
    }

    /// Tells that dockerd is not there.
    async fn unreachable(
        &mut self,
        head: &RequestHead,
        error: &EngineError,
    ) -> Result<After, Lost> {
        // What of the request is there; of one that is not whole the rest is left alone.
        let mut body = head.body.clone();
        let there = self.client.input.bytes();
        let taken = head.length + body.scan(&there[head.length..]);
        self.client.input.consume(taken);
        let keep = body.is_done();
        self.say(&head.method, 502, &error.to_string(), keep).await
    }

    /// Dockerd took the request and hung up without a word.
    async fn hung_up(&mut self, method: &str) {
        let socket = self.live.engine.socket().display();
        let text = format!("dockerd at unix://{socket} has hung up without an answer");
        if self.say(method, 502, &text, false).await.is_ok() {
            self.farewell().await;
        }
    }

    /// An answer of the proxy's own.
    async fn say(
        &mut self,
        method: &str,
        status: u16,
        text: &str,
        keep: bool,
    ) -> Result<After, Lost> {
        let answer = message(method, status, text, keep);
        let said = async {
            self.client.output.write_all(&answer).await?;
            self.client.output.flush().await
        };
        said.await.map_err(|_: std::io::Error| Lost::Client)?;
        Ok(match keep {
            true => After::Next,
            false => After::Close,
        })
    }

    /// Ends the connection so that the client has the whole answer.
    async fn farewell(&mut self) {
        if self.client.output.shutdown().await.is_err() {
            return;
        }
        let listen = async {
            while let Ok(1..) = self.client.input.more().await {
                let heard = self.client.input.bytes().len();
                self.client.input.consume(heard);
            }
        };
        let _ = tokio::time::timeout(LINGER, listen).await;
    }
}
