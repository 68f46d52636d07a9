//! A core module by atoll and by Wasmtime.

use crate::smith::Case;
use crate::{by_atoll, by_wasmtime};

/// Where the module of a finding is written, if this variable is set.
const MODULE_PATH: &str = "ATOLL_FUZZ_WASM";

/// Runs a module made of `data` in both engines.
///
/// # Panics
/// If they differ in a result, a trap, a global, a table or a memory.
pub fn check(data: &[u8]) {
    let Ok(case) = Case::new(data) else { return };
    if let Some(path) = std::env::var_os(MODULE_PATH) {
        std::fs::write(path, &case.wasm).expect("the module can be written");
    }
    let ours = by_atoll::run(&case);
    if ours.is_refused() {
        return;
    }
    let theirs = by_wasmtime::run(&case);
    if let Some(difference) = ours.difference(&theirs) {
        panic!("atoll and Wasmtime differ: {difference}");
    }
}
