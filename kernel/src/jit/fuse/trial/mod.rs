//! Adapters between two hand-made processes: against the interpreter on random types and values, and check by check.
//! Part of the tests, and with the feature `trial` of the fuzz targets.
//!
//! - `rig`: a domain of two processes whose core functions are the host's
//! - `half`: one process as a side of a call, for the interpreter
//! - `ploy`: what a hostile allocator does
//! - `oracle`: adapters and interpreter agree
//! - `attacks`: guests that do what they like
//! - `agreement`: some random calls with every run of the tests
//! - `checks`: each check of the specification, alone
//! - `bytes`: what is copied many bytes at a time
//! - `stubs`: what goes elsewhere, and limits

pub use self::attacks::{try_calls, try_handles, try_hostile};

#[cfg(test)]
mod agreement;
mod attacks;
#[cfg(test)]
mod bytes;
#[cfg(test)]
mod checks;
mod half;
mod oracle;
mod ploy;
mod rig;
#[cfg(test)]
mod stubs;
