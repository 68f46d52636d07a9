//! Adapters: plans → CLIF → machine code.
//!
//! - [`spec`]: what is compiled

pub mod spec;

/// The compiled adapters and stubs of one linked tree.
pub struct Adapters;
