//! The operating system: what the rest of the kernel needs of it beyond memory maps.
//!
//! Nothing here knows of guests.
//!
//! - [`doorbell`], [`futex`], [`handover`], [`offspring`]: what OS processes that work together need
//! - [`lockdown`]: giving up for good what a process does not need
//! - [`page`]: the size of a page
//! - [`signals`]: signal handlers
//! - [`timer`]: timers that send a signal to a thread, and clocks

pub mod doorbell;
pub mod futex;
pub mod handover;
pub mod lockdown;
pub mod offspring;
pub mod page;
pub mod signals;
pub mod timer;
