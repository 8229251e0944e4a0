//! The engines, each with a real one: what runs and what does not is asked of `/proc`,
//! of the engine's own tools and of programs in the containers.

mod api;
mod common;
mod lxc;
mod process;
