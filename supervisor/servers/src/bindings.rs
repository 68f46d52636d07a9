//! Bindings generated from `wit/` by `build.rs`: types, a trait for each interface, `register`.

#![allow(clippy::all, reason = "names, shapes and texts are the WIT's")]

include!(concat!(env!("OUT_DIR"), "/wasi.rs"));
