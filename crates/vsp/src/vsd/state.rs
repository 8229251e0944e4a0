//! What a client is at one moment: its settings, its connections, its session. A change of the
//! settings makes another; requests on their way keep the old one until their answer is there.

use super::error::VsdError;
use super::session::Session;
use super::settings::VsdSettings;
use super::tls;
use reqwest::header::HeaderValue;
use reqwest::{Client, redirect, retry};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// As good as for ever.
pub(super) const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

/// A connection that rests for longer is not used any more: what is in between may have forgotten it.
const IDLE: Duration = Duration::from_secs(15);

/// To connect, TLS included, as the original plugin waits.
const CONNECT: Duration = Duration::from_secs(10);

/// A client at one moment.
pub(super) struct State {
    pub(super) settings: VsdSettings,
    pub(super) root: String,
    pub(super) http: Client,
    pub(super) organization: HeaderValue,
    pub(super) session: Arc<Session>,
}

impl State {
    /// What follows from settings. From `old` is kept what is still right.
    fn new(settings: VsdSettings, old: Option<&Self>) -> Result<Self, VsdError> {
        settings.check()?;
        let http = match old {
            Some(old) if settings.same_connections(&old.settings) => old.http.clone(),
            _ => client(&settings)?,
        };
        let session = match old {
            Some(old) if settings.same_session(&old.settings) => Arc::clone(&old.session),
            _ => Arc::default(),
        };
        let organization = HeaderValue::from_bytes(settings.organization.as_bytes());
        let organization = organization.map_err(|error| VsdError::Setting {
            key: "organization",
            reason: error.to_string(),
        })?;
        let root = settings.root();
        Ok(Self {
            settings,
            root,
            http,
            organization,
            session,
        })
    }
}

fn client(settings: &VsdSettings) -> Result<Client, VsdError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls::config(settings)?)
        // Wherever a redirection points to, the password is not for there.
        .redirect(redirect::Policy::none())
        // Whether a request is made again is decided by the call.
        .retry(retry::never())
        .connect_timeout(CONNECT.min(settings.timeout))
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("fairlead/", env!("CARGO_PKG_VERSION")));
    let builder = if settings.environment_proxy {
        builder
    } else {
        builder.no_proxy()
    };
    builder.build().map_err(|error| VsdError::Setting {
        key: "url",
        reason: error.to_string(),
    })
}

/// The client of now, which all handles have in common.
pub(super) struct Shared(RwLock<Arc<State>>);

impl Shared {
    pub(super) fn new(settings: VsdSettings) -> Result<Self, VsdError> {
        Ok(Self(RwLock::new(Arc::new(State::new(settings, None)?))))
    }

    pub(super) fn current(&self) -> Arc<State> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Other settings; if they are bad, those before stay.
    pub(super) fn change(&self, settings: VsdSettings) -> Result<(), VsdError> {
        let state = Arc::new(State::new(settings, Some(&self.current()))?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }
}
