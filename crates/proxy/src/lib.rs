//! The proxy of Docker's API: `docker -H unix:///var/run/barrel.sock` in place of dockerd's own
//! socket.
//!
//! Every byte is passed on as it comes, in constant memory: heads are read to see where a
//! message ends and which call it is, and go on as they were. Only what has to do with CNI
//! networks is changed. A container that is created with `--network NAME`, where `NAME` is a
//! CNI network, is created without a network and with a word to the runtime, which puts it
//! there; `inspect` and `ps` say where it is; and once it was removed, by whomever, its
//! addresses are free.
#![forbid(unsafe_code)]

mod change;
mod engine;
mod error;
mod exchange;
mod follow;
mod http;
mod input;
mod json;
mod keys;
mod listen;
mod live;
mod log;
mod places;
mod reply;
mod route;
mod serve;
mod session;
mod settings;
mod side;
mod tls;
mod tunnel;

pub use error::ProxyError;
pub use places::{Attached, Node, Places, PlacesError};
pub use serve::{Proxy, run};
pub use settings::{Flags, Mode, Settings};
