//! Damaged files, and guests that do what they must not: each a clear error or a fault, and an exit code.

use crate::shell::{Outcome, Scratch, atoll, guest, root};

/// Codes with which a run may end, whatever it was given: everything but a wrong command line and our own failure.
fn decent(outcome: &Outcome) {
    assert!(![2, 101, 125, 127].contains(&outcome.code), "exit {}:\n{}", outcome.code, outcome.stderr);
    if outcome.code == 126 {
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(".wasm"), "no file is named:\n{}", outcome.stderr);
    }
    if outcome.code == 134 {
        assert!(outcome.stderr.contains("fault: "), "{}", outcome.stderr);
    }
}

fn greeter() -> Vec<u8> {
    wat::parse_file(root().join("examples/greeter.wat")).expect("the example is valid text")
}

/// A fixed sequence, so that a failure can be seen again.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let step = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(step(&seed), step).map(|state| (state >> 33) as usize)
}

#[test]
fn truncated_components_are_refused() {
    let scratch = Scratch::new("truncated");
    for bytes in [greeter(), std::fs::read(guest("ledger.wasm")).expect("it is committed")] {
        for cut in numbers(1).take(24).map(|number| number % bytes.len()) {
            let file = scratch.file("cut.wasm", &bytes[..cut]);
            let outcome = atoll(["run", &file]).run();
            decent(&outcome);
            assert_eq!(outcome.code, 126, "cut at {cut}:\n{}", outcome.stderr);
        }
    }
}

#[test]
fn flipped_bits_end_in_an_error_a_fault_or_a_run() {
    let scratch = Scratch::new("flipped");
    // It has no loops, so whatever a flip makes of it comes to an end.
    let bytes = greeter();
    for (index, number) in numbers(2).take(150).enumerate() {
        let mut bytes = bytes.clone();
        let at = number % bytes.len();
        bytes[at] ^= 1 << (index % 8);
        let file = scratch.file("flipped.wasm", &bytes);
        decent(&atoll(["run", &file]).run());
    }
}

#[test]
fn flipped_bits_of_a_real_component_do_not_confuse_linking() {
    let scratch = Scratch::new("flipped-real");
    let bytes = std::fs::read(guest("bank.wasm")).expect("it is committed");
    for (index, number) in numbers(3).take(24).enumerate() {
        let mut bytes = bytes.clone();
        let at = number % bytes.len();
        bytes[at] ^= 1 << (index % 8);
        let file = scratch.file("flipped.wasm", &bytes);
        decent(&atoll(["tree", &file]).run());
    }
}

#[test]
fn a_missing_import_is_named() {
    let scratch = Scratch::new("missing");
    let text = r#"(component
        (import "a:b/c@1.0.0" (instance (export "f" (func))))
        (import "x:y/z" (instance (export "g" (func (param "n" u32)))))
        (import "plain" (func)))"#;
    let file = scratch.file("missing.wat", text);
    atoll(["run", &file]).run().exits(126).says(&[
        "missing.wat",
        "a:b/c@1.0.0",
        "x:y/z",
        "plain",
        "atoll tree",
    ]);
    let tree = atoll(["tree", &file]).run().exits(0);
    assert_eq!(tree.stdout.matches("✗ missing").count(), 3, "{}", tree.stdout);
}

/// A component that exports `f`, lifted with memory and realloc from one module with these fields.
fn lifted(ty: &str, fields: &str) -> String {
    format!(
        r#"(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
            {fields})
        (core instance $i (instantiate $m))
        (alias core export $i "memory" (core memory $memory))
        (alias core export $i "realloc" (core func $realloc))
        (alias core export $i "f" (core func $f))
        (func (export "f") {ty} (canon lift (core func $f) (memory $memory) (realloc $realloc))))"#
    )
}

/// Calls `f` of such a component and expects a fault of this text.
fn faults(name: &str, ty: &str, fields: &str, call: &str, text: &str) {
    let scratch = Scratch::new(name);
    let file = scratch.file(&format!("{name}.wat"), lifted(ty, fields));
    let outcome = atoll(["run", "--invoke", call, &file]).run().exits(134).prints("");
    outcome.says(&["fault: ", text, &format!("/{name}"), "next:"]);
}

#[test]
fn endless_recursion_is_a_fault() {
    let fields = r#"(func $r (export "f") (result i32) (i32.add (call $r) (i32.const 1)))"#;
    faults("recursion", "(result u32)", fields, "f()", "call stack exhausted");
}

#[test]
fn running_over_the_end_of_memory_is_a_fault() {
    let fields = r#"(func (export "f") (local $at i32)
        (loop $on
            (i32.store8 (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $on)))"#;
    faults("overrun", "", fields, "f()", "out of bounds memory access");
}

