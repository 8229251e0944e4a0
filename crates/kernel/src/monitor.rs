//! Word of changes: the kernel tells what kind of thing changed, soon after it did.
//!
//! It tells of the namespace where the monitor was opened, of changes by anybody,
//! this process too. What exactly changed is for the reader to look up: messages can
//! be lost (then [`Seen::overrun`] is set), the state cannot.

use crate::{KernelError, NetNs, Socket, SocketKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

// `RTNLGRP_*` of linux/rtnetlink.h and `NFNLGRP_*` of linux/netfilter/nfnetlink.h.
const GROUP_LINK: u32 = 1;
const GROUP_NEIGHBOUR: u32 = 3;
const GROUP_ADDRESS4: u32 = 5;
const GROUP_ROUTE4: u32 = 7;
const GROUP_ADDRESS6: u32 = 9;
const GROUP_ROUTE6: u32 = 11;
const GROUP_NFTABLES: u32 = 7;

/// Room for a burst of changes while the reader is busy, in bytes.
const RECEIVE_BUFFER: u32 = 1 << 20;
/// So many datagrams are read at once at most, so that a storm cannot hold the
/// reader for ever.
const AT_ONCE: usize = 1024;

/// Watches the links, addresses, routes and nftables of one namespace.
#[derive(Debug)]
pub struct Monitor {
    route: Socket,
    /// None when the kernel has no netfilter.
    firewall: Option<Socket>,
}

/// What has changed since it was last asked, coarsely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// A link came, went or changed.
    pub links: bool,
    /// An address of a link came, went or changed.
    pub addresses: bool,
    /// A route came, went or changed.
    pub routes: bool,
    /// A neighbour came, went or changed; only where those are watched.
    pub neighbours: bool,
    /// Something of nftables came, went or changed.
    pub firewall: bool,
    /// The kernel had more to tell than there was room for: anything may have changed.
    pub overrun: bool,
}

impl Seen {
    /// Whether there is anything at all.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    fn add(&mut self, kind: u16) {
        match kind {
            16 | 17 => self.links = true,
            20 | 21 => self.addresses = true,
            24 | 25 => self.routes = true,
            28 | 29 => self.neighbours = true,
            _ => {}
        }
    }
}

impl Monitor {
    /// Watches the namespace of the calling thread from now on. A kernel without
    /// netfilter is watched without it.
    ///
    /// # Errors
    /// [`KernelError::Io`] when a socket cannot be had.
    pub fn open() -> Result<Self, KernelError> {
        let groups = [
            GROUP_LINK,
            GROUP_ADDRESS4,
            GROUP_ADDRESS6,
            GROUP_ROUTE4,
            GROUP_ROUTE6,
        ];
        let firewall = match subscribe(SocketKind::Netfilter, &[GROUP_NFTABLES]) {
            Ok(socket) => Some(socket),
            Err(error) if error.is_unsupported() => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            route: subscribe(SocketKind::Route, &groups)?,
            firewall,
        })
    }

    /// Watches `namespace` from now on.
    ///
    /// # Errors
    /// As [`Monitor::open`]; [`KernelError::Io`] when it cannot be entered.
    pub fn open_in(namespace: &NetNs) -> Result<Self, KernelError> {
        namespace.run(Self::open)?
    }

    /// Watches neighbours and forwarding entries too. Where containers talk these
    /// change all the time.
    ///
    /// # Errors
    /// [`KernelError::Io`].
    pub fn watch_neighbours(&mut self) -> Result<(), KernelError> {
        self.route.join(GROUP_NEIGHBOUR).map_err(io)
    }

    /// Waits until something has changed, `timeout` at most, and returns all that has
    /// by then; none when nothing has. A zero timeout only looks.
    ///
    /// # Errors
    /// [`KernelError::Io`] when a socket is broken.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Seen>, KernelError> {
        // A time that is too long to be told is for ever.
        let end = Instant::now().checked_add(timeout);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let ready = self.poll(left)?;
            let seen = self.drain()?;
            if seen.any() {
                return Ok(Some(seen));
            }
            // Ready without news: a message of a kind that nobody asked for.
            if !ready && left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }

    /// Whether there is something to read within that time.
    fn poll(&self, timeout: Option<Duration>) -> Result<bool, KernelError> {
        let sockets = [Some(&self.route), self.firewall.as_ref()];
        let sockets = sockets.into_iter().flatten();
        let mut polled: Vec<_> = sockets.map(|s| PollFd::new(s, PollFlags::IN)).collect();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(io(error.into())),
        }
    }

    fn drain(&mut self) -> Result<Seen, KernelError> {
        let mut seen = Seen::default();
        read(&mut self.route, &mut seen, |seen, kinds| {
            kinds.iter().for_each(|kind| seen.add(*kind));
        })?;
        if let Some(firewall) = &mut self.firewall {
            read(firewall, &mut seen, |seen, _| seen.firewall = true)?;
        }
        Ok(seen)
    }
}

fn subscribe(kind: SocketKind, groups: &[u32]) -> Result<Socket, KernelError> {
    let mut socket = Socket::open(kind)?;
    socket.enlarge_receive_buffer(RECEIVE_BUFFER);
    socket.bind().map_err(io)?;
    for group in groups {
        socket.join(*group).map_err(io)?;
    }
    Ok(socket)
}

fn read(
    socket: &mut Socket,
    seen: &mut Seen,
    add: impl Fn(&mut Seen, &[u16]),
) -> Result<(), KernelError> {
    for _ in 0..AT_ONCE {
        match socket.try_receive_kinds() {
            Ok(Some(kinds)) => add(seen, &kinds),
            Ok(None) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                seen.overrun = true;
            }
            Err(error) => return Err(io(error)),
        }
    }
    Ok(())
}

fn io(source: std::io::Error) -> KernelError {
    KernelError::io("watch", "changes of the network", source)
}
