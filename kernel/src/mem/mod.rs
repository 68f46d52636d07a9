//! Memory of every kind that guests run on: reserved first, made accessible piece by piece, given back whole.
//!
//! What is here knows addresses and protections, and nothing of modules or instances. A mapping never
//! outlives its owner, and what one guest wrote is never seen by the next one to get the same pages.
//!
//! - [`reservation`]: a range of address space with nothing accessible in it
//! - [`code`]: the arena that holds all machine code, and what is known of each piece
//! - [`linear`]: linear memories
//! - [`extent`]: the pages behind a linear memory, pooled
//! - [`cow`]: initial contents, mapped copy-on-write
//! - [`stack`]: guest stacks, pooled
//! - [`block`]: heap objects whose addresses compiled code holds
//! - [`parking`]: threads that wait on an address
//! - [`shared`]: memory shared with another OS process

pub mod block;
pub mod code;
pub mod cow;
pub mod extent;
pub mod linear;
pub mod parking;
pub mod reservation;
pub mod shared;
pub mod stack;

/// Why memory could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemError {
    /// The operating system refused.
    #[error("cannot {action} {bytes} bytes for {what}: {source}")]
    System {
        /// What was tried, a verb.
        action: &'static str,
        /// What it was for.
        what: &'static str,
        /// How many bytes.
        bytes: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// More than a limit of the kernel allows.
    #[error("{what} needs {bytes} bytes, at most {allowed} are allowed")]
    Limit {
        /// What it was for.
        what: &'static str,
        /// How many bytes.
        bytes: u64,
        /// How many there may be.
        allowed: u64,
    },
}

impl MemError {
    fn system(action: &'static str, what: &'static str, bytes: usize, errno: nix::Error) -> MemError {
        MemError::System { action, what, bytes, source: errno.into() }
    }
}
