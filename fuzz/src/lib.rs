//! What the fuzz targets do, apart from libFuzzer: a target is one call of a `check` here.
//!
//! A finding must be the kernel's, never ours: what cannot be compared ends a case quietly.
//!
//! - [`differ`]: core modules by atoll and by Wasmtime
//! - [`smith`]: a core module and the numbers that go with it
//! - [`seen`]: what a run shows, in words of neither engine
//! - [`by_atoll`], [`by_wasmtime`]: a case run by one of them
//! - [`raw`]: bytes that say they are a component
//! - [`chain`]: values through two components and back
//! - [`stretch`]: random bytes behind an input

#[cfg(feature = "wasmtime")]
pub mod by_atoll;
#[cfg(feature = "wasmtime")]
pub mod by_wasmtime;
pub mod chain;
#[cfg(feature = "wasmtime")]
pub mod differ;
pub mod raw;
#[cfg(feature = "wasmtime")]
pub mod seen;
#[cfg(feature = "wasmtime")]
pub mod smith;
pub mod stretch;
