//! The same call over every rung gives the same answer: values, traps, and what the callee is given.
//!
//! ```text
//! host ── h ──► front ══ the rung ══► back ── h ──► host, which notes what arrives and says what is returned
//! ```
//!
//! What is expected is what the interpreter does, when front and back are two trees and it carries each call between them. Of
//! honest guests it is known anyway: what was sent arrives.
//!
//! - [`rung`]: the rungs, and one case over all of them
//! - [`shapes`]: every shape of value, picked by hand
//! - [`generated`]: functions of random types with random values, honest and damaged
//! - [`lies`]: guests that break a rule, each in one way, and the trap that it is
//! - [`ownership`]: resources that a component defines, handles that are given, lent and stale
//!
//! `ATOLL_LADDER_TYPES` says how many random types are tried.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

extern crate atoll_ipc as ipc;

mod generated;
mod lies;
mod ownership;
mod rung;
mod shapes;
