//! The operating system: what the rest of the kernel needs of it beyond memory maps.
//!
//! Nothing here knows of guests.
//!
//! - [`page`]: the size of a page
//! - [`signals`]: signal handlers

pub mod page;
pub mod signals;
