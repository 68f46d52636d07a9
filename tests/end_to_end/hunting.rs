//! `atoll fuzz`: finds the bugs of its example, and what it writes down can be run again.

use std::path::PathBuf;

use crate::shell::{Outcome, Scratch, atoll, root};

/// Sequences in which all bugs of the example are found with the seed below. It follows from the seed alone, so the
/// test cannot fail by chance.
const RUNS: &str = "8000";

fn bugs() -> String {
    root().join("examples/bugs.wat").display().to_string()
}

fn hunt(scratch: &Scratch, more: &[&str]) -> Outcome {
    let (findings, file) = (scratch.path().display().to_string(), bugs());
    let mut args = vec!["fuzz", "--findings", &findings, "--steps", "100000"];
    args.extend(more);
    args.push(&file);
    atoll(args).run()
}

fn finding(scratch: &Scratch, kind: &str, with: &str) -> (PathBuf, String) {
    let files = std::fs::read_dir(scratch.path()).expect("the folder is there").flatten();
    let mut found = files.filter_map(|entry| {
        let text = std::fs::read_to_string(entry.path()).ok()?;
        (text.contains(&format!("kind: {kind}\n")) && text.contains(with)).then(|| (entry.path(), text))
    });
    found.next().unwrap_or_else(|| panic!("no {kind} with `{with}` was found"))
}

#[test]
fn all_bugs_of_the_example_are_found_and_shown_again() {
    let scratch = Scratch::new("hunt");
    let outcome = hunt(&scratch, &["--runs", RUNS, "--seed", "1"]).exits(1);
    assert!(outcome.stdout.contains("6 findings"), "{}", outcome.stdout);
    finding(&scratch, "trap", "  rank([0, 0, 0, 0, 0, 0, 0, 0, 0])\n");
    finding(&scratch, "trap", "  knock(\"open sesame\")\n");
    finding(&scratch, "memory-leak", "  note(");
    finding(&scratch, "memory-leak", "  visit()\n");
    finding(&scratch, "timeout", "  settle(1554098974)\n");
    let (path, text) = finding(&scratch, "trap", "  [method]job.finish(borrow(0))  # here\n");
    assert!(text.contains("bugs!finish at"), "{text}");
    let replayed = atoll(["fuzz", "--replay", &path.display().to_string()]).run().exits(1);
    assert!(replayed.stdout.contains("✗\ntrap: wasm `unreachable`"), "{}", replayed.stdout);
    atoll(["run", "--invoke", &format!("@{}", path.display()), &bugs()])
        .run()
        .exits(134)
        .says(&["bugs!finish"]);
    let guide =
        std::fs::read_to_string(root().join("docs/fuzzing-a-component.md")).expect("the guide is there");
    let named: Vec<&str> =
        guide.split_whitespace().filter_map(|word| word.strip_prefix("fuzz-findings/")).collect();
    assert!(named.len() > 1, "the guide shows a finding and replays it");
    for name in named {
        assert!(scratch.path().join(name).exists(), "the guide names {name}");
    }
}

#[test]
fn the_same_seed_finds_the_same() {
    let hunt = |name: &str| {
        let scratch = Scratch::new(name);
        let json = hunt(&scratch, &["--runs", "800", "--seed", "3", "--json", "--skip", "memory-leak"])
            .exits(1)
            .stdout;
        let lines = json.lines().filter(|line| !line.contains("\"seconds\"") && !line.contains("\"file\""));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(hunt("hunt-once"), hunt("hunt-again"));
}

#[test]
fn calls_of_a_finding_can_be_invoked() {
    let finish = "[method]job.finish(borrow(0))";
    let line = ["run", "--invoke", "[constructor]job()", "--invoke", finish];
    let file = bugs();
    atoll(line.into_iter().chain([file.as_str()])).run().exits(0).prints("own(0)\n");
    let twice = line.into_iter().chain(["--invoke", finish, file.as_str()]);
    atoll(twice).run().exits(134).says(&["bugs!finish"]);
    atoll(["run", "--invoke", finish, "--invoke", finish, &file]).run().exits(2).says(&["no such resource"]);
    atoll(["run", "--invoke", "@gone.finding", &file])
        .run()
        .exits(127)
        .says(&["gone.finding: cannot be read"]);
}

#[test]
fn what_cannot_be_hunted_is_said() {
    let scratch = Scratch::new("no-hunt");
    hunt(&scratch, &["--export", "nothing"]).exits(126).says(&["no exported function `nothing`"]);
    atoll(["fuzz"]).run().exits(2).says(&["FILE"]);
    atoll(["fuzz", "--time", "soon", &bugs()]).run().exits(2).says(&["90s"]);
    let path = scratch.file("x.finding", "not one");
    atoll(["fuzz", "--replay", &path]).run().exits(126).says(&["no finding of `atoll fuzz`"]);
}

/// A component whose one function is `f: func(x: u32) -> u32` with this body; `before` comes first in it.
fn component(before: &str, imports: &str, with: &str, body: &str) -> String {
    format!(
        r#"(component
            {before}
            (core module $m {imports} (memory (export "memory") 1)
                (func $f (export "f") (param $x i32) (result i32) {body}))
            (core instance $i (instantiate $m {with}))
            (alias core export $i "f" (core func $f))
            (func (export "f") (param "x" u32) (result u32) (canon lift (core func $f))))"#
    )
}

