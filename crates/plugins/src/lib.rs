//! The built-in CNI plugins, one module each, called in process or as a program.
#![forbid(unsafe_code)]
