//! Every file of `examples/`; a file without a test here fails one.

use std::collections::BTreeSet;

use crate::shell::{atoll, root};

fn example(name: &str) -> String {
    root().join("examples").join(name).display().to_string()
}

#[test]
fn every_example_is_a_test() {
    let entries = std::fs::read_dir(root().join("examples")).expect("the folder is there");
    let names: BTreeSet<String> =
        entries.flatten().map(|entry| entry.file_name().display().to_string()).collect();
    let tests = include_str!("examples.rs");
    for name in names.iter().filter(|name| name.ends_with(".wat")) {
        assert!(tests.contains(&format!("example(\"{name}\")")), "examples/{name} has no test in this file");
    }
}

#[test]
fn greeter() {
    let file = example("greeter.wat");
    let outcome = atoll(["run", "--tree", &file]).run().exits(0);
    let outcome =
        outcome.prints("Welcome, Ada, you are guest number 1\nWelcome, Björn, you are guest number 2\n");
    outcome.says(&[
        "3 processes, 3 libraries",
        "/greeter/book",
        "✓ server wasi:cli/stdout",
        "shared by 2 processes",
    ]);
    insta::assert_snapshot!("greeter_tree", stable(&atoll(["tree", &file]).run().exits(0).stdout, &file));
}

#[test]
fn fault() {
    let file = example("fault.wat");
    let outcome = atoll(["run", "--invoke", "ratio(1, 0)", &file]).run().exits(134);
    insta::assert_snapshot!("fault", outcome.stderr);
}

/// What is wrong with it is found in [`crate::hunting`]; this is what is right.
#[test]
fn bugs() {
    let file = example("bugs.wat");
    atoll(["run", "--invoke", "rank([3, 1, 2])", &file]).run().exits(0).prints("3\n");
    atoll(["run", "--invoke", "knock(\"hello\")", &file]).run().exits(0).prints("false\n");
}

#[test]
fn shop() {
    let file = example("shop.wat");
    let order = |item: u32| format!("order({item})");
    atoll(["run", "--invoke", &order(4), &file]).run().exits(0).prints("ok(40)\n");
    let apart = ["tree", "--isolate", "store,bell", "--on-fault", "store=error", "--deadline", "1s", &file];
    insta::assert_snapshot!("shop_tree", stable(&atoll(apart).run().exits(0).stdout, &file));
}

/// The text without what another compiler version would change: sizes of machine code, and where the file is.
fn stable(text: &str, file: &str) -> String {
    let lines = text.replace(file, "FILE");
    let lines = lines.lines().map(|line| match line.split_once(" code") {
        Some((head, tail)) => {
            let (head, _size) = head.trim_end().rsplit_once("  ").unwrap_or((head, ""));
            format!("{head}  … code{tail}")
        }
        None => line.to_string(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