#[test]
fn the_far_end_of_the_address_space_is_a_fault() {
    for (name, offset) in [("far", 0u32), ("farther", u32::MAX)] {
        let fields = format!(r#"(func (export "f") (drop (i64.load offset={offset} (i32.const -1))))"#);
        faults(name, "", &fields, "f()", "out of bounds memory access");
    }
}

#[test]
fn arithmetic_and_table_mistakes_are_faults() {
    let divide = r#"(func (export "f") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))"#;
    faults("divide", "(param \"x\" u32) (result u32)", divide, "f(0)", "integer divide by zero");
    let call = r#"(table 1 funcref) (func (export "f") (call_indirect (i32.const 0)))"#;
    faults("null-call", "", call, "f()", "uninitialized element");
    let beyond = r#"(table 1 funcref) (func (export "f") (call_indirect (i32.const 7)))"#;
    faults("far-call", "", beyond, "f()", "undefined element");
    faults("stop", "", r#"(func (export "f") unreachable)"#, "f()", "unreachable");
}

#[test]
fn bad_pointers_in_results_are_faults() {
    let returns = |pointer: i64, length: i64| {
        format!(
            r#"(func (export "f") (result i32)
            (i32.store (i32.const 0) (i32.const {pointer})) (i32.store (i32.const 4) (i32.const {length})) (i32.const 0))"#
        )
    };
    let string = "(result string)";
    faults("string-far", string, &returns(65530, 10), "f()", "string content out-of-bounds");
    faults("string-wrap", string, &returns(-1, 2), "f()", "out-of-bounds");
    faults("string-long", string, &returns(0, 0x1000_0000), "f()", "out of bounds");
    faults("list-far", "(result (list u32))", &returns(65532, 2), "f()", "list content out-of-bounds");
    faults("list-odd", "(result (list u32))", &returns(2, 1), "f()", "unaligned pointer");
    faults("list-huge", "(result (list u64))", &returns(0, 0x7fff_ffff), "f()", "out of bounds");
    let area = r#"(func (export "f") (result i32) (i32.const 65533))"#;
    faults("area", string, area, "f()", "pointer");
}

#[test]
fn bad_values_in_results_are_faults() {
    let constant = |value: i64| format!(r#"(func (export "f") (result i32) (i32.const {value}))"#);
    faults("surrogate", "(result char)", &constant(0xd800), "f()", "invalid `char` bit pattern");
    faults("beyond", "(result char)", &constant(0x11_0000), "f()", "invalid `char` bit pattern");
    let text = r#"(data (i32.const 16) "\ff\fe") (func (export "f") (result i32)
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 2)) (i32.const 0))"#;
    faults("not-utf8", "(result string)", text, "f()", "utf-8");
    let case = r#"(func (export "f") (result i32) (i32.store8 (i32.const 0) (i32.const 9)) (i32.const 0))"#;
    faults("no-case", "(result (option u32))", case, "f()", "invalid variant discriminant");
}

#[test]
fn bad_allocators_are_faults() {
    let scratch = Scratch::new("allocator");
    let cases = [
        ("65530", "realloc return"),
        ("-8", "realloc return"),
        ("4097", "not aligned"),
        ("unreachable", "unreachable"),
    ];
    for (result, text) in cases {
        let body = if result == "unreachable" { result.to_string() } else { format!("(i32.const {result})") };
        let wat = lifted("(param \"x\" (list u64))", r#"(func (export "f") (param i32 i32))"#)
            .replace("(i32.const 4096)", &body);
        let file = scratch.file("allocator.wat", wat);
        let outcome = atoll(["run", "--invoke", "f([1, 2, 3])", &file]).run().exits(134);
        outcome.says(&["fault: ", text]);
    }
}

#[test]
fn a_start_function_that_traps_is_a_fault() {
    let scratch = Scratch::new("start");
    let text = r#"(component
        (core module $m (func $s unreachable) (start $s))
        (core instance (instantiate $m)))"#;
    let file = scratch.file("start.wat", text);
    atoll(["tree", &file]).run().exits(134).says(&["fault: ", "unreachable"]);
}

#[test]
fn a_fault_in_a_child_names_both_processes() {
    let file = root().join("examples/fault.wat").display().to_string();
    let outcome = atoll(["run", "--invoke", "ratio(1, 0)", &file]).run().exits(134);
    outcome.says(&["integer divide by zero", "/fault/divider", "/fault/front", "have ended"]);
    atoll(["run", "--invoke", "ratio(7, 2)", &file]).run().exits(0).prints("3\n");
}

#[test]
fn much_of_everything_is_refused_or_works() {
    let scratch = Scratch::new("much");
    let mut deep = String::new();
    (0..200).for_each(|_| deep.push_str("(component "));
    (0..200).for_each(|_| deep.push(')'));
    decent(&atoll(["validate", &scratch.file("deep.wasm", deep)]).run());
    // Each level instantiates the one below twice: 2 to the power of 40 processes.
    let mut wide = "(component $c0)".to_string();
    for level in 1..=40 {
        let below = level - 1;
        wide = format!(
            "(component $c{level} {wide} (instance (instantiate $c{below})) (instance (instantiate $c{below})))"
        );
    }
    let outcome = atoll(["tree", &scratch.file("wide.wasm", wide)]).run();
    decent(&outcome);
    assert_eq!(outcome.code, 126, "{}", outcome.stderr);
    let memory = "(component (core module $m (memory 65536)) (core instance (instantiate $m)))";
    decent(&atoll(["tree", &scratch.file("memory.wasm", memory)]).run());
    let table = "(component (core module $m (table 0xffffffff funcref)) (core instance (instantiate $m)))";
    decent(&atoll(["tree", &scratch.file("table.wasm", table)]).run());
}
