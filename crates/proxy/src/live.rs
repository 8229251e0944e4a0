//! What every connection works by; replaced as a whole when settings are read anew.

use crate::engine::{Engine, EngineError};
use crate::places::{Attached, Places, PlacesError};
use crate::route::ApiVersion;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// What every connection works by.
pub(crate) struct Live {
    pub(crate) engine: Engine,
    /// The size of the buffer of one direction, in bytes.
    pub(crate) buffer: usize,
    /// Whether new containers are put on CNI networks.
    pub(crate) cni: bool,
    /// The names that are Docker's all the same.
    pub(crate) exclude: BTreeSet<String>,
    /// The runtime of such containers.
    pub(crate) runtime: String,
    /// Who knows of CNI networks; none where there is nothing of them.
    pub(crate) places: Option<Arc<dyn Places>>,
    /// What dockerd's newest API is, once it was asked.
    pub(crate) version: Mutex<Option<ApiVersion>>,
}

impl Live {
    /// Does something with the disk.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Places) -> Result<T, PlacesError> + Send + 'static,
    ) -> Result<Option<T>, PlacesError> {
        let Some(places) = self.places.clone() else {
            return Ok(None);
        };
        let done = tokio::task::spawn_blocking(move || work(&*places)).await;
        done?.map(Some)
    }

    /// The names of CNI networks that a container may be put on.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) async fn networks(&self) -> Result<BTreeSet<String>, PlacesError> {
        let networks = self.with(|places| places.networks()).await?;
        let mut networks = networks.unwrap_or_default();
        networks.retain(|name| !self.exclude.contains(name));
        Ok(networks)
    }

    /// What containers have on CNI networks; nothing where that cannot be read.
    pub(crate) async fn attached(&self) -> BTreeMap<String, Vec<Attached>> {
        let attached = self.with(|places| places.attached()).await;
        let attached = attached.inspect_err(|error| warn!("containers on CNI networks: {error}"));
        attached.ok().flatten().unwrap_or_default()
    }

    /// Takes away what a removed container had. What fails is tried again later.
    pub(crate) async fn removed(&self, id: &str) {
        let owned = id.to_owned();
        let removed = self.with(move |places| places.removed(&owned)).await;
        if let Err(error) = removed {
            warn!("container {id} is removed, but not what it had on CNI networks: {error}");
        }
    }

    /// Takes away what containers have that are not there; a line for each thing.
    ///
    /// # Errors
    /// Something of it is left.
    pub(crate) async fn reconcile(&self) -> Result<Vec<String>, PlacesError> {
        let gone = self.with(|places| places.reconcile()).await?;
        Ok(gone.unwrap_or_default())
    }

    /// The version of the API of a request whose path has this one.
    ///
    /// # Errors
    /// Dockerd does not say which one a path without a version means.
    pub(crate) async fn version(
        &self,
        named: Option<ApiVersion>,
    ) -> Result<ApiVersion, EngineError> {
        if let Some(version) = named.or_else(|| *self.known_version()) {
            return Ok(version);
        }
        let version = self.engine.api_version().await?;
        *self.known_version() = Some(version);
        Ok(version)
    }

    /// Dockerd was away: it may be another one now.
    pub(crate) fn forget_version(&self) {
        *self.known_version() = None;
    }

    fn known_version(&self) -> MutexGuard<'_, Option<ApiVersion>> {
        let version = self.version.lock();
        version.unwrap_or_else(PoisonError::into_inner)
    }
}
