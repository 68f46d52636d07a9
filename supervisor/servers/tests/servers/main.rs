//! What the servers and their generated bindings do, as a guest sees it.
//!
//! - [`fake_guest`]: a guest without code: memory, handles, calls
//! - [`golden_bindings`]: what the generator writes
//! - [`crossing`]: values through generated bindings and back
//! - [`folder`]: a folder for one test
//! - [`hostile`]: a guest that keeps to nothing; [`sandbox`]: what cannot be reached; [`file_functions`]: what can
//! - [`real_guests`]: commands that real toolchains made
//! - [`stream_ends`], [`waiting`], [`grants`]: streams, polling, and what a command is given
//! - [`office`]: domains that wait beside others

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

#[path = "../../build/mod.rs"]
mod build;
mod crossing;
mod fake_guest;
mod file_functions;
mod folder;
mod golden_bindings;
mod grants;
mod hostile;
mod office;

mod real_guests;
mod sandbox;
mod stream_ends;
mod waiting;
