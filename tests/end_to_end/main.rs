//! The binary `atoll` as a person uses it: a command line in, text and an exit code out.
//!
//! Whatever a test feeds it, it must neither hang, nor panic, nor die of a signal: [`shell`] checks that of every run.
//!
//! - [`shell`]: running the binary, with a time limit
//! - [`usage`]: command lines, help, wrong files and what is said of them
//! - [`examples`]: every file of `examples/`
//! - [`hunting`]: `atoll fuzz`
//! - [`gauging`]: `atoll bench`
//! - [`guests`]: components that real toolchains made, committed under `tests/guests`
//! - [`apart`]: domains: what a fault takes with it, limits, signals
//! - [`reaching`]: the network, and who may reach what of it
//! - [`checking`]: `atoll check`, manifests
//! - [`background`]: a tree that runs while others ask it; [`asked`]: by whom; [`intruders`]: who should not
//! - [`upkeep`]: `atoll up`: trees that are kept running; [`storefront`]: one of them, seen by all commands
//! - [`told`]: what `--spans` tells
//! - [`mischief`]: damaged files, and guests that do what they must not
//! - [`foreign`]: more real components, from a folder that `SHARED` names; skipped where there is none

mod apart;
mod asked;
mod background;
mod checking;
mod examples;
mod foreign;
mod gauging;
mod guests;
mod hunting;
mod intruders;
mod mischief;
mod reaching;
mod shell;
mod storefront;
mod told;
mod upkeep;
mod usage;
