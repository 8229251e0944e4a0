//! Address management: ranges as host-local has them, over the store.
#![forbid(unsafe_code)]
