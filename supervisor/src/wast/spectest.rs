//! The module `spectest` that core scripts import: itself a core module, so that nothing about it is special.

use wasmparser::WasmFeatures;

/// The functions do nothing: what they are given is what scripts compute, and scripts assert that elsewhere.
const BASE: &str = r#"(module
    (func (export "print"))
    (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64))
    (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64))
    (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64))
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (table (export "table") 10 20 funcref)
    (memory (export "memory") 1 2))"#;

const TABLE_64: &str = r#"(module (table (export "table64") i64 10 20 funcref))"#;

const SHARED_MEMORY: &str = r#"(module (memory (export "shared_memory") 1 1 shared))"#;

/// The modules whose exports together are `spectest` for these proposals.
pub(super) fn modules(features: WasmFeatures) -> impl Iterator<Item = &'static str> {
    let of = |wanted: bool, text| wanted.then_some(text);
    [of(true, BASE), of(features.memory64(), TABLE_64), of(features.threads(), SHARED_MEMORY)]
        .into_iter()
        .flatten()
}
