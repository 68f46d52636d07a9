//! One component out of several, wired: each becomes a nested instance of an outer component that is made here.
//!
//! Composition is what turns separate files into a tree that the kernel knows how to link, divide into domains and run;
//! nothing below knows that they ever were separate. Types of two sides are compared before, so that what does not fit is
//! told in WIT and not by a validator's offset. Nothing here reads files or knows of manifests.
//!
//! - [`face`]: what a component imports and exports; [`wit_text`]: the same as a person reads it
//! - [`contrast`]: whether one side is what the other wants, and where not
//! - [`outside`]: what all of them import of the system, once
//! - [`parts`]: what is composed, and checking it; [`outer`]: the outer component's bytes; [`type_writer`]: the types in it

pub mod contrast;
pub mod face;
pub mod outside;
pub mod parts;
pub mod wit_text;

mod outer;
mod type_writer;

#[cfg(test)]
mod composing_tests;
