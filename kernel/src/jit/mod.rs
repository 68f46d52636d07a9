//! Machine code: wasm → CLIF, plans → CLIF, and what is known of the code afterwards.
//!
//! - [`builtin`]: the kernel functions that compiled code calls
//! - [`fuse`]: adapters between processes
//! - [`library`]: a compiled core module

pub mod builtin;
pub mod fuse;
pub mod library;
