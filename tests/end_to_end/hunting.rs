//! `atoll fuzz`: finds the bugs of its example, and what it writes down can be run again.

use std::path::PathBuf;

use crate::shell::{Outcome, Scratch, atoll, root};

/// Sequences in which all bugs of the example are found with the seed below. It follows from the seed alone, so the
/// test cannot fail by chance.
const RUNS: &str = "6000";

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
    assert!(outcome.stdout.contains("5 findings"), "{}", outcome.stdout);
    finding(&scratch, "trap", "  rank([0, 0, 0, 0, 0, 0, 0, 0, 0])\n");
    finding(&scratch, "trap", "  knock(\"open sesame\")\n");
    finding(&scratch, "memory-leak", "  note(");
    finding(&scratch, "timeout", "  settle(1554098974)\n");
    let (path, text) = finding(&scratch, "trap", "  [method]job.finish(borrow(0))  # here\n");
    assert!(text.contains("bugs!finish at"), "{text}");
    let replayed = atoll(["fuzz", "--replay", &path.display().to_string()]).run().exits(1);
    assert!(replayed.stdout.contains("✗\ntrap: wasm `unreachable`"), "{}", replayed.stdout);
}

#[test]
fn the_same_seed_finds_the_same() {
    let hunt = |name: &str| {
        let scratch = Scratch::new(name);
        let json = hunt(&scratch, &["--runs", "800", "--seed", "3", "--json", "--no-leaks"]).exits(1).stdout;
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
