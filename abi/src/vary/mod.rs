//! Values made at random for fuzzers, biased to edges; changed a little; made simpler; made to satisfy a comparison.
//!
//! Randomness is a parameter ([`chance::Chance`]): what is made follows from a seed. A handle is made as a number that
//! whoever calls takes as a choice among the resources that there are then.
//!
//! - [`chance`]: random numbers
//! - [`lexicon`]: numbers and texts that a program has shown interest in
//! - [`invent`]: values of a type; [`mutate`]: values like a value
//! - [`shrink`]: values simpler than a value
//! - [`satisfy`]: values that make what was compared equal

pub mod chance;
pub mod invent;
pub mod lexicon;
pub mod mutate;
pub mod satisfy;
pub mod shrink;