#[test]
fn another_component_of_the_same_exports_is_compared_with() {
    let scratch = Scratch::new("against");
    let one = scratch.file("one.wat", component("", "", "", "(i32.shl (local.get $x) (i32.const 1))"));
    let other = "(if (i32.eq (local.get $x) (i32.const 0x12345678)) (then (return (i32.const 7))))
        (i32.add (local.get $x) (local.get $x))";
    let other = scratch.file("other.wat", component("", "", "", other));
    let folder = scratch.path().display().to_string();
    let line = ["fuzz", "--runs", "500", "--findings", &folder, "--against"];
    let outcome = atoll(line.iter().chain(&[other.as_str(), &one])).run().exits(1);
    assert!(
        outcome.stdout.contains("1 finding:") && outcome.stdout.contains("f(305419896)"),
        "{}",
        outcome.stdout
    );
    let (path, _) = finding(&scratch, "differs", "against: ");
    let replayed = atoll(["fuzz", "--replay", &path.display().to_string()]).run().exits(1).stdout;
    assert!(replayed.contains("f(305419896) → 610839792\ndiffers: "), "{replayed}");
    atoll(line.iter().chain(&[one.as_str(), &one])).run().exits(0);
}

#[test]
fn what_imports_answer_is_made_up() {
    let scratch = Scratch::new("imports");
    let before = r#"(import "ask" (func $ask (param "x" u32) (result u32)))
        (core func $ask (canon lower (func $ask)))"#;
    let imports = r#"(import "" "ask" (func $ask (param i32) (result i32)))"#;
    let with = r#"(with "" (instance (export "ask" (func $ask))))"#;
    let body =
        "(if (i32.gt_u (call $ask (local.get $x)) (i32.const 1000)) (then unreachable)) (local.get $x)";
    let file = scratch.file("asks.wat", component(before, imports, with, body));
    let folder = scratch.path().display().to_string();
    let line = ["fuzz", "--runs", "500", "--findings", &folder, &file];
    atoll(line).run().exits(1);
    let (path, text) = finding(&scratch, "trap", "  f(0)\n");
    assert!(!text.contains("answers: 0\n") && !text.contains("atoll run"), "{text}");
    atoll(["fuzz", "--replay", &path.display().to_string()]).run().exits(1);
}

#[test]
fn results_that_follow_from_chance_are_found() {
    let scratch = Scratch::new("chance");
    let before = r#"(import "wasi:random/random@0.2.0" (instance $random
            (export "get-random-u64" (func (result u64)))))
        (core func $roll (canon lower (func $random "get-random-u64")))"#;
    let imports = r#"(import "" "roll" (func $roll (result i64)))"#;
    let with = r#"(with "" (instance (export "roll" (func $roll))))"#;
    let body = "(i32.add (local.get $x) (i32.wrap_i64 (call $roll)))";
    let file = scratch.file("rolls.wat", component(before, imports, with, body));
    let folder = scratch.path().display().to_string();
    let line = ["fuzz", "--runs", "50", "--findings", &folder, &file];
    atoll(line).run().exits(0);
    let outcome = atoll(line.into_iter().chain(["--real-imports"])).run().exits(1);
    assert!(outcome.stdout.contains("nondeterminism: the first time it returned"), "{}", outcome.stdout);
    atoll(line.into_iter().chain(["--real-imports", "--skip", "nondeterminism"])).run().exits(0);
}

#[test]
fn handles_and_memory_are_counted() {
    let scratch = Scratch::new("counts");
    let before = r#"(type $thing (resource (rep i32))) (core func $new (canon resource.new $thing))"#;
    let imports = r#"(import "" "new" (func $new (param i32) (result i32)))"#;
    let with = r#"(with "" (instance (export "new" (func $new))))"#;
    let body = "(if (i32.gt_u (local.get $x) (i32.const 9))
            (then (drop (memory.grow (i32.const 2000))))
            (else (drop (call $new (local.get $x)))))
        (local.get $x)";
    let file = scratch.file("keeps.wat", component(before, imports, with, body));
    let folder = scratch.path().display().to_string();
    let line = ["fuzz", "--runs", "300", "--memory", "100", "--findings", &folder, &file];
    atoll(line).run().exits(1);
    finding(&scratch, "handle-leak", "  f(0)\n");
    finding(&scratch, "quota", "  f(10)\n");
}

