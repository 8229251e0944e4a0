//! The drivers as a whole: what they stand on, and which call is answered by what.

use crate::error::DoorError;
use crate::pool::Pool;
use crate::records::Records;
use crate::settings::{Scope, Settings};
use crate::switch::Switch;
use crate::turns::Turns;
use axum::body::Bytes;
use fairlead_libnetwork::engine::Talk;
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::protocol::{OfEndpoint, PORT_MAP};
use fairlead_libnetwork::{Driver, Refusal, answer, calls, read};
use fairlead_store::now;
use fairlead_vsp::vsd::Vsd;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

/// How long giving something back may keep Docker waiting.
const GIVING_BACK: Duration = Duration::from_secs(5);
/// The same while the switch is away, so that a host whose switch comes late starts all the same.
const AWAY: Duration = Duration::from_millis(500);

/// The drivers of networks and of addresses.
pub(crate) struct Door {
    pub(crate) records: Records,
    /// The controller; none where the switch asks its own.
    pub(crate) vsd: Option<Vsd>,
    /// The switch of this host.
    pub(crate) switch: Switch,
    /// Docker's engine. No call waits for it longer than a moment: while Docker starts its
    /// containers it answers nobody.
    pub(crate) engine: Talk,
    /// When this program began, in seconds since 1970.
    pub(crate) began: u64,
    /// One works on a lease at a time.
    pub(crate) turns: Turns,
    /// Told when there is something to do that no call waits for.
    pub(crate) wake: Notify,
    settings: RwLock<Arc<Settings>>,
    /// Calls of Docker's that are under way.
    calls: watch::Sender<usize>,
    /// Pools that were given for networks which are not made yet, and since when.
    pending: Mutex<BTreeMap<String, (Pool, Instant)>>,
}

/// What the drivers stand on.
pub(crate) struct Ground {
    pub(crate) records: Records,
    pub(crate) vsd: Option<Vsd>,
    pub(crate) engine: Talk,
    pub(crate) settings: Settings,
}

