//! The door as a whole: what it stands on, and which call is answered by what.

use crate::DoorError;
use crate::engine::Problems;
use crate::view::View;
use axum::body::Bytes;
use fairlead_attach::Node;
use fairlead_cluster::Cluster;
use fairlead_libnetwork::{Driver, Refusal, answer, calls, read};
use fairlead_types::NetworkName;
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the door stands on: the agent.
pub trait Ground: Send + Sync {
    /// The node with the newest configuration.
    fn node(&self) -> Arc<Node>;

    /// The cluster, once it could be opened.
    fn cluster(&self) -> Option<Arc<Cluster>>;

    /// Makes the networks as they are declared now, and waits until that is done.
    ///
    /// # Errors
    /// What is wrong with that network now, in words.
    fn set_up(&self, network: &NetworkName) -> Result<(), String>;

    /// Hears of each call: which, how long it took, and whether it was served.
    fn called(&self, method: &'static str, took: Duration, served: bool);
}

/// The driver of networks and of addresses.
pub struct Door {
    pub(crate) ground: Arc<dyn Ground>,
    /// What the engine's events tell.
    pub(crate) view: View,
    /// Subnets that nobody named, of networks which are not made yet, and since when.
    reserved: Mutex<BTreeMap<IpNet, Instant>>,
    /// Subnets of declared networks that the driver of addresses was told, which the driver of
    /// networks is not.
    named: Mutex<BTreeMap<IpNet, (NetworkName, Instant)>>,
    /// Networks are made and taken away one at a time.
    making: Mutex<()>,
    /// What could not be done for an engine.
    pub(crate) problems: Problems,
}

impl Door {
    /// A door on that ground.
    #[must_use]
    pub fn new(ground: Arc<dyn Ground>) -> Self {
        Self {
            ground,
            view: View::default(),
            reserved: Mutex::default(),
            named: Mutex::default(),
            making: Mutex::default(),
            problems: Problems::default(),
        }
    }

    /// The cluster, if it is one of several nodes.
    pub(crate) fn joined(&self) -> Option<Arc<Cluster>> {
        let cluster = self.ground.cluster();
        cluster.filter(|cluster| cluster.is_joined())
    }

    pub(crate) fn reserved(&self) -> MutexGuard<'_, BTreeMap<IpNet, Instant>> {
        locked(&self.reserved)
    }

    pub(crate) fn named(&self) -> MutexGuard<'_, BTreeMap<IpNet, (NetworkName, Instant)>> {
        locked(&self.named)
    }

    pub(crate) fn making(&self) -> MutexGuard<'_, ()> {
        locked(&self.making)
    }

    /// Serves one call, as `NetworkDriver.Join`.
    ///
    /// # Errors
    /// [`DoorError::Call`] for what is no call; else why it could not be served.
    pub fn served(&self, method: &str, body: &[u8]) -> Result<Value, DoorError> {
        let method = calls::known(method)?;
        let begun = Instant::now();
        let answer = self.serve(method, body);
        self.ground.called(method, begun.elapsed(), answer.is_ok());
        answer
    }

    fn serve(&self, method: &'static str, body: &[u8]) -> Result<Value, DoorError> {
        let done = |(): ()| json!({});
        match method {
            "Plugin.Activate" => Ok(json!({"Implements": ["NetworkDriver", "IpamDriver"]})),
            "NetworkDriver.GetCapabilities" => self.capabilities(),
            "NetworkDriver.CreateNetwork" => self.create_network(read(method, body)?).map(done),
            "NetworkDriver.DeleteNetwork" => self.delete_network(&read(method, body)?).map(done),
            "NetworkDriver.CreateEndpoint" => {
                Ok(answer(self.create_endpoint(&read(method, body)?)?)?)
            }
            "NetworkDriver.DeleteEndpoint" => self.delete_endpoint(&read(method, body)?).map(done),
            "NetworkDriver.EndpointOperInfo" => self.endpoint_info(&read(method, body)?),
            "NetworkDriver.Join" => Ok(answer(self.join(&read(method, body)?)?)?),
            "NetworkDriver.ProgramExternalConnectivity" => {
                self.publish(&read(method, body)?).map(done)
            }
            "NetworkDriver.RevokeExternalConnectivity" => {
                self.unpublish(&read(method, body)?).map(done)
            }
            "IpamDriver.GetCapabilities" => {
                Ok(json!({"RequiresMACAddress": false, "RequiresRequestReplay": false}))
            }
            "IpamDriver.GetDefaultAddressSpaces" => Ok(json!({
                "LocalDefaultAddressSpace": crate::LOCAL_SPACE,
                "GlobalDefaultAddressSpace": crate::GLOBAL_SPACE,
            })),
            "IpamDriver.RequestPool" => self.request_pool(&read(method, body)?),
            "IpamDriver.ReleasePool" => self.release_pool(&read(method, body)?).map(done),
            "IpamDriver.RequestAddress" => self.request_address(&read(method, body)?),
            "IpamDriver.ReleaseAddress" => self.release_address(&read(method, body)?).map(done),
            "NetworkDriver.AllocateNetwork" => Ok(json!({"Options": {}})),
            "NetworkDriver.GwAllocCheck" => Ok(json!({"SkipIPv4": false, "SkipIPv6": false})),
            // Leave: the cable goes when Docker has put its end back. The others tell of
            // things that are known here by other ways.
            _ => Ok(json!({})),
        }
    }
}

impl Driver for Door {
    /// Work that waits for the kernel or the disk has a thread of its own.
    async fn call(self: Arc<Self>, method: String, body: Bytes) -> Result<Value, Refusal> {
        let done = tokio::task::spawn_blocking(move || self.served(&method, &body));
        let answer = done.await.map_err(|_| Refusal::fault())?;
        answer.map_err(|error| Refusal::from(&error))
    }
}

/// A panic of another thread left a whole value.
fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
