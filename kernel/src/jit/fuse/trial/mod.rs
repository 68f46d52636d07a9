//! Adapters between two hand-made processes: against the interpreter on random types and values, and check by check.
//!
//! - [`rig`]: a domain of two processes whose core functions are the host's
//! - [`half`]: one process as a side of a call, for the interpreter
//! - [`oracle`]: adapters and interpreter agree
//! - [`checks`]: each check of the specification, alone
//! - [`bytes`]: what is copied many bytes at a time
//! - [`stubs`]: what goes elsewhere, and limits

mod bytes;
mod checks;
mod half;
mod oracle;
mod rig;
mod stubs;
