//! As much of HTTP/1.1 as one has to understand to pass it on: where a head ends, and where
//! the message behind it does.

mod framing;
mod head;

pub(crate) use framing::{Framing, decode};
pub(crate) use head::{HEAD_LIMIT, Parsed, RequestHead, ResponseHead};
