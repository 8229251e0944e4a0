//! The calls that there are, how their requests are read and their answers written.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Every call that Docker makes, by its path.
pub const METHODS: [&str; 23] = [
    "Plugin.Activate",
    "Plugin.Deactivate",
    "NetworkDriver.GetCapabilities",
    "NetworkDriver.AllocateNetwork",
    "NetworkDriver.FreeNetwork",
    "NetworkDriver.GwAllocCheck",
    "NetworkDriver.CreateNetwork",
    "NetworkDriver.DeleteNetwork",
    "NetworkDriver.CreateEndpoint",
    "NetworkDriver.DeleteEndpoint",
    "NetworkDriver.EndpointOperInfo",
    "NetworkDriver.Join",
    "NetworkDriver.Leave",
    "NetworkDriver.ProgramExternalConnectivity",
    "NetworkDriver.RevokeExternalConnectivity",
    "NetworkDriver.DiscoverNew",
    "NetworkDriver.DiscoverDelete",
    "IpamDriver.GetCapabilities",
    "IpamDriver.GetDefaultAddressSpaces",
    "IpamDriver.RequestPool",
    "IpamDriver.ReleasePool",
    "IpamDriver.RequestAddress",
    "IpamDriver.ReleaseAddress",
];

/// What was sent is no call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no such call.
    #[error("{0} is not known here")]
    Method(String),
    /// It cannot be read.
    #[error("{method}: the request cannot be read: {reason}")]
    Request {
        /// The call.
        method: String,
        /// What is wrong.
        reason: String,
    },
}

/// The call of that name.
///
/// # Errors
/// [`CallError::Method`].
pub fn known(method: &str) -> Result<&'static str, CallError> {
    let known = METHODS.into_iter().find(|known| *known == method);
    known.ok_or_else(|| CallError::Method(method.to_owned()))
}

/// Reads a request.
///
/// # Errors
/// [`CallError::Request`], with the place in the request.
pub fn read<T: DeserializeOwned>(method: &str, body: &[u8]) -> Result<T, CallError> {
    // Docker of 20.10 asks again without a body where a driver ended in the middle of a call.
    if body.is_empty() {
        return Err(CallError::Request {
            method: method.to_owned(),
            reason: "it is empty, as after a driver that was lost meanwhile; try again".to_owned(),
        });
    }
    let mut text = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut text).map_err(|error| CallError::Request {
        method: method.to_owned(),
        reason: error.to_string(),
    })
}

/// Writes an answer.
///
/// # Errors
/// [`CallError::Request`], for what JSON cannot say.
pub fn answer(value: impl Serialize) -> Result<Value, CallError> {
    serde_json::to_value(value).map_err(|error| CallError::Request {
        method: "answer".to_owned(),
        reason: error.to_string(),
    })
}
