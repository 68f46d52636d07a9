//! Machine code: wasm → CLIF, plans → CLIF, and what is known of the code afterwards.
//!
//! - [`builtin`]: the kernel functions that compiled code calls
//! - [`library`]: a compiled core module

pub mod builtin;
pub mod library;
