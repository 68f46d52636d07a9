//! The Component Model's own suite, as the sources of the crate `wasm-tools` carry it.

mod suite;

use std::process::ExitCode;

use suite::{Exception, Suite, located};

const SUITES: [&str; 6] = ["async", "binary", "linking", "resources", "validation", "values"];

const EXCEPTIONS: &[Exception] = &[Exception { file: "async/", reason: "asynchronous calls are not implemented" }];

fn main() -> ExitCode {
    let data = located::package("wasm-tools").join("tests/component-model/test");
    let suites = SUITES.map(|name| Suite { name, folder: data.join(name), features: "" });
    suite::main("component", &suites, EXCEPTIONS)
}
