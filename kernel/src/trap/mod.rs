//! From a signal to a fault.
//!
//! - [`site`]: what whoever made machine code knows of each instruction

pub mod site;
