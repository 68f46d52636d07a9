//! Keeps a tree of processes running, by the rules of OTP's supervisors: who is started again when one ends, and when
//! a supervisor gives up.
//!
//! - [`child_spec`] (also `spec`): what a supervisor is asked to do

pub mod child_spec;

pub use self::child_spec as spec;
