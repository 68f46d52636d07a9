//! What can be seen of a tree that runs.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

mod core_dumps;
mod seen_calls;
mod seen_edges;
mod seen_holdings;
mod seen_threads;
mod shelf;
