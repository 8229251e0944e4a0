//! The switch of this host. It may come later than this program: it is looked for when it is
//! needed, and found once.

use crate::error::DoorError;
use crate::settings::{OvsdbAddress, Settings};
use fairlead_ovsdb::{Endpoints, Settings as Limits};
use fairlead_types::IfName;
use fairlead_vsp::vrs::Vrs;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long the switch may take for an answer, with waiting for it.
const CALL: Duration = Duration::from_secs(8);

/// Where the switch is, and the switch once it was found.
#[derive(Debug)]
pub(crate) struct Switch {
    address: OvsdbAddress,
    bridge: IfName,
    found: OnceCell<Vrs>,
    mark: OnceCell<String>,
}

impl Switch {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            address: settings.ovsdb.clone(),
            bridge: settings.bridge.clone(),
            found: OnceCell::new(),
            mark: OnceCell::new(),
        }
    }

    /// The switch.
    ///
    /// # Errors
    /// Its database does not answer, or is none of VRS.
    pub(crate) async fn get(&self) -> Result<&Vrs, DoorError> {
        let connect = async || {
            let endpoints: Endpoints = self.address.to_string().parse()?;
            let limits = Limits {
                call_limit: CALL,
                ..Limits::default()
            };
            Ok::<_, DoorError>(Vrs::connect(endpoints, self.bridge.clone(), limits).await?)
        };
        self.found.get_or_try_init(connect).await
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
