//! What can be seen of a tree that runs.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

mod seen_calls;
mod seen_edges;
mod shelf;
