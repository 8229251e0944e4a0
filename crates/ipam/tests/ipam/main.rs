//! Address management over real state files.

mod allocate;
mod config;
mod import;
mod model;
mod support;
