//! The interpreter against the specification's own definitions and against itself.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

extern crate atoll_abi as abi;

mod bump;
mod carried;
mod golden;
mod properties;
mod straight;
mod written;
