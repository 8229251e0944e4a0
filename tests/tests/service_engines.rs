//! Services whose containers are run by real engines, by the commands a person types:
//! Docker, Podman and LXC. Programs without an engine are in `services.rs`.

#[path = "service_engines/bad.rs"]
mod bad;
#[path = "service_engines/case.rs"]
mod case;
#[path = "service_engines/heal.rs"]
mod heal;
#[path = "service_engines/many.rs"]
mod many;
#[path = "service_engines/names.rs"]
mod names;
#[path = "service_engines/shapes.rs"]
mod shapes;
#[path = "service_engines/whole.rs"]
mod whole;
