//! Docker's door in the agent: its socket, and the thread that follows the engine.

use crate::reconcile::Message;
use crate::shared::Shared;
use fairlead_attach::Node;
use fairlead_cluster::Cluster;
use fairlead_docker::{Door, Ground};
use fairlead_serve as serve;
use fairlead_types::NetworkName;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// The agent as the door sees it.
struct OnAgent(Arc<Shared>);

impl Ground for OnAgent {
    fn node(&self) -> Arc<Node> {
        self.0.node()
    }

    fn cluster(&self) -> Option<Arc<Cluster>> {
        self.0.cluster()
    }

    fn set_up(&self, network: &NetworkName) -> Result<(), String> {
        let (to, from) = oneshot::channel();
        self.0.tell(Message::Report(to));
        let done = from
            .blocking_recv()
            .map_err(|_| "the agent is ending".to_owned())?;
        let mut problems = done.problems.into_iter();
        let of_network =
            problems.find(|p| !p.warning && p.network.as_deref() == Some(network.as_str()));
        of_network.map_or(Ok(()), |problem| Err(problem.text))
    }

    fn called(&self, method: &'static str, took: Duration, served: bool) {
        self.0.metrics.docker_called(method, took, served);
    }
}

/// The door, open.
pub(crate) struct Docker {
    pub(crate) door: Arc<Door>,
    socket: Option<PathBuf>,
}

impl Docker {
    /// Opens the door on `runtime`. Where its socket cannot be had, that is told, and
    /// everything else goes on.
    pub(crate) fn open(shared: &Arc<Shared>, runtime: &Runtime) -> Self {
        let door = Arc::new(Door::new(Arc::new(OnAgent(Arc::clone(shared)))));
        shared.set_docker(Arc::clone(&door));
        let socket = match listen(shared, runtime, &door) {
            Ok(socket) => {
                info!(
                    "Docker finds the driver of networks at {}",
                    socket.display()
                );
                Some(socket)
            }
            Err(reason) => {
                warn!("Docker's driver of networks: {reason}");
                None
            }
        };
        Self { door, socket }
    }

    /// What the thread does that follows the engine, until the agent ends.
    pub(crate) fn follower(&self, shared: &Arc<Shared>) -> impl FnOnce() + Send + use<> {
        let (door, shared) = (Arc::clone(&self.door), Arc::clone(shared));
        move || fairlead_docker::follow(&door, &|time| shared.stop.wait(time))
    }

    /// Docker finds nobody any more.
    pub(crate) fn close(&self) {
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

fn listen(shared: &Arc<Shared>, runtime: &Runtime, door: &Arc<Door>) -> Result<PathBuf, String> {
    let settings = shared.node().config().docker();
    let path = settings.map_err(|error| error.to_string())?.plugin;
    let socket = serve::bind(&path).map_err(|error| error.to_string())?;
    let _inside = runtime.enter();
    let socket = tokio::net::UnixListener::from_std(socket).map_err(|error| error.to_string())?;
    let router = fairlead_libnetwork::router(Arc::clone(door));
    runtime.spawn(serve::answer(socket, router, serve::NO_LIMIT));
    Ok(path)
}
