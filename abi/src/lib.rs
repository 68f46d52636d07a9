//! What both sides of a canonical-ABI call agree on, and everything that a console, a kernel and a tool must
//! call by the same name.
//!
//! This crate is pure: no operating system, no threads, no `unsafe`. It must never know how a call is carried.
//!
//! - [`types`]: value, function and resource types after linking
//! - [`spell`]: types as WIT text
//! - [`layout`]: size, alignment and offsets in linear memory
//! - [`flat`]: flattening into core values
//! - [`value`]: component values as data
//! - [`wave`]: values as text
//! - [`handletext`]: arguments with handles as text
//! - [`text`]: strings in the three encodings
//! - [`handle`]: the table of a process's handles
//! - [`scope`]: what a call lent and borrowed
//! - [`side`]: what the canonical ABI needs from one side of a call
//! - [`plan`]: what one call does, decided once when it is linked
//! - [`wire`]: values and faults as bytes, for calls that leave the OS process
//! - [`run`]: the interpreter, made of `lift` and `lower`; [`peek`]: a look at what crosses
//! - [`typed`]: Rust types that cross the boundary without a [`value::Value`] in between
//! - [`native`]: Rust types that stand for values, for typed calls of guests
//! - [`sample`]: types and values made from bytes, for tests and fuzzers
//! - [`relay`]: components that pass values on, as text, for tests and fuzzers; [`callers`]: ones that call each other
//! - [`vary`]: values made at random, changed, made simpler, for fuzzers
//! - [`id`], [`state`], [`fault`]: names for what runs and how it ends
//! - [`control`]: the console's protocol
//! - [`limits`]: every bound of these

pub mod callers;
pub mod control;
pub mod fault;
pub mod flat;
pub mod handle;
pub mod handletext;
pub mod id;
pub mod layout;
mod lift;
pub mod limits;
mod lower;
pub mod native;
pub mod peek;
pub mod plan;
pub mod relay;
pub mod run;
pub mod sample;
pub mod scope;
pub mod side;
pub mod spell;
pub mod state;
pub mod text;
pub mod typed;
pub mod types;
pub mod value;
pub mod vary;
pub mod wave;
pub mod wire;
