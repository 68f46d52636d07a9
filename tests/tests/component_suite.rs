//! The Component Model's own suite, as the sources of the crate `wasm-tools` carry it.

mod suite;

use std::process::ExitCode;

use suite::{Exception, Suite, located};

const SUITES: [&str; 6] = ["async", "binary", "linking", "resources", "validation", "values"];

const ASYNC: &str = "asynchronous calls and their built-ins are not implemented";

const EXCEPTIONS: &[Exception] = &[
    Exception { file: "async/async-calls-sync", reason: ASYNC },
    Exception { file: "async/big-interleaving-test", reason: ASYNC },
    Exception { file: "async/builtin-trap-poisons-instance", reason: ASYNC },
    Exception { file: "async/cancel-and-exclusive-lock", reason: ASYNC },
    Exception { file: "async/cancel-stream", reason: ASYNC },
    Exception { file: "async/cancel-subtask", reason: ASYNC },
    Exception { file: "async/cancellable", reason: ASYNC },
    Exception { file: "async/closed-stream", reason: ASYNC },
    Exception { file: "async/cross-abi-calls", reason: ASYNC },
    Exception { file: "async/cross-task-future", reason: ASYNC },
    Exception { file: "async/deadlock", reason: ASYNC },
    Exception { file: "async/dont-block-start", reason: ASYNC },
    Exception { file: "async/drop-cross-task-borrow", reason: ASYNC },
    Exception { file: "async/drop-stream", reason: ASYNC },
    Exception { file: "async/drop-subtask", reason: ASYNC },
    Exception { file: "async/drop-waitable-set", reason: ASYNC },
    Exception { file: "async/during-sync-call-may-block-if-other-ready-threads", reason: ASYNC },
    Exception { file: "async/during-sync-call-no-exclusive-resume", reason: ASYNC },
    Exception { file: "async/during-sync-call-no-sibling-resume", reason: ASYNC },
    Exception { file: "async/empty-wait", reason: ASYNC },
    Exception { file: "async/futures-must-write", reason: ASYNC },
    Exception { file: "async/partial-stream-copies", reason: ASYNC },
    Exception { file: "async/passing-resources", reason: ASYNC },
    Exception { file: "async/same-component-stream-future", reason: ASYNC },
    Exception { file: "async/sync-barges-in", reason: ASYNC },
    Exception { file: "async/sync-streams", reason: ASYNC },
    Exception { file: "async/trap-if-block-and-sync", reason: ASYNC },
    Exception { file: "async/trap-if-done", reason: ASYNC },
    Exception { file: "async/trap-if-sync-and-waitable-set", reason: ASYNC },
    Exception { file: "async/trap-if-transfer-in-waitable-set", reason: ASYNC },
    Exception { file: "async/wait-during-callback", reason: ASYNC },
    Exception { file: "async/zero-length", reason: ASYNC },
];

fn main() -> ExitCode {
    let data = located::package("wasm-tools").join("tests/component-model/test");
    let suites = SUITES.map(|name| Suite { name, folder: data.join(name), features: "" });
    suite::main("component", &suites, EXCEPTIONS)
}
