//! Names of others: the question goes on to the node's resolvers as it came, under an id
//! and from a port that nobody can guess (RFC 5452), and the answer comes back as it is.

use crate::answer::{Over, failure};
use crate::message::{self, HEADER, Rcode, flag};
use crate::server::State;
use crate::stats::count;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// So many questions are under way at once: each has a socket.
const MOST: usize = 512;
/// So many of one who asks, so that one container cannot use them all up.
const MOST_OF_ONE: usize = 128;
/// How long one resolver has.
const LIMIT: Duration = Duration::from_secs(2);

/// Passes questions on.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    handle: Handle,
    state: Arc<State>,
    places: Arc<Places>,
    /// Which resolver has answered last: it is asked first.
    good: Arc<AtomicUsize>,
}

/// There are too many questions under way.
#[derive(Debug)]
pub(crate) struct Full;

/// Who waits for an answer.
#[derive(Debug)]
pub(crate) struct Asker {
    ip: IpAddr,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// The socket may be closed meanwhile.
    Udp(Weak<UdpSocket>, SocketAddr),
    Tcp(mpsc::Sender<Vec<u8>>),
}

impl Asker {
    pub(crate) fn udp(socket: &Arc<UdpSocket>, from: SocketAddr) -> Self {
        Self {
            ip: from.ip(),
            way: Way::Udp(Arc::downgrade(socket), from),
        }
    }

    pub(crate) fn tcp(ip: IpAddr, answers: mpsc::Sender<Vec<u8>>) -> Self {
        let way = Way::Tcp(answers);
        Self { ip, way }
    }

    fn over(&self) -> Over {
        match self.way {
            Way::Udp(..) => Over::Udp,
            Way::Tcp(_) => Over::Tcp,
        }
    }

    /// Sends the answer. Who has gone meanwhile has none.
    async fn tell(self, answer: Vec<u8>, state: &State) {
        state.counters.answer(&answer);
        let is_sent = match self.way {
            Way::Udp(socket, to) => {
                let socket = socket.upgrade();
                socket.is_some_and(|socket| socket.send_to(&answer, to).is_ok())
            }
            Way::Tcp(answers) => answers.send(answer).await.is_ok(),
        };
        count(&state.counters.dropped, u64::from(!is_sent));
    }
}

/// How many questions are under way.
#[derive(Debug, Default)]
struct Places(Mutex<(usize, HashMap<IpAddr, usize>)>);

/// One of them, given back when it is dropped.
#[derive(Debug)]
struct Place(Arc<Places>, IpAddr);

impl Places {
    fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, Full> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_ip) = &mut *places;
        let one = by_ip.get(&ip).copied().unwrap_or(0);
        if *all >= MOST || one >= MOST_OF_ONE {
            return Err(Full);
        }
        *all += 1;
        by_ip.insert(ip, one + 1);
        Ok(Place(Arc::clone(self), ip))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(places, ip) = self;
        let mut places = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_ip) = &mut *places;
        *all = all.saturating_sub(1);
        match by_ip.get_mut(ip) {
            Some(one) if *one > 1 => *one -= 1,
            _ => {
                by_ip.remove(ip);
            }
        }
    }
}

impl Forwarder {
    pub(crate) fn new(handle: Handle, state: Arc<State>) -> Self {
        Self {
            handle,
            state,
            places: Arc::default(),
            good: Arc::default(),
        }
    }

    /// Passes a question on; the asker is told the answer, or that there is none.
    pub(crate) fn forward(
        &self,
        question: Vec<u8>,
        asker: Asker,
        upstreams: &Arc<[SocketAddr]>,
    ) -> Result<(), Full> {
        let place = self.places.take(asker.ip)?;
        let this = self.clone();
        let upstreams = Arc::clone(upstreams);
        count(&this.state.counters.forwarded, 1);
        self.handle.spawn(async move {
            let answer = this.ask(&question, asker.over(), &upstreams).await;
            let answer = answer.unwrap_or_else(|| {
                count(&this.state.counters.unanswered, 1);
                let mut answer = Vec::new();
                failure(&question, Rcode::SERVER_FAILURE, &mut answer);
                answer
            });
            asker.tell(answer, &this.state).await;
            drop(place);
        });
        Ok(())
    }

