//! From a signal to a fault.
//!
//! Guest code that goes wrong raises a signal: a trap instruction, a division, an access to a guard. The
//! handler keeps the addresses of the frames and lets the thread go on at its activation's landing, so that
//! the kernel's call into the guest returns "faulted". What it all means is found out afterwards, in ordinary
//! code. A signal from anywhere else goes to whoever handled it before us.
//!
//! - [`site`]: what whoever made machine code knows of each instruction
//! - [`activation`]: a stretch of guest code on a thread
//! - [`handler`]: the signal handlers
//! - [`capture`]: what a handler keeps of a fault
//! - [`signal_stack`]: the stacks that handlers run on

pub mod activation;
pub mod capture;
pub mod handler;
pub mod signal_stack;
pub mod site;
