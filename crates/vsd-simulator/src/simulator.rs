//! A running simulator: its start, its handle, its end.

use crate::cert::{self, Protection};
use crate::control;
use crate::faults::{Fault, FaultError};
use crate::kind::Kind;
use crate::login::{Logins, Root};
use crate::rules::Strictness;
use crate::seed::{SeedError, plant};
use crate::serve::{self, Order, Shared};
use crate::store::Author;
use crate::world::World;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::MutexGuard;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where clients come to; port 0 is any free one.
    pub listen: SocketAddr,
    /// How they are met.
    pub protection: Protection,
    /// More names for a certificate of its own.
    pub names: Vec<String>,
    /// The control socket's path, if there shall be one.
    pub control: Option<PathBuf>,
    /// What is there from the start, as a tree of names:
    ///
    /// ```json
    /// {"Enterprise": {
    ///     "users": [{"userName": "ann", "password": "secret"}],
    ///     "Domain": {
    ///         "policygroups": ["web", "db"],
    ///         "Zone": {
    ///             "Subnet 2": {"address": "10.21.59.0", "netmask": "255.255.255.0",
    ///                          "gateway": "10.21.59.1"}}}}}
    /// ```
    ///
    /// `users` and `policygroups` have that meaning only where they are lists; as objects
    /// they are a domain and a zone of that name. A gateway that is not given is the first
    /// address.
    pub seed: Option<Value>,
    /// How long an API key lives.
    pub key_life: Duration,
    /// The first user's name.
    pub user: String,
    /// The first user's password.
    pub password: String,
    /// The enterprise that the first user is in; it is in no list.
    pub organization: String,
    /// Rules that not every VSD has.
    pub strictness: Strictness,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            protection: Protection::Own,
            names: Vec::new(),
            control: None,
            seed: None,
            key_life: Duration::from_secs(24 * 60 * 60),
            user: "csproot".to_owned(),
            password: "csproot".to_owned(),
            organization: "csp".to_owned(),
            strictness: Strictness::default(),
        }
    }
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Something cannot be listened at.
    #[error("cannot listen at {place}: {source}")]
    Listen {
        /// The address or the path.
        place: String,
        /// The system's words.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A file is not JSON.
    #[error("{} is not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: serde_json::Error,
    },
    /// There is no certificate.
    #[error("{what} cannot be used: {reason}")]
    Certificate {
        /// The file, or that it is none.
        what: String,
        /// Why.
        reason: String,
    },
    /// The seed cannot be planted.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The runtime cannot be had.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

/// A running simulator. It ends with this value, at once.
#[derive(Debug)]
pub struct Simulator {
    handle: Handle,
    url: String,
    ca: Option<String>,
    socket: Option<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Starts it: when this returns, clients are listened to.
    ///
    /// # Errors
    /// [`SimulatorError`].
    pub async fn start(options: Options) -> Result<Self, SimulatorError> {
        let failed = |place: String| move |source| SimulatorError::Listen { place, source };
        let listener = serve::open(options.listen);
        let listener = listener.map_err(failed(options.listen.to_string()))?;
        let address = listener.local_addr();
        let address = address.map_err(failed(options.listen.to_string()))?;
        let tls = cert::prepare(&options.protection, names(&options, address.ip()))?;
        let scheme = if tls.acceptor.is_some() {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://{}", reached_at(address));
        let logins = Logins::new(root(&options), options.key_life);
        let shared = Shared::new(World::new(logins, options.strictness));
        let (orders, received) = mpsc::channel(16);
        let handle = Handle { shared, orders };
        if let Some(tree) = &options.seed {
            handle.seed(tree)?;
        }
        let shared = handle.shared.clone();
        let serving = serve::attend(listener, address, tls.acceptor, shared, received);
        let mut tasks = vec![tokio::spawn(serving)];
        if let Some(path) = &options.control {
            // One of an earlier run leads nowhere.
            let _ = std::fs::remove_file(path);
            let listener = UnixListener::bind(path);
            let listener = listener.map_err(failed(path.display().to_string()))?;
            tasks.push(tokio::spawn(control::attend(listener, handle.clone())));
        }
        Ok(Self {
            handle,
            url,
            ca: tls.ca,
            socket: options.control,
            tasks,
        })
    }

    /// Where it is, without `/nuage/api`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that clients must trust, in PEM, where it made one.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// All objects of a kind as clients see them, oldest first; vports have
    /// `policyGroupIDs` as well.
    #[must_use]
    pub fn state(&self, kind: Kind) -> Vec<Value> {
        self.handle.world().state(kind)
    }

    /// The requests so far, oldest first, without secrets.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.handle.world().requests()
    }

    /// Plants a tree of objects.
    ///
    /// # Errors
    /// [`SeedError`].
    pub fn seed(&self, tree: &Value) -> Result<(), SeedError> {
        self.handle.seed(tree)
    }

    /// Lets something go wrong from now on.
    ///
    /// # Errors
    /// [`FaultError`] when its path is no regular expression.
    pub fn fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.handle.world().faults.add(fault)
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.handle.world().faults.clear();
    }

    /// How many faults are still to come, one without an end counting as one.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.handle.world().faults.left().len()
    }

    /// Ends all API keys.
    pub fn expire_keys(&self) {
        self.handle.world().logins.expire();
    }

    /// Changes the rules that not every VSD has.
    pub fn set_strictness(&self, strictness: Strictness) {
        self.handle.world().strict = strictness;
    }

    /// Closes the listener and all connections, or opens the same port again; it is so
    /// when this returns.
    pub async fn set_down(&self, down: bool) {
        self.handle.set_down(down).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What the program and the control socket work with.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    shared: Shared,
    orders: mpsc::Sender<Order>,
}

impl Handle {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }

    pub(crate) fn seed(&self, tree: &Value) -> Result<(), SeedError> {
        let mut world = self.world();
        let author = world.logins.author().clone();
        plant(&mut world.store, &author, tree)
    }

    pub(crate) async fn set_down(&self, down: bool) {
        if down {
            self.world().downs += 1;
        }
        let (done, told) = oneshot::channel();
        if self.orders.send(Order { down, done }).await.is_ok() {
            // No answer means that it has ended, and is as down as can be.
            let _ = told.await;
        }
    }
}

fn root(options: &Options) -> Root {
    let id = || uuid::Uuid::new_v4().to_string();
    Root {
        author: Author {
            id: id(),
            name: options.user.clone(),
        },
        password: options.password.clone(),
        organization: options.organization.clone(),
        organization_id: id(),
    }
}

/// What a certificate of its own is for.
fn names(options: &Options, address: IpAddr) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names: Vec<String> = own.into_iter().chain(options.names.clone()).collect();
    let address = address.to_string();
    if !names.contains(&address) {
        names.push(address);
    }
    names
}

/// Who listens at all addresses is reached at that of this machine.
fn reached_at(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        false => address,
    }
}
