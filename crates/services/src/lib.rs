//! In the making.
#![forbid(unsafe_code)]

mod engine;

pub use engine::{
    ContainerSpec, Engine, EngineError, Kind, Network, Pull, Resolver, Running, Settings, Signal,
    Started, State, default_name,
};
