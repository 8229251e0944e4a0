//! The agent as a whole: its start, its threads, its end.

use crate::docker::Docker;
use crate::links::{Deleter, Requests, links};
use crate::lock::Lock;
use crate::metrics::Metrics;
use crate::reconcile::{Message, Reconciler, tell_manager};
use crate::schedule::Cause;
use crate::shared::{Parts, Shared};
use crate::zones::News;
use crate::{AgentError, LogLevel, api, cluster, lock, log, services, watch, zones};
use fairlead_attach::Node;
use fairlead_config::Config;
use fairlead_control::Namespace;
use fairlead_kernel::{NetNs, sysctl};
use fairlead_plugins::Host;
use fairlead_serve as serve;
use fairlead_types::Root;
use sd_notify::NotifyState;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// How long the end may take: what is under way then is left to the next start.
const END: Duration = Duration::from_millis(1500);
/// How many detaches are carried out at once; each is a thread that waits for the kernel.
const WORKERS: usize = 256;

/// How the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where metrics are served besides the control socket; nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// The longest time between two reconciliations, 30 s by default.
    pub interval: Duration,
    /// How much is told on standard error.
    pub log: LogLevel,
    /// Whether `/proc/sys` is made writable where an engine mounted it read-only.
    pub remount_proc_sys: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            metrics: None,
            interval: Duration::from_secs(30),
            log: LogLevel::default(),
            remount_proc_sys: false,
        }
    }
}

/// A running agent, in the network namespace of the thread that started it.
pub struct Agent {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    runtime: Runtime,
    docker: Option<Docker>,
    lock: Lock,
}

/// Runs the agent of the node whose files are below `root` until `SIGTERM` or `SIGINT`.
/// `SIGHUP` has it reconcile. What it has set up stays.
///
/// # Errors
/// [`AgentError`] when it cannot start.
pub fn run(root: &Root, options: &Options) -> Result<(), AgentError> {
    log::begin(&options.log);
    if options.remount_proc_sys {
        sysctl::make_writable()?;
    }
    let agent = Agent::start(root, options)?;
    let waited = agent.runtime.block_on(signals(&agent.shared));
    tell_manager(&[NotifyState::Stopping]);
    agent.stop();
    waited.map_err(|source| AgentError::Start {
        what: "the signal handlers",
        source,
    })
}

/// Waits for the signal to end.
async fn signals(shared: &Shared) -> std::io::Result<()> {
    let mut end: Signal = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = reload.recv() => {
                info!("asked to reconcile by SIGHUP");
                shared.want(Cause::Asked);
            }
        }
    }
}

impl Agent {
    /// Starts the agent. It tells by `tracing`, to whom the caller has set up.
    ///
    /// # Errors
    /// [`AgentError`]; nothing of it runs then.
    pub fn start(root: &Root, options: &Options) -> Result<Self, AgentError> {
        let lock = lock::take(root)?;
        let metrics_socket = options.metrics.map(bind_metrics).transpose()?;
        let metrics = Arc::new(Metrics::new());
        let requests = Requests::default();
        let (links, deleter) = links(requests.clone(), Arc::clone(&metrics));
        let host = Arc::new(Host::of_agent(root.clone(), Box::new(links)));
        let (messages, heard) = channel();
        let (zones, news) = channel();
        let shared = Arc::new(Shared::new(Parts {
            root: root.clone(),
            namespace: here()?,
            node: first_node(root, &host)?,
            host,
            metrics,
            requests,
            messages,
            zones,
        }));
        // Nobody is asked yet; what fails here is told when it is tried again.
        if let Ok(cluster) = cluster::open(&shared) {
            shared.set_cluster(cluster);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(WORKERS)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(starting("the control API"))?;
        let control_socket = serve::bind(&fairlead_control::socket(root))?;
        let mut agent = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
            runtime,
            docker: None,
            lock,
        };
        let reconciler = Reconciler::new(Arc::clone(&shared), heard, options.interval);
        // Docker's socket is there when the agent says that it is ready.
        if let Err(error) = agent
            .begin_docker()
            .and_then(|()| agent.begin(control_socket, metrics_socket, deleter, reconciler))
            .and_then(|()| agent.begin_services(news))
        {
            agent.stop();
            return Err(error);
        }
        info!(
            "agent {} of node {}",
            env!("CARGO_PKG_VERSION"),
            shared.name
        );
        Ok(agent)
    }

