//! What the servers and their generated bindings do, as a guest sees it.
//!
//! - [`fake_guest`]: a guest without code: memory, handles, calls
//! - [`golden_bindings`]: what the generator writes
//! - [`crossing`]: values through generated bindings and back
//! - [`folder`]: a folder for one test
//! - [`hostile`]: a guest that keeps to nothing; [`sandbox`], [`beneath`]: what cannot be reached; [`file_functions`]: what can
//! - [`real_guests`]: commands that real toolchains made
//! - [`stream_ends`], [`waiting`], [`grants`]: streams, polling, and what a command is given
//! - [`tcp_sockets`], [`udp_sockets`], [`name_lookup`]: the network; [`guest_address`]: addresses as guests write them
//! - [`office`]: domains that wait beside others; [`siblings`]: processes of one tree with different grants

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

mod beneath;
#[path = "../../build/mod.rs"]
mod build;
mod crossing;
mod fake_guest;
mod file_functions;
mod folder;
mod golden_bindings;
mod grants;
mod guest_address;
mod hostile;
mod name_lookup;
mod office;
mod real_guests;
mod sandbox;
mod siblings;
mod stream_ends;
mod tcp_sockets;
mod udp_sockets;
mod waiting;
