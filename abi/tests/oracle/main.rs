//! The interpreter against the specification's own definitions and against itself.

extern crate atoll_abi as abi;

mod bump;
mod golden;
mod properties;
mod written;
