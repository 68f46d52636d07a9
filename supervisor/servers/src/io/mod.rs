//! `wasi:io`: streams, what to wait for, and errors; and what streams are connected to.
//!
//! - [`input`], [`output`]: ends of streams outside of the tree; [`shared_fd`]: descriptors that they are
//! - [`streams`], [`poll`], [`failure`]: one interface each

pub mod failure;
pub mod input;
pub mod output;
pub mod poll;
pub(crate) mod shared_fd;
pub mod streams;
