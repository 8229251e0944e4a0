//! What can go wrong with the firewall.

use crate::Element;
use fairlead_kernel::KernelError;

/// Why the firewall was not changed or could not be read. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The kernel refused for a reason that is no matter of policy.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The element's key is in use with another value: the host port leads to
    /// another target.
    #[error(
        "{element}: the host port is published to another target; \
         unpublish that first or choose another host port"
    )]
    Taken {
        /// The element that could not be added.
        element: Box<Element>,
    },
    /// An IPv4 and an IPv6 address or prefix in one element.
    #[error("{element}: IPv4 and IPv6 are mixed; give addresses of one family")]
    MixedFamilies {
        /// The element.
        element: Box<Element>,
    },
    /// A tag that does not fit in a rule's comment.
    #[error("{element}: the tag has {length} bytes, 1 to {max} are allowed")]
    Tag {
        /// The element.
        element: Box<Element>,
        /// The tag's length in bytes.
        length: usize,
        /// The greatest length in bytes.
        max: usize,
    },
    /// Other processes made and removed the same tables each time it was tried.
    #[error("change {table}: others changed it {attempts} times in a row; try again", table = crate::TABLE)]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
}

impl FirewallError {
    /// Whether a host port is published to someone else already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    /// Whether the kernel has no nftables.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Kernel(error) if error.is_unsupported())
    }
}
