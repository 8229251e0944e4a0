//! Questions over TCP (RFC 7766): many may be under way on a connection, and answers come as
//! they are known.

use crate::answer::{Outcome, Over, failure, respond};
use crate::forward::{Asker, Forwarder};
use crate::message::Rcode;
use crate::server::State;
use crate::stats::count;
use crate::transfer::Snapshot;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// So many connections are open at once.
const MOST: usize = 256;
/// So many of one who asks.
const MOST_OF_ONE: usize = 64;
/// Who has not asked for so long is hung up on.
const IDLE: Duration = Duration::from_secs(10);
/// So long may one write take: who does not read is hung up on.
const WRITE: Duration = Duration::from_secs(10);
/// So many bytes of answers are gathered before they are written.
const GATHERED: usize = 64 * 1024;
/// So many questions of one connection are passed on at once.
const FORWARDED: usize = 32;
/// So many zones are sent at once: each is copied before.
const TRANSFERS: usize = 4;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Tcp {
    state: Arc<State>,
    forwarder: Forwarder,
    open: Mutex<Open>,
    transfers: Semaphore,
    started: Instant,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    peer: IpAddr,
    /// When it was last of use, in milliseconds since the start.
    used: Arc<AtomicU64>,
    task: AbortHandle,
}

/// A listener that is accepted from until it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    task: AbortHandle,
    gone: std::sync::mpsc::Receiver<()>,
}

impl Listening {
    /// Closes the listener. When it returns, the address is free.
    pub(crate) fn close(self) {
        self.task.abort();
        // The sender is dropped after the listener; nothing is ever sent.
        let _ = self.gone.recv_timeout(Duration::from_secs(5));
    }
}

/// A listener, and who waits for its end: the fields are dropped in this order.
struct Held {
    listener: TcpListener,
    _gone: std::sync::mpsc::Sender<()>,
}

impl Tcp {
    pub(crate) fn new(state: Arc<State>, forwarder: Forwarder) -> Self {
        Self {
            state,
            forwarder,
            open: Mutex::default(),
            transfers: Semaphore::new(TRANSFERS),
            started: Instant::now(),
        }
    }

