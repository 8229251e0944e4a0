//! The controller: a client of its REST interface. It finds what networks are made of, makes
//! containers (which is how an address is got), and gives their ports policy groups.
//!
//! A [`Vsd`] logs in by itself, renews its login, and repeats what failed for want of a VSD where
//! that is safe. Every call ends within [`VsdSettings::limit`]. Nothing here is kept on disk.

mod answer;
mod call;
mod container;
mod error;
mod filter;
mod find;
mod ids;
mod list;
mod make;
mod request;
mod resource;
mod session;
mod settings;
mod state;
mod subnet;
mod tls;

pub use error::{At, Code, Kind, Transport, VsdError};
pub use filter::FilterError;
pub use ids::{
    ContainerId, DomainId, EnterpriseId, IdError, InterfaceId, PolicyGroupId, ReservationId,
    SubnetId, VportId, ZoneId,
};
pub use resource::{
    Container, Domain, Enterprise, Incomplete, Interface, Me, NewContainer, NewInterface,
    PolicyGroup, Rename, Reservation, Subnet, Zone,
};
pub use settings::{ApiVersion, ApiVersionError, Retries, Secret, UrlError, VsdSettings, VsdUrl};

use call::Call;
use reqwest::header::HeaderValue;
use state::Shared;
use std::sync::Arc;

/// A client of a VSD. Copies of it share its session, its connections and its settings.
#[derive(Clone)]
pub struct Vsd {
    shared: Arc<Shared>,
    proxy_user: Option<HeaderValue>,
}

impl std::fmt::Debug for Vsd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vsd")
            .field(&self.shared.current().settings.url)
            .finish()
    }
}

impl Vsd {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// [`VsdError::Setting`]: a setting that cannot be, or a file of certificates that cannot be read.
    pub fn new(settings: VsdSettings) -> Result<Self, VsdError> {
        Ok(Self {
            shared: Arc::new(Shared::new(settings)?),
            proxy_user: None,
        })
    }

    /// Other settings from now on, for all copies. What is on its way goes on; if it has to be
    /// repeated, then by the new ones. A login that is good for them is kept.
    ///
    /// # Errors
    /// As of [`Self::new`]; the settings are as before then.
    pub fn change(&self, settings: VsdSettings) -> Result<(), VsdError> {
        self.shared.change(settings)
    }

    /// The same client, whose calls are for `user` of `enterprise` if
    /// [`VsdSettings::proxy_user`] says so.
    ///
    /// # Errors
    /// [`VsdError::Setting`]: a name that cannot be sent.
    pub fn as_user(&self, user: &str, enterprise: &str) -> Result<Self, VsdError> {
        let header = HeaderValue::from_bytes(format!("{user}@{enterprise}").as_bytes());
        let header = header.map_err(|error| VsdError::Setting {
            key: "proxyuser",
            reason: error.to_string(),
        })?;
        Ok(Self {
            shared: Arc::clone(&self.shared),
            proxy_user: Some(header),
        })
    }

    /// Logs in, unless that is done already: who we are.
    ///
    /// # Errors
    /// [`VsdError::Login`]: the password is wrong; that is not tried again.
    pub async fn login(&self) -> Result<Me, VsdError> {
        let call = Call::new(self, "log in", "");
        let mut pace = call.pace();
        loop {
            let state = self.shared.current();
            match call.key(&state, None).await {
                Ok(key) => return Ok(key.me.clone()),
                Err(failure) => {
                    let may = failure.again != call::Again::Never;
                    if !may || !pace.again(&failure).await {
                        return Err(failure.error);
                    }
                }
            }
        }
    }
}
