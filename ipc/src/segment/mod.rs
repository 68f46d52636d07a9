//! Rung 3: a domain in an OS process of its own, which shares a segment of memory with this one and nothing else.
//!
//! ```text
//!   here                              segment                          there
//!   guest thread of the domain ─► ring ─────────────────────► thread that runs the domain
//!                              ◄───────────────────── ring ◄─
//! ```
//! The process is this program once more, or one that is named; it is handed what it needs over a socket, and locked down
//! before it looks at any of it. Whatever it does to the segment, this side reads nothing twice, waits no longer than it
//! said, and ends the process when what it finds is not what a process of ours writes.
//!
//! - [`ring`]: frames through shared memory; [`gate`]: falling asleep over it; [`spin`]: not falling asleep yet
//! - [`line`]: two rings, and how each side waits
//! - [`spawn`]: starting the process; [`far_side`]: what it does

pub mod far_side;
pub mod gate;
pub mod line;
pub mod ring;
pub mod spawn;
pub mod spin;

pub(crate) mod atomics {
    //! What the lock-free part is made of, imported from here so that a model checker's can stand in its place.

    pub use std::sync::atomic::{AtomicU32, Ordering, fence};
}
