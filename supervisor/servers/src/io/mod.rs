//! `wasi:io`: streams, what to wait for, and errors; and what streams are connected to.
//!
//! - [`input`], [`output`]: ends of streams outside of the tree
//! - [`streams`], [`poll`], [`failure`]: one interface each

pub mod failure;
pub mod input;
pub mod output;
pub mod poll;
pub mod streams;
