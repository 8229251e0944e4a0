//! One request and its answer, on their way at the same time.

use crate::http::{Framing, HEAD_LIMIT, Parsed, RequestHead, ResponseHead};
use crate::input::Input;
use crate::side::{Side, pass_on};
use std::future::pending;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// Why an exchange cannot go on.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The client is gone, or its connection is.
    Client,
    /// Dockerd has hung up before it answered.
    Upstream,
}

/// What becomes of the two connections behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Another request may come.
    Next,
    /// They have served.
    Close,
    /// They went to the two at their ends, who are through with them.
    Gone,
}

/// The request as it is passed on. All of it is state, so that passing on may be given up
/// and taken up again at any byte.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What goes out in place of the bytes that came, of which so much is written.
    instead: Vec<u8>,
    written: usize,
    /// How many of the client's bytes that are there belong to the request.
    ready: usize,
    body: Framing,
    /// Whether the client says nothing more, and dockerd knows.
    ended: bool,
    /// Whether dockerd takes nothing more.
    refused: bool,
}

impl Outgoing {
    /// The request as the client says it; its head is read, and lies at the front.
    pub(crate) fn verbatim(head: &RequestHead, there: &[u8]) -> Self {
        let mut body = head.body.clone();
        let behind = there.get(head.length..).unwrap_or_default();
        let ready = head.length + body.scan(behind);
        Self {
            ready,
            body,
            ..Self::instead(Vec::new())
        }
    }

    /// These bytes, and nothing of what the client says.
    pub(crate) const fn instead(bytes: Vec<u8>) -> Self {
        Self {
            instead: bytes,
            written: 0,
            ready: 0,
            body: Framing::NONE,
            ended: false,
            refused: false,
        }
    }

    const fn is_whole(&self) -> bool {
        self.written == self.instead.len() && self.ready == 0 && self.body.is_done()
    }
}

/// An answer that was kept back.
pub(crate) enum Held {
    /// All of it: the bytes as they came.
    Whole(Vec<u8>),
    /// It is longer than the limit; nothing of it is passed on yet.
    Long,
}

/// One request and its answer between two connections.
pub(crate) struct Exchange<'s, C, U> {
    client: &'s mut Side<C>,
    upstream: &'s mut Side<U>,
    request: Outgoing,
    method: String,
    /// What of the answer that is there belongs to it.
    ready: usize,
}

impl<'s, C, U> Exchange<'s, C, U>
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    pub(crate) const fn new(
        client: &'s mut Side<C>,
        upstream: &'s mut Side<U>,
        method: String,
        request: Outgoing,
    ) -> Self {
        Self {
            client,
            upstream,
            request,
            method,
            ready: 0,
        }
    }

    /// Passes the request on until the head of its answer is there, and words in between
    /// (as 100) to the client. The head is not passed on.
    pub(crate) async fn head(&mut self) -> Result<ResponseHead, Lost> {
        loop {
            let head = tokio::select! {
                biased;
                head = read_head(&mut self.upstream.input, &self.method) => head?,
                lost = pump(&mut self.client.input, &mut self.upstream.output, &mut self.request) => return Err(lost),
            };
            if !(100..=199).contains(&head.status) || head.status == 101 {
                return Ok(head);
            }
            self.ready = head.length;
            self.deliver().await?;
        }
    }

    /// Passes the answer on whose head is there.
    pub(crate) async fn pass(&mut self, head: ResponseHead) -> Result<After, Lost> {
        let mut body = head.body;
        let behind = self.upstream.input.bytes().get(head.length..);
        self.ready = head.length + body.scan(behind.unwrap_or_default());
        loop {
            self.deliver().await?;
            if body.is_done() {
                return Ok(self.after());
            }
            if self.more().await? == 0 {
                // The end of what has no other, or of what is cut off: the client sees both.
                return Ok(After::Close);
            }
            self.ready = body.scan(self.upstream.input.bytes());
        }
    }

    /// Reads the whole answer whose head is there, if it is no longer than `limit`.
    pub(crate) async fn hold(&mut self, head: &ResponseHead, limit: usize) -> Result<Held, Lost> {
        let mut body = head.body.clone();
        let mut scanned = head.length;
        if let Framing::Length(length) = body
            && length > limit as u64
        {
            return Ok(Held::Long);
        }
        loop {
            let there = self.upstream.input.bytes();
            scanned += body.scan(&there[scanned..]);
            if body.is_done() {
                let whole = there[..scanned].to_vec();
                self.upstream.input.consume(scanned);
                return Ok(Held::Whole(whole));
            }
            if there.len() > limit || self.more().await? == 0 {
                return Ok(Held::Long);
            }
        }
    }

    /// Says this to the client, which is all of an answer that was held.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<After, Lost> {
        let said = async {
            self.client.output.write_all(bytes).await?;
            self.client.output.flush().await
        };
        let said: Result<(), Lost> = said.await.map_err(|_| Lost::Client);
        said.map(|()| self.after())
    }

    fn after(&self) -> After {
        match self.request.is_whole() && !self.request.ended && !self.request.refused {
            true => After::Next,
            false => After::Close,
        }
    }

    /// Passes on what of the answer is ready, while the request goes on.
    async fn deliver(&mut self) -> Result<(), Lost> {
        tokio::select! {
            biased;
            passed = pass_on(&mut self.upstream.input, &mut self.client.output, &mut self.ready) => {
                passed.map_err(|_| Lost::Client)
            }
            lost = pump(&mut self.client.input, &mut self.upstream.output, &mut self.request) => Err(lost),
        }
    }

    /// Reads more of the answer, while the request goes on.
    async fn more(&mut self) -> Result<usize, Lost> {
        tokio::select! {
            biased;
            // An answer that breaks off has an end as well.
            read = self.upstream.input.more() => Ok(read.unwrap_or(0)),
            lost = pump(&mut self.client.input, &mut self.upstream.output, &mut self.request) => Err(lost),
        }
    }
}

