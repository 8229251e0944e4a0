//! Service objects: what runs, the addresses it gets, and the order in which that starts
//! and stops.
//!
//! A service is a file, `etc/fairlead/namespaces/NAMESPACE/svc/NAME.conf` ([`Service`] is
//! what it says, checked as a whole). [`Services`] starts it step by step, each with its
//! undo, stops it in reverse and on to the end, says how it is, and heals it. Containers
//! are [`Engine`]s' to run; an address is an attachment of the core, for this resource of
//! this service. A service with `ingress` sections is a gateway: HAProxy, whose
//! configuration is written here.
#![forbid(unsafe_code)]

mod address;
mod engine;
mod error;
mod file;
mod gateway;
mod heal;
mod order;
mod resolver;
mod service;
mod services;
mod start;
mod status;
mod stop;
mod wait;

pub use engine::{
    ContainerSpec, Engine, EngineError, Engines, Kind, Network, Pull, Resolver, Running, Settings,
    Signal, Started, State, default_name, process_shim,
};
pub use error::ServiceError;
pub use file::{change, list, load, parse, path, remove, service_name, text, write};
pub use gateway::{Listen, Rule};
pub use service::{Container, IpResource, Service};
pub use services::{Done, Services};
pub use status::{Availability, Info, ResourceStatus, ServiceStatus};