#[test]
fn eight_bytes_a_call_are_a_leak_and_a_ring_is_none() {
    let scratch = Scratch::new("creeps");
    let hunt = |name: &str, bound: &str| {
        let at = "(global $at (mut i32) (i32.const 0))";
        // It writes eight bytes further each time, up to a bound; memory grows where there is none.
        let body = format!(
            "(if (i32.eq (global.get $at) (i32.shl (memory.size) (i32.const 16)))
                (then (drop (memory.grow (i32.const 1)))))
             (i32.store (global.get $at) (i32.const 1))
             (global.set $at (i32.rem_u (i32.add (global.get $at) (i32.const 8)) (i32.const {bound})))
             (local.get $x)"
        );
        let file = scratch.file(name, component("", at, "", &body));
        let folder = scratch.path().display().to_string();
        atoll(["fuzz", "--runs", "400", "--findings", &folder, &file]).run()
    };
    hunt("ring.wat", "0x8000").exits(0);
    hunt("creeps.wat", "0x7ffffff8").exits(1);
    let (path, text) = finding(&scratch, "memory-leak", "  f(0)\n");
    assert!(text.contains("after 16384") || text.contains("after 32768"), "{text}");
    let replayed = atoll(["fuzz", "--replay", &path.display().to_string()]).run().exits(1).stdout;
    assert!(replayed.contains("memory-leak: "), "{replayed}");
}

#[test]
fn a_hunt_goes_on_from_what_was_kept() {
    let scratch = Scratch::new("kept");
    let corpus = scratch.path().join("corpus").display().to_string();
    let knock = |runs: &str| hunt(&scratch, &["--export", "knock", "--corpus", &corpus, "--runs", runs]);
    knock("1500").exits(1);
    let kept = std::fs::read_dir(&corpus).expect("the folder was made").count();
    assert!(kept > 2, "{kept} kept");
    assert!(knock("1500").exits(1).stdout.contains("knock(\"open sesame\")"));
    let jobs = hunt(&scratch, &["--jobs", "2", "--runs", "600"]).exits(1);
    assert!(jobs.stdout.contains("finding"), "{}", jobs.stdout);
}

/// Two processes: what one is given the other computes with.
const PASSERS: &str = r#"(component
  (component $Back
    (core module $m
      (func (export "mix") (param i32 i32 i32 i64 f64) (result i64)
        (i64.add
          (i64.extend_i32_s (i32.add (local.get 0) (i32.mul (local.get 1) (local.get 2))))
          (i64.xor (local.get 3) (i64.reinterpret_f64 (local.get 4))))))
    (core instance $i (instantiate $m))
    (func (export "mix") (param "a" s8) (param "b" u16) (param "c" char) (param "d" s64) (param "e" f64)
      (result s64) (canon lift (core func $i "mix"))))
  (component $Front
    (import "mix" (func $mix (param "a" s8) (param "b" u16) (param "c" char) (param "d" s64) (param "e" f64)
      (result s64)))
    (core func $mix' (canon lower (func $mix)))
    (core module $m
      (import "" "mix" (func $mix (param i32 i32 i32 i64 f64) (result i64)))
      (func (export "mix") (param i32 i32 i32 i64 f64) (result i64)
        (call $mix (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
    (core instance $i (instantiate $m (with "" (instance (export "mix" (func $mix'))))))
    (func (export "mix") (param "a" s8) (param "b" u16) (param "c" char) (param "d" s64) (param "e" f64)
      (result s64) (canon lift (core func $i "mix"))))
  (instance $back (instantiate $Back))
  (instance $front (instantiate $Front (with "mix" (func $back "mix"))))
  (export "mix" (func $front "mix")))"#;

/// A component cannot tell whether its processes share a domain, so no bug of one is found this way: what is found is a bug
/// of the adapters or of the interpreter. `tests/mutants/rungs-sign` puts one there, and this test fails of it.
#[test]
fn a_call_is_the_same_in_one_domain_and_in_several() {
    let scratch = Scratch::new("rungs");
    let file = scratch.file("passers.wat", PASSERS);
    let folder = scratch.path().display().to_string();
    atoll(["fuzz", "--runs", "3000", "--findings", &folder, &file]).run().exits(0);
}