/// Reads until the head of an answer is there. It may be given up at any moment.
async fn read_head<U>(input: &mut Input<ReadHalf<U>>, method: &str) -> Result<ResponseHead, Lost>
where
    U: AsyncRead + AsyncWrite,
{
    loop {
        match ResponseHead::parse(input.bytes(), method) {
            Parsed::Whole(head) => return Ok(head),
            // Whatever it is, the client gets it.
            Parsed::Unreadable => return Ok(unreadable()),
            Parsed::Partial => {}
        }
        debug_assert!(input.bytes().len() <= HEAD_LIMIT);
        match input.more().await {
            Ok(read) if read > 0 => {}
            _ if input.bytes().is_empty() => return Err(Lost::Upstream),
            _ => return Ok(unreadable()),
        }
    }
}

fn unreadable() -> ResponseHead {
    ResponseHead {
        status: 0,
        length: 0,
        body: Framing::Rest,
        media: String::new(),
        encoded: false,
    }
}

/// Passes the request on. Comes back only when the client's connection is broken; where there
/// is nothing more to do it waits, to be given up.
async fn pump<C, U>(
    input: &mut Input<ReadHalf<C>>,
    output: &mut WriteHalf<U>,
    request: &mut Outgoing,
) -> Lost
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    loop {
        if request.refused || request.ended {
            return pending().await;
        }
        if send(input, output, request).await.is_err() {
            // Dockerd takes no more; what it has said of it may still be on its way here.
            request.refused = true;
            continue;
        }
        // Behind a whole request is the next one, which waits; but an end is news.
        if request.body.is_done() && !input.bytes().is_empty() {
            return pending().await;
        }
        match input.more().await {
            Ok(0) => {
                // As dockerd would see it if the client were its own.
                request.ended = true;
                let _ = output.shutdown().await;
            }
            Ok(_) => request.ready = request.body.scan(input.bytes()),
            Err(_) => return Lost::Client,
        }
    }
}

/// Writes what there is of the request.
async fn send<C, U>(
    input: &mut Input<ReadHalf<C>>,
    output: &mut WriteHalf<U>,
    request: &mut Outgoing,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    while request.written < request.instead.len() {
        let left = &request.instead[request.written..];
        request.written += output.write(left).await?;
    }
    if request.ready > 0 {
        pass_on(input, output, &mut request.ready).await?;
    }
    Ok(())
}
