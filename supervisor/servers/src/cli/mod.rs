//! `wasi:cli`: what a command sees of whoever started it.
//!
//! - [`environment`], [`exit`]: one interface each
//! - [`stdio`]: `stdin`, `stdout` and `stderr`
//! - [`terminal`]: the five `terminal-…` interfaces

pub mod environment;
pub mod exit;
pub mod stdio;
pub mod terminal;
