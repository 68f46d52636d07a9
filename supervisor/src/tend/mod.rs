//! Keeps a tree of processes running, by the rules of OTP's supervisors: who is started again when one ends, and when
//! a supervisor gives up.
//!
//! The rules are a state machine that runs nothing; what it orders is done to a running tree elsewhere.
//!
//! - [`child_spec`] (also `spec`): what a supervisor is asked to do
//! - [`overseer`]: the rules; [`intensity`]: how many restarts are too many
//! - [`driver`]: does to a running tree what the rules say; [`happening`]: what is told of it
//! - [`tended`]: a tree that is kept running, as others see it
//! - `trial`: random trees and histories, for tests and fuzz targets

pub mod child_spec;
pub mod driver;
pub mod happening;
pub mod intensity;
pub mod overseer;
pub mod tended;
#[cfg(any(test, feature = "trial"))]
pub mod trial;

#[cfg(test)]
mod driving_tests;
#[cfg(test)]
mod otp_tests;
#[cfg(test)]
mod stage;

pub use self::child_spec as spec;
