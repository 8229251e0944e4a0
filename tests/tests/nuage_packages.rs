//! The packages of nuage-libnetwork, made by the scripts and used as document 004 has it: by
//! rpm, by systemd, and by a Docker that loads the image and runs the managed plugin.

#[path = "nuage_packages/engine.rs"]
mod engine;
#[path = "nuage_packages/rpm.rs"]
mod rpm;
#[path = "nuage_packages/work.rs"]
mod work;
