//! Where calls go when they leave their domain: messages in bounded mailboxes, served by the callee's own thread.
//!
//! No call is ever left waiting: a domain that ends answers everybody, and a cycle of domains that wait for each other
//! is refused with its names before it is one.
//!
//! - [`system`]: what an embedder holds: trees that run on a machine
//! - [`launched`]: one of them; [`launcher`]: how it comes up
//! - [`edges`]: who calls whom in it, and how that goes; [`edge_glob`]: some of them; [`traced`]: call by call
//! - [`looks`]: what its threads do and its processes hold; core dumps
//! - [`typed_func`]: what it exports, with Rust types
//! - [`actor`]: a domain with a thread of its own
//! - `doorway`: calling it without a message
//! - [`mailbox`]: where calls wait
//! - [`reply`]: the way back
//! - [`waits`]: who waits for whom; [`fates`]: what becomes of domains, for whoever watches over them
//! - [`segment`]: a domain in an OS process of its own
//! - `trial`: random trees on random schedules, for tests and fuzz targets
//! - [`limits`]: every bound

pub mod actor;
mod doorway;
pub mod edge_glob;
pub mod edges;
pub mod fates;
pub mod launched;
mod launcher;
mod limits;
pub mod looks;
pub mod mailbox;
pub mod reply;
pub mod segment;
pub mod system;
pub mod traced;
#[cfg(any(test, feature = "trial"))]
pub mod trial;
pub mod typed_func;
pub mod waits;
