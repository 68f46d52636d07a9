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
//! - [`forms`]: values as text and as messages
//! - [`schedules`]: trees that are called, killed and supervised
//! - [`pair`]: two hand-made processes and one adapter
//! - [`chain`]: values through two components and back
//! - [`talk`]: a supervisor and whoever asks it
//! - [`stretch`]: random bytes behind an input; [`renewed`]: engines that are made anew

#[cfg(feature = "targets")]
pub mod by_atoll;
#[cfg(feature = "targets")]
pub mod by_wasmtime;
pub mod chain;
#[cfg(feature = "targets")]
pub mod differ;
pub mod forms;
pub mod hostile_segment;
pub mod manifests;
pub mod pair;
pub mod raw;
pub mod renewed;
pub mod schedules;
#[cfg(feature = "targets")]
pub mod seen;
#[cfg(feature = "targets")]
pub mod smith;
pub mod stretch;
pub mod talk;
pub mod text_tree;
