//! Mechanism: memory, machine code, processes, calls. Policy belongs to the supervisor.
//!
//! The only crate with `unsafe`; every block says why it is sound. Nothing that a guest does may make it panic.
//!
//! - [`limits`]: every bound of the kernel
//! - [`arch`], [`os`]: the processor and the operating system
//! - [`mem`]: reservations, linear memories, images, stacks, code pages
//! - [`vm`]: what compiled code and the kernel both see in memory
//! - [`jit`]: wasm to machine code, plans to machine code
//! - [`trap`]: from a signal to a fault
//! - [`instance`]: core instances: what a library becomes when a process loads it
//! - [`component`]: parse, link and launch components
//! - [`domain`]: the unit of fault, and what runs in it
//! - [`quota`]: what a process may hold
//! - [`sched`]: which guest thread runs where, for how long
//! - [`floor`]: what the machine takes without any of this, for those who measure
//! - [`host`]: functions and resources that the host gives to guests

pub mod arch;
pub mod component;
pub mod domain;
pub mod floor;
pub mod host;
pub mod instance;
pub mod jit;
pub mod limits;
pub mod mem;
pub mod os;
pub mod quota;
pub mod sched;
pub mod trap;
pub mod vm;
