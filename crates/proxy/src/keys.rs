//! The words by which a container tells the runtime what it wants.
pub(crate) use fairlead_oci::is_fixed;
pub(crate) use fairlead_oci::keys::{FIXED, IPV4, IPV6, MAC, MODE, NETWORK, PORTS};
