//! Command lines, help, wrong files and what is said of them.

use crate::shell::{Scratch, atoll, guest, root};

#[test]
fn help_is_for_people() {
    let help = atoll(["--help"]).run().exits(0);
    assert!(
        help.stdout.contains("Examples:") && help.stdout.contains("134  a guest trapped"),
        "{}",
        help.stdout
    );
    atoll(["run"]).run().exits(2).says(&["FILE"]);
    atoll(["run", "--tree=yes", "x.wasm"]).run().exits(2);
    atoll(["run", "--bogus", "x.wasm"]).run().exits(2).says(&["--bogus"]);
    atoll(["run", "--env", "K", "x.wasm"]).run().exits(2).says(&["KEY=VALUE"]);
    atoll(["run", "--dir", "::x", "x.wasm"]).run().exits(2).says(&["HOST"]);
    atoll(["frobnicate"]).run().exits(2).says(&["frobnicate"]);
    atoll(["run", "--invoke", "f()", "x.wasm", "y"]).run().exits(2).says(&["--invoke"]);
    let version = atoll(["--version"]).run().exits(0);
    assert!(version.stdout.starts_with("atoll "), "{}", version.stdout);
}

#[test]
fn completions_are_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = atoll(["completions", shell]).run().exits(0).stdout;
        assert!(script.contains("atoll") && script.contains("inherit-env"), "{shell}");
    }
}

#[test]
fn wrong_files_are_told_what_they_are() {
    let scratch = Scratch::new("wrong");
    let said = |name: &str, bytes: &[u8], parts: &[&str]| {
        let file = scratch.file(name, bytes);
        atoll(["run", &file]).run().exits(126).prints("").says(parts).says(&[name]);
    };
    said("empty.wasm", b"", &["an empty file"]);
    said("native", b"\x7fELF\x02\x01\x01", &["native executable", "expected a WebAssembly component"]);
    said("script.sh", b"#!/bin/sh\nexit 0\n", &["a script"]);
    said("notes.txt", b"remember the milk\n", &["text that is not WebAssembly text"]);
    said("noise", &[0xff, 0xfe, 0x00, 0x80], &["not WebAssembly"]);
    said("short.wasm", b"\0asm\x0d", &["cut off"]);
    said("draft.wasm", b"\0asm\x0a\0\x01\0", &["draft"]);
    said("typo.wat", b"(component\n  (core modul))\n", &["typo.wat:2", "core modul"]);
    said("wrong.wat", b"(component (export \"f\" (func 3)))", &["wrong.wat"]);
    let module = wat::parse_str("(module (func (export \"add\")))").expect("valid text");
    said("core.wasm", &module, &["a core WebAssembly module, expected a component", "`add`", "wasm-tools"]);
    let path = scratch.path().display().to_string();
    atoll(["run", &path]).run().exits(127).says(&["a folder"]);
    scratch.file("greeter.wat", "(component)");
    let near = format!("{path}/greter.wat");
    atoll(["run", &near]).run().exits(127).says(&["no such file", "did you mean", "greeter.wat"]);
}

#[test]
fn a_component_without_run_is_no_command() {
    atoll(["run", &guest("bank.wasm")]).run().exits(126).says(&["wasi:cli/run", "--invoke", "round"]);
}

#[test]
fn a_grant_that_is_not_there_is_refused() {
    let outcome = atoll(["run", "--dir", "/no/such/folder", &guest("hello.wasm")]).run().exits(125);
    outcome.says(&["/no/such/folder"]);
}

#[test]
fn validate_says_what_is_in_a_file() {
    let file = root().join("examples/greeter.wat").display().to_string();
    let outcome = atoll(["validate", &file]).run().exits(0);
    assert!(
        outcome.stdout.contains("a valid component: 3 imports, 1 export, 2 nested components"),
        "{}",
        outcome.stdout
    );
    let scratch = Scratch::new("validate");
    let bad = r#"(component (core module (func (result i32) (i64.const 1))))"#;
    let outcome = atoll(["validate", &scratch.file("bad.wat", bad)]).run().exits(126);
    outcome.says(&["bad.wat", "type mismatch", "offset"]);
}

#[test]
fn wit_prints_the_world() {
    let outcome = atoll(["wit", &guest("bank.wasm")]).run().exits(0);
    let world = outcome.stdout;
    for part in
        ["export atoll:ledger/accounts@0.1.0;", "resource account {", "record entry {", "overdrawn(s64)"]
    {
        assert!(world.contains(part), "`{part}` is not in\n{world}");
    }
}

#[test]
fn colours_are_for_terminals() {
    let file = root().join("examples/greeter.wat").display().to_string();
    assert!(!atoll(["tree", &file]).run().stdout.contains('\x1b'));
    assert!(atoll(["--color", "always", "tree", &file]).run().stdout.contains('\x1b'));
    assert!(!atoll(["tree", &file]).env("CLICOLOR_FORCE", "1").run().stdout.contains('\x1b'));
}

#[test]
fn an_image_is_only_for_running() {
    let scratch = Scratch::new("only-running");
    let image = scratch.path().join("bank.atoll").display().to_string();
    let made = atoll(["compile", &guest("bank.wasm"), "-o", &image]).run().exits(0);
    assert!(made.stdout.contains("of machine code"), "{}", made.stdout);
    atoll(["run", "--invoke", "round(0.5, none)", &image]).run().exits(0).prints("1\n");
    atoll(["wit", &image]).run().exits(126).says(&["a precompiled image"]);
    let nowhere = scratch.path().join("no/such/folder/x.atoll").display().to_string();
    atoll(["compile", &guest("bank.wasm"), "-o", &nowhere]).run().exits(125).says(&["x.atoll"]);
}

#[test]
fn what_is_not_supported_is_named_once() {
    let scratch = Scratch::new("unsupported");
    let text = r#"(component (core module (type $s (struct (field i32)))
        (func (drop (struct.new $s (i32.const 1))))))"#;
    let outcome =
        atoll(["run", &scratch.file("gc.wat", text)]).run().exits(126).says(&["gc.wat", "core module 0"]);
    assert_eq!(outcome.stderr.matches("StructNew").count(), 1, "{}", outcome.stderr);
}
