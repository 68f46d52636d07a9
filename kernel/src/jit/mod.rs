//! Machine code: wasm → CLIF, plans → CLIF, and what is known of the code afterwards.
//!
//! - [`valtype`], [`sig`]: types without lifetimes, and the numbers of signatures
//! - [`module`], [`constexpr`], [`sections`]: what is known of a core module besides its code
//! - [`builtin`]: the kernel functions that compiled code calls
//! - [`trapcode`]: why compiled code traps
//! - [`translate`]: operators → CLIF
//! - [`body`]: a compiled function, [`image`]: many of them placed
//! - [`fuse`]: adapters between processes; [`small`]: functions that they write out
//! - [`engine`]: settings, signatures, caches; [`compile`]: all functions of a module; [`library`]: the result;
//!   [`compile_error`]: why there is none
//! - [`precompiled`]: a library as bytes
//! - [`watch`]: what code notes of its run, if it is asked to
//! - `trampoline`: between the host's calling convention and the guests'; `routine`: what compiled code calls for
//!   operators without an instruction

pub mod body;
pub mod builtin;
pub mod compile;
pub mod compile_error;
pub mod constexpr;
pub mod engine;
pub mod fuse;
pub mod image;
pub mod library;
pub mod module;
pub mod precompiled;
mod routine;
pub mod sections;
pub mod sig;
pub mod small;
mod trampoline;
pub mod translate;
pub mod trapcode;
pub mod valtype;
pub mod watch;
