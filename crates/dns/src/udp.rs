//! The thread that answers over UDP: all sockets, a batch at a time.

use crate::answer::{Outcome, Over, failure, respond};
use crate::forward::{Asker, Forwarder};
use crate::message::Rcode;
use crate::server::State;
use crate::stats::count;
use fairlead_kernel::udp::Exchange;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many datagrams are taken at once.
const BATCH: usize = 64;
/// The longest question that is read whole, in bytes. One with EDNS options stays below.
const LONGEST: usize = 1500;
/// So many batches of one socket are answered before the others are looked at again.
const ROW: usize = 8;
/// So many questions in a [`WINDOW`], 50,000 in a second, are great numbers. Below, each is
/// answered at once.
const FAST: u128 = 100;
/// How long is counted.
const WINDOW: Duration = Duration::from_millis(2);
/// So long they gather. With what the kernel adds to any sleep it is a tenth of a millisecond.
const GATHER: Duration = Duration::from_micros(30);
/// How long is waited for the thread to let go of sockets.
const LET_GO: Duration = Duration::from_secs(5);

/// What the thread is told, and what it tells.
#[derive(Debug)]
pub(crate) struct Control {
    wake: OwnedFd,
    orders: Mutex<Orders>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    sockets: Vec<Arc<UdpSocket>>,
    is_stopped: bool,
    /// Counts the orders, and those that were carried out.
    given: u64,
    seen: u64,
}

impl Control {
    pub(crate) fn new() -> std::io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self {
            wake: eventfd(0, flags)?,
            orders: Mutex::default(),
            done: Condvar::new(),
        })
    }

    /// Makes the thread listen on these sockets and no others. When it returns, the thread
    /// holds none of the others any more.
    pub(crate) fn listen(&self, sockets: Vec<Arc<UdpSocket>>) {
        self.order(|orders| orders.sockets = sockets);
    }

    /// Makes the thread end.
    pub(crate) fn stop(&self) {
        self.order(|orders| {
            orders.sockets.clear();
            orders.is_stopped = true;
        });
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.is_stopped {
            return;
        }
        change(&mut orders);
        orders.given += 1;
        let given = orders.given;
        // It can only be full, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        let waits = |orders: &mut Orders| orders.seen < given;
        let waited = self.done.wait_timeout_while(orders, LET_GO, waits);
        drop(waited);
    }

    /// The sockets of now, told as seen; none when the thread is to end.
    fn read(&self) -> Option<Vec<Arc<UdpSocket>>> {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.seen = orders.given;
        self.done.notify_all();
        (!orders.is_stopped).then(|| orders.sockets.clone())
    }
}

/// How often questions came lately. While they come in great numbers the thread lets some
/// gather before it looks again: one system call then serves many of them, and those who ask
/// need not wake it each time.
struct Pace {
    since: Instant,
    received: usize,
    is_fast: bool,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            received: 0,
            is_fast: false,
        }
    }

    /// Counts questions; returns whether more of them are to gather.
    fn gathers(&mut self, received: usize) -> bool {
        self.received += received;
        let time = self.since.elapsed();
        if time >= WINDOW {
            let windows = (time.as_micros() / WINDOW.as_micros()).max(1);
            self.is_fast = self.received as u128 >= FAST * windows;
            self.received = 0;
            self.since += time;
        }
        self.is_fast && received < BATCH / 2
    }
}

/// The body of the thread.
pub(crate) fn run(state: &State, control: &Control, forwarder: &Forwarder) {
    let mut exchange = Exchange::new(BATCH, LONGEST);
    let mut sockets: Vec<Arc<UdpSocket>> = Vec::new();
    let mut turn = 0;
    let mut pace = Pace::new();
    loop {
        let mut polled = vec![PollFd::new(&control.wake, PollFlags::IN)];
        polled.extend(sockets.iter().map(|s| PollFd::new(s, PollFlags::IN)));
        while !polled[0].revents().intersects(PollFlags::IN) {
            // Interrupted, or out of memory for a moment: all sockets are looked at.
            let is_known = poll(&mut polled, None).is_ok();
            let mut received = 0;
            for (socket, polled) in sockets.iter().zip(&polled[1..]) {
                if is_known && polled.revents().is_empty() {
                    continue;
                }
                for _ in 0..ROW {
                    let more = batch(state, socket, forwarder, &mut exchange, &mut turn);
                    received += more;
                    if more < BATCH {
                        break;
                    }
                }
            }
            if pace.gathers(received) {
                std::thread::sleep(GATHER);
            }
        }
        drop(polled);
        // The old ones are closed before it is told that they are.
        sockets.clear();
        match control.read() {
            Some(new) => sockets = new,
            None => return,
        }
    }
}

/// Answers what has arrived at a socket, a batch at most. Returns how many there were.
fn batch(
    state: &State,
    socket: &Arc<UdpSocket>,
    forwarder: &Forwarder,
    exchange: &mut Exchange,
    turn: &mut u32,
) -> usize {
    // A failure is one of a datagram, as of one that was sent before: the next may be well.
    let Ok(received) = exchange.receive(socket) else {
        return 0;
    };
    let view = state.view();
    let mut dropped = 0;
    let mut forwarded = Vec::new();
    for (i, datagram) in exchange.turns().enumerate() {
        let Some(from) = datagram.from.filter(|from| from.port() != 0) else {
            dropped += 1;
            continue;
        };
        *turn = turn.wrapping_add(1);
        let who = (from.ip(), Over::Udp);
        match respond(&view, datagram.datagram, who, *turn, datagram.answer) {
            Outcome::Answered => state.counters.answer(datagram.answer),
            Outcome::Forward => forwarded.push((i, from)),
            Outcome::Drop | Outcome::Transfer(_) => dropped += 1,
        }
    }
    let upstreams = Arc::clone(&view.access.upstreams);
    drop(view);
    for (i, from) in forwarded {
        let Some(datagram) = exchange.turns().nth(i) else {
            continue;
        };
        let question = datagram.datagram.to_owned();
        let asker = Asker::udp(socket, from);
        if forwarder.forward(question, asker, &upstreams).is_err() {
            failure(datagram.datagram, Rcode::SERVER_FAILURE, datagram.answer);
            state.counters.answer(datagram.answer);
        }
    }
    dropped += exchange.send(socket);
    count(&state.counters.udp, received as u64);
    count(&state.counters.dropped, dropped as u64);
    received
}
