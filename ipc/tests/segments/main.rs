//! Domains in OS processes of their own: the same as in this one, whatever they do and however they end.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

extern crate atoll_ipc as ipc;

mod deaths;
/// What the fuzz target does.
#[path = "../../../fuzz/src/hostile_segment.rs"]
mod hostile_segment;
mod scribbles;
mod town;
mod values;
