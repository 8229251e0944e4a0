//! The Container Network Interface: types of every specification version, plugin side protocol, runtime.
#![forbid(unsafe_code)]
