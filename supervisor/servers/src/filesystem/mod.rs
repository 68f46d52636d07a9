//! `wasi:filesystem`: nothing outside of what was granted can be reached, whatever links and paths say.
//!
//! Every path is resolved by `cap-std` beneath the directory it is relative to; a grant that is read-only refuses
//! every function that could change something before the operating system is asked.
//!
//! - [`preopens`]: what is granted, and the interface that gives it
//! - [`descriptor`]: files and directories as a guest holds them, `types`
//! - [`files`]: functions of open files; [`paths`]: functions of paths beneath a directory
//! - [`metadata`]: what is known of a file; [`errno`]: why something failed

pub mod descriptor;
pub mod errno;
pub mod files;
pub mod metadata;
pub mod paths;
pub mod preopens;
