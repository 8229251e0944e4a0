//! The server of names: who owns the zones, the sockets and the two threads.

use crate::access::Access;
use crate::answer::View;
use crate::forward::Forwarder;
use crate::stats::Counters;
use crate::tcp::{Listening, Tcp};
use crate::udp::{self, Control};
use crate::{Change, DnsError, Record, Settings, Stats, Zones};
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_recv_buffer_size};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

/// So many changes are made before those who answer have their turn.
const CHUNK: usize = 64;
/// Room for a burst of questions at each socket, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;
/// So many connections wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long the end of what is under way is waited for.
const END: Duration = Duration::from_secs(2);

/// What those who answer share.
#[derive(Debug)]
pub(crate) struct State {
    view: RwLock<View>,
    pub(crate) counters: Counters,
}

impl State {
    /// The zones as they are. They cannot change meanwhile, so it must not be held long.
    #[inline]
    pub(crate) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server. Copies of it are the same server; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Arc<State>,
    control: Arc<Control>,
    tcp: Arc<Tcp>,
    handle: Handle,
    end: Arc<Notify>,
    /// Held by who changes the zones, so that changes are made one after the other.
    writer: Mutex<()>,
    listening: Mutex<BTreeMap<SocketAddr, Sockets>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Sockets {
    udp: Arc<UdpSocket>,
    tcp: Listening,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time as a serial: seconds since 1970, over again in 2106 (RFC 1982 allows that).
fn now() -> u32 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(1, |time| (time.as_secs() & u64::from(u32::MAX)) as u32)
}

impl Server {
    /// Starts a server that listens nowhere yet and knows no instance. Its serial is the
    /// time.
    ///
    /// # Errors
    /// [`DnsError::Start`] when there are no more threads or descriptors.
    pub fn start(settings: Settings) -> Result<Self, DnsError> {
        let failed = |source| DnsError::Start { source };
        let state = Arc::new(State {
            view: RwLock::new(View {
                access: Access::new(&settings),
                zones: Zones::new(&settings, now()),
            }),
            counters: Counters::default(),
        });
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let handle = runtime.handle().clone();
        let control = Arc::new(Control::new().map_err(failed)?);
        let forwarder = Forwarder::new(handle.clone(), Arc::clone(&state));
        let tcp = Arc::new(Tcp::new(Arc::clone(&state), forwarder.clone()));
        let end = Arc::new(Notify::new());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let ended = Arc::clone(&end);
        let mut threads = Vec::new();
        let run = move || {
            runtime.block_on(ended.notified());
            runtime.shutdown_timeout(END);
        };
        threads.push(thread("dns-tcp").spawn(run).map_err(failed)?);
        let (for_udp, orders) = (Arc::clone(&state), Arc::clone(&control));
        let run = move || udp::run(&for_udp, &orders, &forwarder);
        match thread("dns-udp").spawn(run) {
            Ok(thread) => threads.push(thread),
            Err(source) => {
                end.notify_one();
                return Err(failed(source));
            }
        }
        Ok(Self(Arc::new(Inner {
            state,
            control,
            tcp,
            handle,
            end,
            writer: Mutex::default(),
            listening: Mutex::default(),
            threads: Mutex::new(threads),
        })))
    }

    /// Listens on these addresses and no others, over UDP and TCP. One that cannot be had is
    /// told of, and tried again at the next call; the others are served.
    pub fn listen(&self, addresses: &BTreeSet<SocketAddr>) -> Vec<DnsError> {
        let inner = &*self.0;
        let mut listening = lock(&inner.listening);
        let is_gone = |address: &&SocketAddr| !addresses.contains(address);
        let gone: Vec<SocketAddr> = listening.keys().filter(is_gone).copied().collect();
        let gone = gone.iter().filter_map(|address| listening.remove(address));
        let gone: Vec<Listening> = gone.map(|sockets| sockets.tcp).collect();
        let is_less = !gone.is_empty();
        gone.into_iter().for_each(Listening::close);
        let all = |listening: &BTreeMap<SocketAddr, Sockets>| {
            let sockets = listening.values();
            sockets.map(|sockets| Arc::clone(&sockets.udp)).collect()
        };
        if is_less {
            inner.control.listen(all(&listening));
        }
        let mut errors = Vec::new();
        let before = listening.len();
        for address in addresses {
            if listening.contains_key(address) {
                continue;
            }
            match inner.bind(*address) {
                Ok(sockets) => {
                    listening.insert(*address, sockets);
                }
                Err(error) => errors.push(error),
            }
        }
        if listening.len() > before {
            inner.control.listen(all(&listening));
        }
        let own: BTreeSet<IpAddr> = listening.keys().map(SocketAddr::ip).collect();
        drop(listening);
        inner.configure(None, Some(own.into_iter().collect()));
        errors
    }

