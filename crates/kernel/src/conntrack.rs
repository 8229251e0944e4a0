//! Connection tracking entries: flush those that an address or port change made wrong.
