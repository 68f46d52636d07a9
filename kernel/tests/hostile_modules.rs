//! Modules made to hurt the compiler: each is compiled or refused, soon, and nothing panics.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::fmt::Write;

use atoll_kernel::jit::compile_error::CompileError;
use atoll_kernel::jit::engine::{Engine, EngineOptions};

fn compile(wasm: &[u8]) -> Result<(), CompileError> {
    let engine = Engine::with(EngineOptions { verify: true, ..EngineOptions::default() }).unwrap();
    engine.library(wasm).map(drop)
}

#[track_caller]
fn refused(text: &str) -> String {
    match compile(&wat::parse_str(text).unwrap()) {
        Err(error @ (CompileError::Limit { .. } | CompileError::Unsupported { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn compiles(text: &str) {
    compile(&wat::parse_str(text).unwrap()).unwrap();
}

/// A module whose type `$t` takes and returns a thousand values, and whose function `$f` has that type.
fn thousand(body: &str) -> String {
    let list = " i32".repeat(1000);
    let gets: String = (0..1000).fold(String::new(), |mut text, at| {
        write!(text, "(local.get {at})").unwrap();
        text
    });
    format!("(module (type $t (func (param {list}) (result {list}))) (func $f (type $t) {gets} {body}))")
}

#[test]
fn a_byte_may_not_stand_for_a_thousand_values_too_often() {
    compiles(&thousand(&"call $f ".repeat(10)));
    for piece in ["call $f ", "block (type $t) end ", "local.get 0 br_if 0 ", "loop (type $t) end "] {
        let error = refused(&thousand(&piece.repeat(20_000)));
        assert!(error.contains("values carried"), "{piece}: {error}");
    }
    let deep = 20_000;
    let table: String = (0..deep).fold(String::new(), |mut text, depth| {
        write!(text, " {depth}").unwrap();
        text
    });
    let nested = format!(
        "{}{}br_table {table}{}",
        "block (type $t) ".repeat(deep),
        "i32.const 0 ",
        " end".repeat(deep)
    );
    assert!(refused(&thousand(&nested)).contains("values carried"));
}

#[test]
fn locals_times_blocks_are_bounded() {
    let locals = " i64".repeat(40_000);
    let error = refused(&format!("(module (func (local {locals}) {}))", "loop end ".repeat(10_000)));
    assert!(error.contains("locals times blocks"), "{error}");
}

#[test]
fn what_is_only_long_compiles() {
    compiles(&format!("(module (func {} {}))", "block ".repeat(20_000), "end ".repeat(20_000)));
    let body = format!("(block (br_table {} (local.get 0)))", "0 ".repeat(200_000));
    compiles(&format!("(module (func (param i32) {body}))"));
    compiles(&format!("(module {})", "(func) ".repeat(5_000)));
    compiles(&format!("(module (func (result i32) i32.const 0 {}))", "i32.const 1 i32.add ".repeat(20_000)));
}

#[test]
fn what_is_missing_is_named() {
    let error = refused("(module (type $s (struct)) (func (drop (struct.new $s))))");
    assert!(error.contains("StructNew") && error.contains("0x"), "{error}");
    let engine = Engine::new().unwrap();
    let error = engine.library(&wat::parse_str("(component)").unwrap()).unwrap_err();
    assert!(error.to_string().contains("component"), "{error}");
}

#[test]
fn a_module_cut_off_anywhere_is_an_error() {
    let wasm = wat::parse_str(
        r#"(module (import "a" "b" (func (param i64))) (memory 1) (table 2 funcref) (global i32 (i32.const 1))
            (func (export "f") (param i32) (result i32) (i32.load (local.get 0)))
            (elem (i32.const 0) func 0 1) (data (i32.const 4) "abcd") (tag (param i32)) (start 2) (func))"#,
    )
    .unwrap();
    compile(&wasm).unwrap();
    for end in 0..wasm.len() {
        let result = compile(&wasm[..end]);
        // The module's header alone is a module, and so are some of its prefixes of whole sections.
        assert!(matches!(result, Ok(()) | Err(CompileError::Invalid { .. })), "{end}: {result:?}");
    }
}
