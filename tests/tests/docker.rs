//! Networks of Docker by our driver, with a real engine and the commands that a person types.

#[path = "docker/beside.rs"]
mod beside;
#[path = "docker/case.rs"]
mod case;
#[path = "docker/cluster.rs"]
mod cluster;
#[path = "docker/documents.rs"]
mod documents;
#[path = "docker/follow.rs"]
mod follow;
#[path = "docker/managed.rs"]
mod managed;
#[path = "docker/many.rs"]
mod many;
#[path = "docker/one.rs"]
mod one;
#[path = "docker/protocol.rs"]
mod protocol;
#[path = "docker/restart.rs"]
mod restart;
