//! The fairlead binary.
fn main() {}