    /// Answers who connects to a listener. It is called inside the runtime.
    pub(crate) fn listen(
        self: &Arc<Self>,
        listener: std::net::TcpListener,
    ) -> io::Result<Listening> {
        let listener = TcpListener::from_std(listener)?;
        let (sender, gone) = std::sync::mpsc::channel();
        let held = Held {
            listener,
            _gone: sender,
        };
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.accept(held).await }).abort_handle();
        Ok(Listening { task, gone })
    }

    async fn accept(self: Arc<Self>, held: Held) {
        loop {
            match held.listener.accept().await {
                Ok((stream, peer)) => self.open(stream, peer),
                // Descriptors or memory are short; others give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn open(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut open, peer);
        let number = open.next;
        open.next += 1;
        let used = Arc::new(AtomicU64::new(self.now()));
        let this = Arc::clone(self);
        let in_task = Arc::clone(&used);
        let task = tokio::spawn(async move {
            let talk = Talk::new(&this, peer, &in_task);
            let is_good = talk.run(stream).await.is_ok();
            count(&this.state.counters.closed, u64::from(!is_good));
            let mut open = this.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.connections.remove(&number);
        });
        let task = task.abort_handle();
        open.connections
            .insert(number, Connection { peer, used, task });
    }

    /// Closes the connection that was of no use for the longest time, where there are as
    /// many as there may be.
    fn make_room(&self, open: &mut Open, peer: IpAddr) {
        let of_one = open.connections.values().filter(|c| c.peer == peer).count();
        let is_one = of_one >= MOST_OF_ONE;
        if !is_one && open.connections.len() < MOST {
            return;
        }
        let all = open.connections.iter();
        let victims = all.filter(|(_, connection)| !is_one || connection.peer == peer);
        let oldest = victims
            .min_by_key(|(number, connection)| (connection.used.load(Ordering::Relaxed), **number));
        if let Some(connection) = oldest.map(|(number, _)| *number) {
            let connection = open.connections.remove(&connection);
            connection.inspect(|connection| connection.task.abort());
            count(&self.state.counters.closed, 1);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What comes next on a connection.
enum Next {
    /// There is no whole question.
    Read,
    /// There may be more questions; what is gathered goes out first.
    More,
    /// A zone is to be sent for this question.
    Send(u16, Vec<u8>),
}

/// One connection.
struct Talk<'a> {
    tcp: &'a Arc<Tcp>,
    peer: IpAddr,
    used: &'a AtomicU64,
    input: Vec<u8>,
    /// How much of the input has been answered.
    done: usize,
    output: Vec<u8>,
    /// Questions that were passed on and are not answered.
    forwarded: usize,
    turn: u32,
}

/// The connection is of no use any more.
struct Useless;

impl<'a> Talk<'a> {
    fn new(tcp: &'a Arc<Tcp>, peer: IpAddr, used: &'a AtomicU64) -> Self {
        Self {
            tcp,
            peer,
            used,
            input: Vec::with_capacity(4096),
            done: 0,
            output: Vec::with_capacity(4096),
            forwarded: 0,
            turn: 0,
        }
    }

    async fn run(mut self, mut stream: TcpStream) -> Result<(), Useless> {
        // Answers are written whole, so waiting for more of them helps nobody.
        let _ = stream.set_nodelay(true);
        let (sender, mut answers) = mpsc::channel(FORWARDED);
        let mut idle_at = Instant::now() + IDLE;
        let mut is_ended = false;
        loop {
            let before = self.forwarded;
            let next = self.answer(&sender);
            // Only a question is of use, whatever else was sent.
            if !self.output.is_empty() || self.forwarded > before {
                idle_at = Instant::now() + IDLE;
                self.used.store(self.tcp.now(), Ordering::Relaxed);
            }
            self.flush(&mut stream).await?;
            match next {
                Next::More => continue,
                Next::Send(number, question) => {
                    self.send_zone(&mut stream, number, &question).await?;
                    idle_at = Instant::now() + IDLE;
                    continue;
                }
                Next::Read => {}
            }
            if is_ended && self.forwarded == 0 {
                return Ok(());
            }
            self.make_space();
            tokio::select! {
                read = stream.read_buf(&mut self.input), if !is_ended && self.wants_more() => {
                    is_ended = read.map_err(|_| Useless)? == 0;
                }
                Some(answer) = answers.recv() => {
                    self.forwarded -= 1;
                    self.append(&answer);
                    idle_at = Instant::now() + IDLE;
                }
                () = tokio::time::sleep_until(idle_at) => return Err(Useless),
            }
        }
    }

    fn wants_more(&self) -> bool {
        self.forwarded < FORWARDED
    }

    /// Forgets input that has been answered, and makes room for more.
    fn make_space(&mut self) {
        self.input.drain(..self.done);
        self.done = 0;
        if self.input.capacity() - self.input.len() < 1024 {
            self.input.reserve(4096);
        }
    }

    async fn flush(&mut self, stream: &mut TcpStream) -> Result<(), Useless> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(WRITE, stream.write_all(&self.output)).await;
        written.map_err(|_| Useless)?.map_err(|_| Useless)?;
        self.output.clear();
        // One long answer does not hold its memory for as long as the connection lasts.
        self.output.shrink_to(2 * GATHERED);
        Ok(())
    }

    fn append(&mut self, answer: &[u8]) {
        if let Ok(length) = u16::try_from(answer.len()) {
            self.output.extend_from_slice(&length.to_be_bytes());
            self.output.extend_from_slice(answer);
        }
    }

    /// Answers what has arrived whole.
    fn answer(&mut self, sender: &mpsc::Sender<Vec<u8>>) -> Next {
        let state = Arc::clone(&self.tcp.state);
        let view = state.view();
        loop {
            if !self.wants_more() {
                return Next::Read;
            }
            if self.output.len() >= GATHERED {
                return Next::More;
            }
            let rest = &self.input[self.done..];
            let Some((length, rest)) = rest.split_first_chunk::<2>() else {
                return Next::Read;
            };
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(question) = rest.get(..length) else {
                return Next::Read;
            };
            self.done += 2 + length;
            self.turn = self.turn.wrapping_add(1);
            count(&state.counters.tcp, 1);
            let start = self.output.len();
            self.output.extend_from_slice(&[0; 2]);
            let who = (self.peer, Over::Tcp);
            match respond(&view, question, who, self.turn, &mut self.output) {
                Outcome::Answered => {}
                Outcome::Drop => {
                    self.output.truncate(start);
                    count(&state.counters.dropped, 1);
                    continue;
                }
                Outcome::Transfer(number) => {
                    self.output.truncate(start);
                    return Next::Send(number, question.to_owned());
                }
                Outcome::Forward => {
                    let asker = Asker::tcp(self.peer, sender.clone());
                    let forwarder = &self.tcp.forwarder;
                    let upstreams = &view.access.upstreams;
                    if forwarder
                        .forward(question.to_owned(), asker, upstreams)
                        .is_ok()
                    {
                        self.forwarded += 1;
                        self.output.truncate(start);
                        continue;
                    }
                    failure(question, Rcode::SERVER_FAILURE, &mut self.output);
                }
            }
            let message = start + 2;
            state.counters.answer(&self.output[message..]);
            // An answer over TCP has 65,535 bytes at most.
            let length = (self.output.len() - message) as u16;
            self.output[start..message].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Sends a whole zone. It is copied on another thread, so that others are answered
    /// meanwhile.
    async fn send_zone(
        &mut self,
        stream: &mut TcpStream,
        number: u16,
        question: &[u8],
    ) -> Result<(), Useless> {
        let _place = self.tcp.transfers.acquire().await.map_err(|_| Useless)?;
        let state = Arc::clone(&self.tcp.state);
        let copy = move || Snapshot::of(&state.view(), number);
        let snapshot = tokio::task::spawn_blocking(copy).await;
        let messages = snapshot.ok().flatten();
        let messages = messages.and_then(|snapshot| snapshot.messages(question));
        for message in messages.ok_or(Useless)? {
            let written = timeout(WRITE, stream.write_all(&message)).await;
            written.map_err(|_| Useless)?.map_err(|_| Useless)?;
            self.used.store(self.tcp.now(), Ordering::Relaxed);
        }
        let counters = &self.tcp.state.counters;
        counters.answer(&[0; 4]);
        count(&counters.transfers, 1);
        Ok(())
    }
}
