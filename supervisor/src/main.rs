//! The binary `atoll`; everything it does is in the library.

fn main() {}