    /// Answers by other settings from now on, with the same instances. The serial moves
    /// where the zones do.
    pub fn configure(&self, settings: Settings) {
        self.0.configure(Some(settings), None);
    }

    /// Makes changes. What is removed was inserted before, or is in the same call. The serial
    /// moves once if they change anything.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let inner = &*self.0;
        let _writer = lock(&inner.writer);
        let mut changes = changes.into_iter().fuse();
        let mut removed = Vec::new();
        let mut is_changed = false;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            // Others see the zones between two chunks. What has another address now is removed
            // and inserted, far from each other or not, and its name must not be absent
            // meanwhile: that would be believed for seconds. So all that is removed waits for
            // all that is inserted. Instances are counted, so in the end it is the same.
            while chunk.len() < CHUNK {
                match changes.next() {
                    Some(Change::Remove(instance)) => removed.push(instance),
                    Some(insert) => chunk.push(insert),
                    None => match removed.pop() {
                        Some(instance) => chunk.push(Change::Remove(instance)),
                        None => break,
                    },
                }
            }
            let is_last = chunk.len() < CHUNK;
            let mut view = inner.state.change();
            for change in &chunk {
                is_changed |= match change {
                    Change::Insert(instance) => view.zones.insert(instance),
                    Change::Remove(instance) => view.zones.remove(instance),
                };
            }
            if is_last {
                if is_changed {
                    view.zones.step(now());
                }
                return;
            }
        }
    }

    /// All records of the cluster's zones, by name.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.0.state.view().zones.records()
    }

    /// The serial of the zones.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.0.state.view().zones.serial()
    }

    /// The addresses that are listened on.
    #[must_use]
    pub fn listening(&self) -> BTreeSet<SocketAddr> {
        lock(&self.0.listening).keys().copied().collect()
    }

    /// What was asked and answered since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.state.counters.read()
    }

    /// Ends the server: all its addresses are free when it returns. What is under way has
    /// two seconds.
    pub fn stop(self) {
        self.0.stop();
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.state)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0.handle
    }
}

impl Inner {
    fn bind(&self, address: SocketAddr) -> Result<Sockets, DnsError> {
        let failed = |transport| {
            move |source| DnsError::Listen {
                address,
                transport,
                source,
            }
        };
        let udp = Arc::new(bind_udp(address).map_err(failed("udp"))?);
        let listener = bind_tcp(address).map_err(failed("tcp"))?;
        let _runtime = self.handle.enter();
        let tcp = self.tcp.listen(listener).map_err(failed("tcp"))?;
        Ok(Sockets { udp, tcp })
    }

    fn configure(&self, settings: Option<Settings>, own: Option<Vec<IpAddr>>) {
        let _writer = lock(&self.writer);
        let view = self.state.view();
        let settings = settings.unwrap_or_else(|| view.zones.settings().clone());
        let own = own.unwrap_or_else(|| view.zones.own().to_vec());
        let access = Access::new(&settings);
        let is_changed = view.zones.would_change(&settings, &own);
        // Those who answer go on with the old zones while the new ones are made.
        let zones = is_changed.then(|| view.zones.rebuilt(&settings, &own));
        drop(view);
        let mut view = self.state.change();
        view.access = access;
        let old = zones.map(|mut zones| {
            zones.step(now());
            std::mem::replace(&mut view.zones, zones)
        });
        if old.is_none() {
            view.zones.keep(&settings, &own);
        }
        drop(view);
        // To free many small pieces of memory takes time, too.
        drop(old);
    }

    fn stop(&self) {
        for (_, sockets) in std::mem::take(&mut *lock(&self.listening)) {
            sockets.tcp.close();
        }
        self.control.stop();
        self.end.notify_one();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // One that has panicked has ended as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family(address), SocketType::DGRAM, flags, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    // Less is had where the system allows less, and works.
    let _ = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    rustix::net::bind(&socket, &address)?;
    Ok(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family(address), SocketType::STREAM, flags, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    // Connections of before may still be ending.
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
