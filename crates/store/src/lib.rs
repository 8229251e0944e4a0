//! Node state: addresses, attachments, published ports in one SQLite file.
#![forbid(unsafe_code)]
