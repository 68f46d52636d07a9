//! `--spans`: what becomes of a tree, told as it happens.

use nix::sys::signal::Signal;

use crate::shell::{Scratch, atoll, root};
use crate::upkeep::Up;

/// Lines without what is different each time: when it was, and how long it took.
fn timeless(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let (time, line) = line.trim_start().split_once("  ").expect("a time comes first");
        assert!(time.parse::<f64>().is_ok_and(|seconds| seconds < 600.0), "{time}");
        let line = line.split("  was there for ").next().expect("there is a first part");
        if line.starts_with('#') { line.rsplit_once("  ").expect("it took some time").0 } else { line }
            .to_owned()
    };
    text.lines().map(line).collect()
}

fn order(spans: &[&str]) -> crate::shell::Outcome {
    let shop = root().join("examples/shop.wat").display().to_string();
    let options = ["run", "--isolate", "store", "--on-fault", "error"];
    let calls = ["--invoke", "order(4)", "--invoke", "order(12)"];
    atoll([&options[..], spans, &calls, &[&shop]].concat())
        .run()
        .exits(0)
        .prints("ok(40)\nerr(\"wasm `unreachable` instruction executed\")\n")
}

#[test]
fn a_run_is_told_as_lines() {
    let scratch = Scratch::new("spans-lines");
    let file = scratch.path().join("spans.txt").display().to_string();
    order(&["--spans=*", "--spans-to", &file]);
    let text = std::fs::read_to_string(&file).expect("it was written");
    // Calls and lives are told by two threads: each keeps its order.
    let (calls, lives): (Vec<String>, _) =
        timeless(&text).into_iter().partition(|line| line.starts_with('#'));
    insta::assert_snapshot!("spans_of_a_run", format!("{}\n\n{}", lives.join("\n"), calls.join("\n")));
    // Only the lives, to standard error.
    let lives = order(&["--spans"]).stderr;
    assert!(
        lives.contains("/shop/store/gen0  faulted: wasm `unreachable`") && !lives.contains("#0"),
        "{lives}"
    );
    // Only some edges.
    let some = order(&["--spans=*->store"]).stderr;
    assert!(some.contains("→ /shop/store  take(") && !some.contains("host → "), "{some}");
}

#[test]
fn a_run_is_told_to_collectors_too() {
    let scratch = Scratch::new("spans-json");
    let file = scratch.path().join("spans.jsonl").display().to_string();
    order(&["--spans=*", "--spans-to", &file]);
    let text = std::fs::read_to_string(&file).expect("it was written");
    let mut named = Vec::new();
    for line in text.lines() {
        let read: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        let spans = read["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone();
        for span in spans {
            let attributes = span["attributes"].as_array().expect("attributes").clone();
            let text = |key: &str| {
                let found = attributes.iter().find(|attribute| attribute["key"] == format!("atoll.{key}"))?;
                found["value"]["stringValue"].as_str().map(str::to_owned)
            };
            named.push((span["name"].as_str().expect("a name").to_owned(), text("caller"), text("callee")));
        }
    }
    let call = |(_, caller, callee): &(_, Option<String>, Option<String>)| {
        caller.as_deref() == Some("/shop/cart") && callee.as_deref() == Some("/shop/store")
    };
    assert_eq!(named.iter().filter(|span| call(span)).count(), 2, "{named:?}");
    if !cfg!(feature = "otel") {
        let shop = root().join("examples/shop.wat").display().to_string();
        let refused =
            atoll(["run", "--spans", "--spans-to", "http://127.0.0.1:4318", "--invoke", "ring()", &shop]);
        refused.run().exits(2).says(&["cannot speak with a collector", "--features otel", "spans.jsonl"]);
    }
}

#[test]
fn a_tree_that_is_kept_running_is_told_life_by_life() {
    let scratch = Scratch::new("spans-up");
    let file = scratch.path().join("spans.txt").display().to_string();
    let shop = root().join("examples/shop").display().to_string();
    let mut up = Up::start(&["--spans=cart->*", "--spans-to", &file, &shop]);
    up.until("store ● started (gen1)");
    up.until("joe: ");
    up.signal(Signal::SIGINT);
    assert_eq!(up.end().0, 130);
    let told = timeless(&std::fs::read_to_string(&file).expect("it was written"));
    let mut told = told.iter();
    for words in [
        "tree shop  launched",
        "/shop/cart → /shop/store  ",
        "/shop/store/gen0  faulted: wasm `unreachable` instruction executed",
        "/shop/store/gen1  restarted",
        "/shop/cart → /shop/store  ",
        "tree shop  ended",
    ] {
        assert!(told.any(|line| line.contains(words)), "after what was before it, `{words}` is not told");
    }
}
