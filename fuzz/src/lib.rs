//! What the fuzz targets do, apart from libFuzzer: a target is one call of a `check` here.
//!
//! A finding must be the kernel's, never ours: what cannot be compared ends a case quietly.
//!
//! - [`differ`]: core modules by atoll and by Wasmtime
//! - [`smith`]: a core module and the numbers that go with it
//! - [`seen`]: what a run shows, in words of neither engine
//! - [`by_atoll`], [`by_wasmtime`]: a case run by one of them
//! - [`raw`]: components that are wrong; [`manifests`]: manifests that are
//! - [`text_tree`]: text that is varied
//! - [`hostile_segment`]: the process of a domain in the hands of a guest
//! - [`pair`]: two hand-made processes and one adapter
//! - [`chain`]: values through two components and back
//! - [`talk`]: a supervisor and whoever asks it
//! - [`stretch`]: random bytes behind an input

pub mod by_atoll;
pub mod by_wasmtime;
pub mod chain;
pub mod differ;
pub mod hostile_segment;
pub mod manifests;
pub mod pair;
pub mod raw;
pub mod seen;
pub mod smith;
pub mod stretch;
pub mod talk;
pub mod text_tree;
