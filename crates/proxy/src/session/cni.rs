//! The calls that are more than passed on: those about containers on CNI networks.

use super::{Session, Upstream};
use crate::change::{create, inspect, list, prune};
use crate::exchange::{After, Exchange, Held, Lost, Outgoing};
use crate::http::{Framing, RequestHead, ResponseHead, decode};
use crate::route::ApiVersion;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tracing::{debug, warn};

/// The longest request that is changed, in bytes.
const REQUEST_LIMIT: usize = 4 << 20;
/// The longest answer that is changed, in bytes: a list of some ten thousand containers.
const ANSWER_LIMIT: usize = 32 << 20;

/// What a client has sent for a request.
enum Body {
    /// Head and body.
    Whole(Vec<u8>),
    /// More than is taken.
    TooLong,
}

impl<S: AsyncRead + AsyncWrite> Session<S> {
    /// `POST /containers/create`: a container that is to be on a CNI network is created
    /// without one, with a word to the runtime.
    pub(super) async fn create(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
        version: Option<ApiVersion>,
    ) -> Result<After, Lost> {
        let Body::Whole(whole) = self.body(head).await? else {
            let text = format!("the request is longer than {} MiB", REQUEST_LIMIT >> 20);
            return self.say(&head.method, 413, &text, false).await;
        };
        let (bytes, body) = whole.split_at(head.length);
        let body = decode(head.body.clone(), body);
        let networks = match self.live.networks().await {
            Ok(networks) => networks,
            Err(error) => {
                // Which names are CNI's is not known, and a guess puts a container nowhere.
                return self
                    .say(&head.method, 500, &format!("CNI networks: {error}"), true)
                    .await;
            }
        };
        let version = match create::concerns(&body, &networks) {
            false => None,
            true => match self.live.version(version).await {
                Ok(version) => Some(version),
                Err(error) => return self.say(&head.method, 502, &error.to_string(), true).await,
            },
        };
        let rewritten = match version {
            None => Ok(None),
            Some(version) => create::rewrite(&body, version, &networks, &self.live.runtime),
        };
        let request = match rewritten {
            Err(refusal) => {
                return self
                    .say(&head.method, 400, &refusal.to_string(), true)
                    .await;
            }
            Ok(Some(body)) => head.with_body(bytes, &body),
            // The client was told to go on already.
            Ok(None) if head.expects => head.with_body(bytes, &body),
            Ok(None) => whole,
        };
        let request = Outgoing::instead(request);
        let mut exchange = Exchange::new(&mut self.client, to, head.method.clone(), request);
        let answer = exchange.head().await?;
        exchange.pass(answer).await
    }

    /// `POST /networks/NAME/connect` and `disconnect`.
    pub(super) async fn join(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
        (network, verb): (&str, &str),
    ) -> Result<After, Lost> {
        let networks = self.live.networks().await;
        let ours = networks.is_ok_and(|networks| networks.contains(network));
        if !ours {
            return self.pass(to, head, false).await;
        }
        let keep = matches!(self.body(head).await?, Body::Whole(_));
        let text = match verb {
            "connect" => format!(
                "network {network} is one of CNI, to which a container is connected when it is \
                 created: docker run --network {network}"
            ),
            _ => format!(
                "network {network} is one of CNI, on which a container stays until it is removed"
            ),
        };
        self.say(&head.method, 501, &text, keep).await
    }

    /// `GET /containers/NAME/json`.
    pub(super) async fn inspect(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
    ) -> Result<After, Lost> {
        let attached = self.live.attached().await;
        let exchange = self.exchange(to, head);
        changed(exchange, async move |body| inspect::fill(body, &attached)).await
    }

    /// `GET /containers/json`.
    pub(super) async fn list(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
    ) -> Result<After, Lost> {
        let attached = self.live.attached().await;
        if attached.is_empty() {
            return self.pass(to, head, false).await;
        }
        let exchange = self.exchange(to, head);
        changed(exchange, async move |body| list::fill(body, &attached)).await
    }

    /// `DELETE /containers/NAME`: what the container had is free before the client hears of
    /// its end.
    pub(super) async fn remove(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
        name: &str,
    ) -> Result<After, Lost> {
        let id = self.live.engine.container_id(name).await;
        let id = id.inspect_err(|error| debug!("container {name}: {error}"));
        let live = std::sync::Arc::clone(&self.live);
        let mut exchange = self.exchange(to, head);
        let answer = exchange.head().await?;
        if let (204 | 404, Ok(Some(id))) = (answer.status, id) {
            live.removed(&id).await;
        }
        exchange.pass(answer).await
    }

    /// `POST /containers/prune`.
    pub(super) async fn prune(
        &mut self,
        to: &mut Upstream,
        head: &RequestHead,
    ) -> Result<After, Lost> {
        let live = std::sync::Arc::clone(&self.live);
        let exchange = self.exchange(to, head);
        changed(exchange, async move |body| {
            for id in prune::removed(body) {
                live.removed(&id).await;
            }
            None
        })
        .await
    }

    /// Reads the whole request whose head is there.
    async fn body(&mut self, head: &RequestHead) -> Result<Body, Lost> {
        let mut body = head.body.clone();
        if matches!(body, Framing::Length(length) if length > REQUEST_LIMIT as u64) {
            return Ok(Body::TooLong);
        }
        let mut waits = head.expects;
        let mut scanned = head.length;
        loop {
            let there = self.client.input.bytes();
            scanned += body.scan(&there[scanned..]);
            if body.is_done() {
                let whole = there[..scanned].to_vec();
                self.client.input.consume(scanned);
                return Ok(Body::Whole(whole));
            }
            if there.len() > head.length + REQUEST_LIMIT {
                return Ok(Body::TooLong);
            }
            if waits {
                let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
                let said = self.client.output.write_all(go_on).await;
                said.map_err(|_| Lost::Client)?;
                let flushed = self.client.output.flush().await;
                flushed.map_err(|_| Lost::Client)?;
                waits = false;
            }
            if !matches!(self.client.input.more().await, Ok(1..)) {
                return Err(Lost::Client);
            }
        }
    }
}

/// Passes a request on, and its answer with another body where `change` has one. An answer
/// that says no, is not JSON or is very long is passed on as it comes.
async fn changed<C, U>(
    mut exchange: Exchange<'_, C, U>,
    change: impl AsyncFnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<After, Lost>
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let answer = exchange.head().await?;
    if answer.status != 200 || answer.media != "application/json" || answer.encoded {
        return exchange.pass(answer).await;
    }
    let Held::Whole(whole) = exchange.hold(&answer, ANSWER_LIMIT).await? else {
        warn!("an answer is too long to be looked at");
        return exchange.pass(answer).await;
    };
    let (head, body) = whole.split_at(answer.length);
    let body = decode(answer.body.clone(), body);
    match change(&body).await {
        None => exchange.say(&whole).await,
        Some(new) => exchange.say(&ResponseHead::with_body(head, &new)).await,
    }
}
