//! The operating system: what the rest of the kernel needs of it beyond memory maps.
//!
//! Nothing here knows of guests.
//!
//! - [`page`]: the size of a page
//! - [`signals`]: signal handlers
//! - [`timer`]: timers that send a signal to a thread, and clocks

pub mod page;
pub mod signals;
pub mod timer;
