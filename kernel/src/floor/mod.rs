//! What the machine takes when nobody is kept from anybody: the floors that calls are measured against. Part of no call.
//!
//! - [`switching`]: to another stack and back
//! - [`pingpong`]: to another OS process and back, by memory that both see

pub mod pingpong;
pub mod switching;
