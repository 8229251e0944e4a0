//! What is changed in the bodies of requests and answers. No function here does anything else.

pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod prune;
pub(crate) mod shown;
