//! Declared networks, one module a type: setup, status, the CNI configuration they generate.
#![forbid(unsafe_code)]
