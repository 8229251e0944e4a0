//! The proxy as a whole: its start, its settings read anew, its end.

use crate::engine::Engine;
use crate::listen::{Desk, attend, open};
use crate::live::Live;
use crate::places::{Places, PlacesError};
use crate::settings::{Host, Settings};
use crate::{ProxyError, follow, log, tls};
use sd_notify::NotifyState;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tracing::{error, info, warn};

/// How long those who are being served may take when the end has come.
const DRAIN: Duration = Duration::from_secs(30);

/// A running proxy. It ends with this value, at once.
pub struct Proxy {
    desk: Desk,
    live: watch::Sender<Arc<Live>>,
    tls: watch::Sender<Option<TlsAcceptor>>,
    ending: watch::Sender<bool>,
    listeners: BTreeMap<Host, Vec<Task>>,
    served: mpsc::Receiver<()>,
    follower: Option<Task>,
}

/// A task that ends with its value.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Proxy {
    /// Starts it: when this returns, clients are listened to.
    ///
    /// # Errors
    /// [`ProxyError`] for a socket that cannot be listened to, or certificates that are none.
    pub async fn start(
        settings: &Settings,
        places: Option<Arc<dyn Places>>,
    ) -> Result<Self, ProxyError> {
        let acceptor = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let (live, live_seen) = watch::channel(Arc::new(live_of(settings, places)));
        let (tls, tls_seen) = watch::channel(acceptor);
        let (ending, ending_seen) = watch::channel(false);
        let (alive, served) = mpsc::channel(1);
        let desk = Desk {
            live: live_seen.clone(),
            ending: ending_seen,
            tls: tls_seen,
            alive,
        };
        let mut proxy = Self {
            desk,
            live,
            tls,
            ending,
            listeners: BTreeMap::new(),
            served,
            follower: None,
        };
        proxy.listen(settings).await?;
        // Who cannot serve takes nothing away either: another one may be at work.
        proxy.follower = Some(Task(tokio::spawn(follow::follow(live_seen))));
        Ok(proxy)
    }

    /// Goes on by other settings. Who is connected stays connected.
    ///
    /// # Errors
    /// [`ProxyError`]: then it goes on as before, but for hosts that were opened already.
    pub async fn reload(
        &mut self,
        settings: &Settings,
        places: Option<Arc<dyn Places>>,
    ) -> Result<(), ProxyError> {
        let acceptor = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        self.tls.send_replace(acceptor);
        self.listen(settings).await?;
        self.live.send_replace(Arc::new(live_of(settings, places)));
        Ok(())
    }

    /// Lets nobody in any more, and waits until all have been served, for so long at most.
    pub async fn stop(mut self, limit: Duration) {
        for host in std::mem::take(&mut self.listeners).into_keys() {
            forget(&host);
        }
        self.ending.send_replace(true);
        let Self {
            desk, mut served, ..
        } = self;
        drop(desk);
        if tokio::time::timeout(limit, served.recv()).await.is_err() {
            warn!("some clients were not through after {} s", limit.as_secs());
        }
    }

    /// Opens the hosts that are not open, then closes those that are no longer named.
    async fn listen(&mut self, settings: &Settings) -> Result<(), ProxyError> {
        for host in &settings.hosts {
            if self.listeners.contains_key(host) {
                continue;
            }
            let opened = open(host, settings.group, settings.tls.is_some()).await?;
            let attended = opened.into_iter().map(|listener| {
                let task = attend(listener, self.desk.clone());
                Task(tokio::spawn(task))
            });
            self.listeners.insert(host.clone(), attended.collect());
            info!("clients are listened to at {host}");
        }
        let listeners = std::mem::take(&mut self.listeners).into_iter();
        let (kept, closed) = listeners.partition(|(host, _)| settings.hosts.contains(host));
        self.listeners = kept;
        for host in BTreeMap::into_keys(closed) {
            forget(&host);
        }
        Ok(())
    }
}

/// Takes the socket's name away that leads nowhere now.
fn forget(host: &Host) {
    if let Host::Unix(path) = host {
        let _ = std::fs::remove_file(path);
    }
}

fn live_of(settings: &Settings, places: Option<Arc<dyn Places>>) -> Live {
    Live {
        engine: Engine::new(settings.dockerd.clone()),
        buffer: settings.buffer,
        cni: settings.enable_cni,
        exclude: settings.exclude.clone(),
        runtime: settings.runtime.clone(),
        places,
        version: Mutex::default(),
    }
}

/// Runs the proxy until `SIGTERM` or `SIGINT`; `SIGHUP` has it read its settings anew. `load`
/// gives the settings, and `places` who knows of CNI networks by them.
///
/// # Errors
/// [`ProxyError`] when it cannot start.
pub fn run(
    load: impl Fn() -> Result<Settings, ProxyError>,
    places: impl Fn(&Settings) -> Result<Arc<dyn Places>, PlacesError>,
) -> Result<(), ProxyError> {
    let settings = load()?;
    log::begin(&settings.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .map_err(ProxyError::Start)?;
    let ran = runtime.block_on(attend_signals(settings, &load, &places));
    runtime.shutdown_background();
    ran
}

/// Few are enough to pass bytes on.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4))
}

async fn attend_signals(
    settings: Settings,
    load: &impl Fn() -> Result<Settings, ProxyError>,
    places: &impl Fn(&Settings) -> Result<Arc<dyn Places>, PlacesError>,
) -> Result<(), ProxyError> {
    let on = |kind| signal(kind).map_err(ProxyError::Start);
    let mut hang_up = on(SignalKind::hangup())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let known = who_knows(&settings, places)?;
    let mut proxy = Proxy::start(&settings, known).await?;
    tell(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {}
        }
        tell_reloading();
        let read = load().and_then(|settings| Ok((who_knows(&settings, places)?, settings)));
        let done = match read {
            Ok((known, settings)) => proxy.reload(&settings, known).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => info!("settings are read anew"),
            Err(error) => error!("{error}; going on by the settings of before"),
        }
        tell(&[NotifyState::Ready]);
    }
    tell(&[NotifyState::Stopping]);
    tokio::select! {
        () = proxy.stop(DRAIN) => {}
        // Who asks twice does not want to wait.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Who knows of CNI networks. Where they are not asked for, that nobody does is no error.
fn who_knows(
    settings: &Settings,
    places: &impl Fn(&Settings) -> Result<Arc<dyn Places>, PlacesError>,
) -> Result<Option<Arc<dyn Places>>, ProxyError> {
    for note in &settings.notes {
        warn!("{note}");
    }
    match places(settings) {
        Ok(places) => Ok(Some(places)),
        Err(error) if settings.enable_cni => Err(ProxyError::Cni {
            path: settings.cni_config.clone(),
            reason: error.to_string(),
        }),
        Err(error) => {
            info!("containers on CNI networks are not looked after: {error}");
            Ok(None)
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("the service manager cannot be told: {error}");
    }
}

/// A reload is told with the time of its begin.
fn tell_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}
