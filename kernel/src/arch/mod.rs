//! The processor: entering guest code, leaving it when it faults, and what a signal handler sees of it.
//!
//! Everything here is one processor's. Another one is another file with the same names.
//!
//! - [`x86_64`]: `enter`, `enter_on`, `throw`, the registers of an interrupted thread
//! - [`x86_64_suspend`]: taking a thread off the processor between any two of its instructions

#[cfg(target_arch = "x86_64")]
pub mod x86_64;
#[cfg(target_arch = "x86_64")]
pub mod x86_64_suspend;

#[cfg(target_arch = "x86_64")]
pub use x86_64::{
    Entry, FindHandler, GeneralRegisters, Interrupted, Landing, Resume, X86, copy_bytes, cycles, enter,
    enter_on, kept_registers, named_registers, throw,
};
#[cfg(target_arch = "x86_64")]
pub use x86_64_suspend::{Suspended, Switch, preempted, prepare_suspend};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("atoll runs on Linux on x86-64; another platform needs its own file in kernel/src/arch");
