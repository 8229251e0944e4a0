//! The switch of this host. It may come later than this program: it is looked for when it is
//! needed, and found once.

use crate::error::DoorError;
use crate::settings::{OvsdbAddress, Settings};
use fairlead_ovsdb::{Endpoints, Settings as Limits, State};
use fairlead_types::IfName;
use fairlead_vsp::vrs::Vrs;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell};

/// How long the switch may take for an answer, with waiting for it.
const CALL: Duration = Duration::from_secs(8);
/// So long after it was looked for in vain it is not looked for again.
const REST: Duration = Duration::from_secs(3);

/// Where the switch is, and the switch once it was found.
#[derive(Debug)]
pub(crate) struct Switch {
    address: OvsdbAddress,
    bridge: IfName,
    found: OnceCell<Vrs>,
    /// One looks for it at a time. When that was in vain, and why: those who waited meanwhile
    /// do not wait as long again.
    looking: Mutex<Option<(Instant, String)>>,
    mark: OnceCell<String>,
}

impl Switch {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            address: settings.ovsdb.clone(),
            bridge: settings.bridge.clone(),
            found: OnceCell::new(),
            looking: Mutex::new(None),
            mark: OnceCell::new(),
        }
    }

    /// The switch.
    ///
    /// # Errors
    /// Its database does not answer, or is none of VRS.
    pub(crate) async fn get(&self) -> Result<&Vrs, DoorError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let mut failed = self.looking.lock().await;
        if let Some((at, reason)) = &*failed
            && self.found.get().is_none()
            && at.elapsed() < REST
        {
            return Err(DoorError::NoSwitch(reason.clone()));
        }
        let found = self.found.get_or_try_init(async || self.connect().await);
        match found.await {
            Ok(found) => Ok(found),
            Err(error) => {
                *failed = Some((Instant::now(), error.to_string()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Vrs, DoorError> {
        let endpoints: Endpoints = self.address.to_string().parse()?;
        let limits = Limits {
            call_limit: CALL,
            ..Limits::default()
        };
        Ok(Vrs::connect(endpoints, self.bridge.clone(), limits).await?)
    }

    /// Whether it was not found yet, or is not reached at this moment.
    pub(crate) fn is_away(&self) -> bool {
        let is_there = |vrs: &Vrs| {
            let state = vrs.client().state();
            let there = matches!(*state.borrow(), State::Connected { .. });
            there
        };
        !self.found.get().is_some_and(is_there)
    }

    /// This host's mark on what it has at the controller: its name, and what the switch calls
    /// itself.
    ///
    /// # Errors
    /// [`DoorError::NoSystemId`]; the database does not answer.
    pub(crate) async fn mark(&self) -> Result<&str, DoorError> {
        let mark = self.mark.get_or_try_init(async || {
            let system = self.get().await?.system_id().await?;
            let system = system.ok_or(DoorError::NoSystemId)?;
            let host = rustix::system::uname();
            Ok::<_, DoorError>(format!("{}-{system}", host.nodename().to_string_lossy()))
        });
        mark.await.map(String::as_str)
    }
}
