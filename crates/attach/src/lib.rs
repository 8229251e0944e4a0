//! The core: an AttachRequest becomes an Attachment; detach, garbage collection, doctor.
#![forbid(unsafe_code)]
