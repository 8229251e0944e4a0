//! Networks of Docker by our driver, with a real engine and the commands that a person types.

#[path = "docker/case.rs"]
mod case;
#[path = "docker/one.rs"]
mod one;
