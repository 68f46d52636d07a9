//! Policy: what runs, with what grants, and what a person sees of it. The binary `atoll` is its console.
//!
//! It asks the kernel and never reaches into it: no memory, no machine code, no table is touched from here.
//!
//! - [`wast`]: runs the scripts of WebAssembly's official suites

pub mod wast;
