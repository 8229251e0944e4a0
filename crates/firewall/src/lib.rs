//! Fairlead's nftables tables: masqueraded addresses, published ports and MAC checks as set elements.
#![forbid(unsafe_code)]