impl Door {
    pub(crate) fn new(ground: Ground) -> Self {
        Self {
            records: ground.records,
            vsd: ground.vsd,
            switch: Switch::new(&ground.settings),
            engine: ground.engine,
            began: now(),
            turns: Turns::default(),
            wake: Notify::new(),
            calls: watch::Sender::new(0),
            settings: RwLock::new(Arc::new(ground.settings)),
            pending: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        let mut own = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *own = Arc::new(settings);
    }

    /// The controller.
    ///
    /// # Errors
    /// [`DoorError::NoController`].
    pub(crate) fn vsd(&self) -> Result<&Vsd, DoorError> {
        self.vsd.as_ref().ok_or(DoorError::NoController)
    }

    /// A panic of another thread left a whole map.
    pub(crate) fn pending(&self) -> MutexGuard<'_, BTreeMap<String, (Pool, Instant)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has something done, and waits a moment for it. It goes on by itself where that is too
    /// short: Docker can do nothing about it, and waits for its answer.
    pub(crate) async fn within(
        &self,
        what: &str,
        work: impl Future<Output = Result<(), DoorError>> + Send + 'static,
    ) {
        let limit = match self.switch.is_away() {
            true => AWAY,
            false => GIVING_BACK,
        };
        match tokio::time::timeout(limit, tokio::spawn(work)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!("{what}: {error}; it is tried again"),
            Ok(Err(_)) => warn!("{what}: it ended in a fault; it is tried again"),
            Err(_) => debug!("{what}: under way"),
        }
        self.wake.notify_one();
    }

    /// Waits until no call is under way.
    pub(crate) async fn is_idle(&self) {
        let mut calls = self.calls.subscribe();
        // The sender is ours: it is there as long as this is.
        let _ = calls.wait_for(|calls| *calls == 0).await;
    }

    async fn served(
        self: &Arc<Self>,
        method: &'static str,
        body: &[u8],
    ) -> Result<Value, DoorError> {
        let done = |(): ()| json!({});
        match method {
            "NetworkDriver.GetCapabilities" => Ok(self.capabilities()),
            "NetworkDriver.CreateNetwork" => {
                self.create_network(read(method, body)?).await.map(done)
            }
            "NetworkDriver.DeleteNetwork" => {
                let call: fairlead_libnetwork::protocol::OfNetwork = read(method, body)?;
                self.records.remove_network(&call.network_id)?;
                Ok(json!({}))
            }
            "NetworkDriver.CreateEndpoint" => {
                let created = self.create_endpoint(&read(method, body)?).await?;
                Ok(answer(created)?)
            }
            "NetworkDriver.DeleteEndpoint" => {
                self.delete_endpoint(&read(method, body)?).await.map(done)
            }
            "NetworkDriver.EndpointOperInfo" => Ok(json!({"Value": {}})),
            "NetworkDriver.Join" => {
                let joined = self.join(&read(method, body)?).await?;
                Ok(answer(joined)?)
            }
            "IpamDriver.GetCapabilities" => {
                Ok(json!({"RequiresMACAddress": false, "RequiresRequestReplay": false}))
            }
            "IpamDriver.GetDefaultAddressSpaces" => Ok(json!({
                "LocalDefaultAddressSpace": crate::LOCAL_SPACE,
                "GlobalDefaultAddressSpace": crate::GLOBAL_SPACE,
            })),
            "IpamDriver.RequestPool" => self.request_pool(&read(method, body)?).await,
            "IpamDriver.ReleasePool" => {
                let call: fairlead_libnetwork::protocol::ReleasePool = read(method, body)?;
                self.pending().remove(&call.pool_id);
                Ok(json!({}))
            }
            "IpamDriver.RequestAddress" => self.request_address(&read(method, body)?).await,
            "IpamDriver.ReleaseAddress" => {
                self.release_address(&read(method, body)?).await.map(done)
            }
            "NetworkDriver.ProgramExternalConnectivity" => {
                let call: OfEndpoint = read(method, body)?;
                warn_of_ports(&call);
                Ok(json!({}))
            }
            "NetworkDriver.AllocateNetwork" => Ok(json!({"Options": {}})),
            "NetworkDriver.GwAllocCheck" => Ok(json!({"SkipIPv4": false, "SkipIPv6": false})),
            // Leave: the cable goes when Docker has put its end back. Ports of the host are
            // not published here. The others tell of things that are known by other ways.
            _ => Ok(json!({})),
        }
    }

    fn capabilities(&self) -> Value {
        let scope = match self.settings().scope {
            Scope::Local => "local",
            Scope::Global => "global",
        };
        json!({"Scope": scope, "ConnectivityScope": "", "GwAllocChecker": false})
    }
}

/// Ports of the host lead nowhere here; who published some should know.
fn warn_of_ports(call: &OfEndpoint) {
    let ports = call.options.get(PORT_MAP).and_then(Value::as_array);
    if ports.is_some_and(|ports| !ports.is_empty()) {
        warn!(
            "endpoint {}: ports are not published on networks of VSP, where containers are reached by their addresses",
            short(&call.endpoint_id)
        );
    }
}

/// What is found at one of the sockets.
pub(crate) struct Face {
    pub(crate) door: Arc<Door>,
    /// The drivers that Docker is told to find there.
    pub(crate) drivers: &'static [&'static str],
}

impl Driver for Face {
    async fn call(self: Arc<Self>, method: String, body: Bytes) -> Result<Value, Refusal> {
        let method = calls::known(&method).map_err(|error| Refusal::from(&error))?;
        if method == "Plugin.Activate" {
            info!("Docker has found {}", self.drivers.join(" and "));
            return Ok(json!({"Implements": self.drivers}));
        }
        debug!("{method} {}", String::from_utf8_lossy(&body).trim_end());
        let begun = Instant::now();
        let answer = {
            let _call = Call::begin(&self.door.calls);
            self.door.served(method, &body).await
        };
        let took = begun.elapsed().as_millis();
        match &answer {
            Ok(answer) => debug!("{method}: {answer} ({took} ms)"),
            Err(error) => debug!("{method}: refused: {error} ({took} ms)"),
        }
        answer.map_err(|error| Refusal::from(&error))
    }
}

/// A call that is under way.
struct Call<'a>(&'a watch::Sender<usize>);

impl<'a> Call<'a> {
    fn begin(calls: &'a watch::Sender<usize>) -> Self {
        calls.send_modify(|calls| *calls += 1);
        Self(calls)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}
