//! Every example runs.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

#[path = "../examples/blast_zone.rs"]
mod blast_zone;
#[path = "../examples/ways_to_call.rs"]
mod ways_to_call;

#[test]
fn calls_run() {
    ways_to_call::main().unwrap();
}

#[test]
fn a_blast_zone_holds() {
    blast_zone::main().unwrap();
}
