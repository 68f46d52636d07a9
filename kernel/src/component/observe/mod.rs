//! What can be seen of a tree while it runs: who calls whom, how often and how fast, and what.
//!
//! Nothing here stops a guest, and what nobody looks at costs a counter at most.
//!
//! - [`known_edge`]: the edges of a tree, as linking found them
//! - [`edge_tally`]: how often an edge was called; [`latency`]: how long that took
//! - [`edge_view`]: an edge with its figures, as consoles show it
//! - [`watcher`]: who watches which edges; [`code_slots`]: what is rewritten for that in a tree that runs
//! - [`taps`]: what is done with a call that is watched; [`peeking`]: its caller, looked at; [`feed`]: the calls on
//!   their way to whoever reads them
//! - [`inside`]: looking into a domain that executes: what its thread does; [`holdings`]: memories and handles
//! - [`dump`]: core dumps; [`dump_sections`]: as bytes

pub(super) mod code_slots;
pub mod dump;
mod dump_sections;
pub(super) mod edge_tally;
pub mod edge_view;
pub mod feed;
pub mod holdings;
pub mod inside;
pub mod known_edge;
pub mod latency;
mod peeking;
pub(super) mod taps;
pub mod watcher;