    fn begin(
        &mut self,
        control: std::os::unix::net::UnixListener,
        metrics: Option<std::net::TcpListener>,
        deleter: Deleter,
        reconciler: Reconciler,
    ) -> Result<(), AgentError> {
        let _inside = self.runtime.enter();
        let control =
            tokio::net::UnixListener::from_std(control).map_err(starting("the control API"))?;
        let router = api::router(Arc::clone(&self.shared));
        self.runtime
            .spawn(serve::answer(control, router, serve::LIMIT));
        if let Some(listener) = metrics {
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(starting("the metrics"))?;
            let router = api::metrics_router(Arc::clone(&self.shared));
            self.runtime
                .spawn(serve::answer(listener, router, serve::LIMIT));
        }
        // The deleter is not waited for at the end: it ends with its last caller.
        drop(thread("links", move || deleter.run())?);
        self.threads
            .push(thread("reconcile", move || reconciler.run())?);
        for (name, watch) in [
            ("files", watch::files as fn(&Shared)),
            ("kernel", watch::kernel),
            ("cluster", cluster::take_part),
        ] {
            let shared = Arc::clone(&self.shared);
            self.threads.push(thread(name, move || watch(&shared))?);
        }
        Ok(())
    }

    /// The cluster's names, and the services of this node.
    fn begin_services(&mut self, news: Receiver<News>) -> Result<(), AgentError> {
        let node = self.shared.node();
        let server = zones::start(node.config()).map_err(|e| AgentError::Names {
            reason: e.to_string(),
        })?;
        self.shared.metrics.set_names(server.clone());
        let shared = Arc::clone(&self.shared);
        let run = move || zones::run(&shared, server, &news);
        self.threads.push(thread("names", run)?);
        let shared = Arc::clone(&self.shared);
        let run = move || services::run(&shared);
        self.threads.push(thread("services", run)?);
        Ok(())
    }

    /// Docker's door, and the thread that follows the engine.
    fn begin_docker(&mut self) -> Result<(), AgentError> {
        let docker = Docker::open(&self.shared, &self.runtime);
        let follower = docker.follower(&self.shared);
        self.docker = Some(docker);
        self.threads.push(thread("docker", follower)?);
        Ok(())
    }

    /// Ends the agent within two seconds, and leaves everything in place.
    pub fn stop(self) {
        let end = Instant::now() + END;
        self.shared.stop.ask();
        self.shared.tell(Message::Stop);
        self.shared.tell_zones(News::Stop);
        if let Some(docker) = &self.docker {
            docker.close();
        }
        // From now on callers find no agent, and do things themselves.
        let socket = fairlead_control::socket(&self.shared.root);
        if let Err(error) = std::fs::remove_file(&socket) {
            warn!("remove {}: {error}", socket.display());
        }
        while self.threads.iter().any(|t| !t.is_finished()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = end.saturating_duration_since(Instant::now());
        self.runtime.shutdown_timeout(left);
        info!("ended");
        // The next agent may start only now.
        drop(self.lock);
    }
}

/// The node at the start: with its configuration, or without one while that cannot be
/// read.
fn first_node(root: &Root, host: &Arc<Host>) -> Result<Node, AgentError> {
    let name = fairlead_config::nodename();
    let read = Config::load(root, &name).and_then(|config| {
        // Both parts must be usable.
        config.cni_plugins().and_then(|_| config.cni_timeout())?;
        Ok(config)
    });
    let config = read.unwrap_or_else(|_| {
        let empty = fairlead_config::Document::default;
        Config::from_documents(root, &name, empty(), empty())
    });
    Ok(Node::on(Arc::clone(host), config)?)
}

fn here() -> Result<Namespace, AgentError> {
    let id = NetNs::current()?.id()?;
    Ok(Namespace {
        dev: id.dev,
        ino: id.ino,
    })
}

fn thread(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, AgentError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(starting(name))
}

fn starting(what: &'static str) -> impl FnOnce(std::io::Error) -> AgentError {
    move |source| AgentError::Start { what, source }
}

/// Binds the address that metrics are served on.
fn bind_metrics(address: SocketAddr) -> Result<std::net::TcpListener, AgentError> {
    let failed = |source| AgentError::Metrics { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}
