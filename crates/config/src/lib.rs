//! cluster.conf and node.conf: keywords, scopes, references, operators, validation, editing.
#![forbid(unsafe_code)]