    /// Asks one resolver after the other until one knows.
    async fn ask(&self, question: &[u8], over: Over, all: &[SocketAddr]) -> Option<Vec<u8>> {
        let first = self.good.load(Ordering::Relaxed);
        let mut poor = None;
        for i in 0..all.len() {
            let i = (first + i) % all.len();
            let Ok(Ok(answer)) = timeout(LIMIT, ask_one(question, over, all[i])).await else {
                continue;
            };
            let code = Rcode(answer.get(3).copied().unwrap_or(0) & 15);
            if code != Rcode::SERVER_FAILURE && code != Rcode::REFUSED {
                self.good.store(i, Ordering::Relaxed);
                return Some(finish(answer, question, over));
            }
            // The next may know more.
            poor = poor.or(Some(answer));
        }
        poor.map(|answer| finish(answer, question, over))
    }
}

/// An id that cannot be guessed.
pub(crate) fn random_id() -> io::Result<[u8; 2]> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    Ok(id)
}

fn with_id(question: &[u8]) -> io::Result<(Vec<u8>, [u8; 2])> {
    let id = random_id()?;
    let mut question = question.to_owned();
    if let Some(place) = question.first_chunk_mut() {
        *place = id;
    }
    Ok((question, id))
}

/// Asks one resolver over UDP, however the question came: not all of them listen on TCP, and
/// who asks over TCP only, as with `use-vc` in `resolv.conf`, has names too. An answer that is
/// truncated is asked for again over TCP for who can take it whole.
async fn ask_one(question: &[u8], over: Over, upstream: SocketAddr) -> io::Result<Vec<u8>> {
    let answer = ask_udp(question, upstream).await?;
    let truncated = (flag::TRUNCATED >> 8) as u8;
    let is_cut = answer.get(2).is_some_and(|flags| flags & truncated != 0);
    match over {
        Over::Tcp if is_cut => ask_tcp(question, upstream).await,
        _ => Ok(answer),
    }
}

async fn ask_udp(question: &[u8], upstream: SocketAddr) -> io::Result<Vec<u8>> {
    let (question, id) = with_id(question)?;
    let any: IpAddr = match upstream {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The kernel chooses a port at random, and lets only the asked one answer to it.
    let socket = tokio::net::UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    socket.send(&question).await?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if answers(&buffer[..length], &question, id) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn ask_tcp(question: &[u8], upstream: SocketAddr) -> io::Result<Vec<u8>> {
    let (question, id) = with_id(question)?;
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], &question].concat();
    stream.write_all(&framed).await?;
    loop {
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        if answers(&answer, &question, id) {
            return Ok(answer);
        }
    }
}

/// Whether that is an answer to this question and no other. One that refuses may leave the
/// question out.
fn answers(answer: &[u8], question: &[u8], id: [u8; 2]) -> bool {
    let Some(header) = answer.first_chunk::<HEADER>() else {
        return false;
    };
    if header[..2] != id || header[2] & 0x80 == 0 {
        return false;
    }
    match header[4..6] {
        [0, 0] => header[3] & 15 != 0,
        [0, 1] => match message::skip_name(question, HEADER) {
            Some(end) if answer.len() >= end + 4 => {
                let (is, was) = (&answer[HEADER..end + 4], &question[HEADER..end + 4]);
                is.eq_ignore_ascii_case(was)
            }
            _ => false,
        },
        _ => false,
    }
}

/// The answer as the asker takes it: under his id, and not longer than he can take.
fn finish(mut answer: Vec<u8>, question: &[u8], over: Over) -> Vec<u8> {
    let limit = match message::parse(question) {
        Ok(query) if over == Over::Udp => {
            let size = query.edns.map_or(512, |edns| usize::from(edns.size));
            size.max(512)
        }
        _ => usize::MAX,
    };
    let is_cut = answer.len() > limit;
    if is_cut {
        // Header and question stand for themselves.
        let end = message::skip_name(&answer, HEADER).map_or(HEADER, |end| end + 4);
        answer.truncate(end);
        for byte in answer.iter_mut().take(HEADER).skip(6) {
            *byte = 0;
        }
    }
    if let (Some(head), Some(id)) = (answer.first_chunk_mut::<4>(), question.first_chunk::<2>()) {
        head[..2].copy_from_slice(id);
        head[2] |= u16::from(is_cut).to_be_bytes()[1] * (flag::TRUNCATED >> 8) as u8;
        head[3] |= flag::RECURSION_AVAILABLE as u8;
    }
    answer
}
