//! WASI 0.2 as system servers: what a tree of processes sees of the world, and nothing else.
//!
//! The bindings are generated from the WIT, so a server is Rust methods over Rust types: it sees neither guest memory
//! nor handle tables, and there is no `unsafe`. Nothing here knows how a component is linked or run; what a tree may
//! reach is what its [`Wasi`] was built with, and time and randomness are parameters of it.
//!
//! - [`bindings`]: generated types, traits and registration; [`bind`]: what they are made of; [`turn`]: how a call that
//!   waits lets others go on
//! - [`wasi`]: the state of all servers of one tree, and its builder
//! - [`cli`], [`clocks`], [`filesystem`], [`http`], [`io`], [`random`], [`sockets`]: one module a WIT package, one
//!   file an interface
//! - [`grants`]: what each process may reach, by which rules, and why
//! - [`slab`]: where resources live
//! - [`limits`]: every bound

// Generated bindings name this crate by its dependency key, here and in other crates alike.
extern crate self as servers;

pub mod bind;
pub mod bindings;
pub mod cli;
pub mod clocks;
pub mod filesystem;
pub mod grants;
pub mod http;
pub mod io;
pub mod limits;
pub mod random;
pub mod slab;
pub mod sockets;
pub mod turn;
pub mod wasi;

use kernel::host::Imports;

pub use clocks::{MonotonicClock, SimulatedClock, SystemClock, WallClock};
pub use filesystem::preopens::Preopen;
pub use grants::{Explained, Grants, Network, Origin};
pub use io::input::Input;
pub use io::output::{Buffer, Output};
pub use random::{Entropy, SeededEntropy, SystemEntropy};
pub use sockets::resolver::{LookupError, Resolver, SystemResolver};
pub use wasi::{BuildError, Builder, Wasi};

/// Offers all of WASI 0.2 to trees that are launched with a [`Wasi`] as their state.
pub fn register(imports: &mut Imports) {
    bindings::register::<Wasi>(imports);
}
