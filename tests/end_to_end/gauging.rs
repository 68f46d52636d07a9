//! `atoll bench`: rows that were measured, floors beside them, comparisons that end with a code.

use serde_json::Value;

use crate::shell::{Outcome, Scratch, atoll, root};

fn shop() -> String {
    root().join("examples/shop.wat").display().to_string()
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}:\n{}", outcome.stdout))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn every_rung_is_measured_beside_its_floor() {
    let outcome = atoll(["bench", "ipc", "--quick", "--json", "--load", "pair"]).run().exits(0);
    let sheet = json(&outcome);
    assert_eq!(sheet["kind"], "ipc");
    assert!(number(&sheet["machine"]["cores"]) >= 1.0);
    let rows = sheet["rows"].as_array().expect("rows");
    let rungs: Vec<&str> = rows.iter().filter_map(|row| row["rung"].as_str()).collect();
    assert_eq!(rungs[..3], ["fused", "handoff", "channel"]);
    for row in rows {
        let (median, floor) = (number(&row["median_ns"]), number(&row["floor"]["median_ns"]));
        assert!(median > 0.0 && floor > 0.0, "{row}");
        assert!(number(&row["samples"]) >= 40.0, "{row}");
    }
    // Whatever else the machine does, leaving a domain costs more than staying.
    assert!(number(&rows[0]["median_ns"]) < number(&rows[2]["median_ns"]));
}

#[test]
fn one_call_is_measured_as_often_as_is_said() {
    let call = |options: &[&str]| {
        let file = shop();
        atoll(
            [&["bench", "call", "--quick", "--json", "--calls", "60", "--invoke"], options, &[&file]]
                .concat(),
        )
        .run()
    };
    let sheet = json(&call(&["order(4)"]).exits(0));
    assert_eq!(sheet["rows"][0]["samples"], 60);
    assert_eq!(sheet["rows"][0]["load"], "order(4)");
    assert_eq!(sheet["rows"][0]["p99_ns"], Value::Null, "of 60 nobody is beyond the 99th");
    let sheet = json(&call(&["order(4)", "--isolate", "all"]).exits(0));
    let edge = |callee: &str| {
        let edges = sheet["edges"].as_array().expect("edges");
        edges
            .iter()
            .find(|edge| edge["callee"] == callee)
            .unwrap_or_else(|| panic!("no edge to {callee}"))
            .clone()
    };
    for callee in ["/shop/cart", "/shop/store"] {
        let edge = edge(callee);
        assert_eq!(edge["calls_each"], 1.0, "{edge}");
        assert!(number(&edge["median_ns"]) > 0.0, "{edge}");
    }
    call(&["order(12)"]).exits(134).says(&["in process /shop/store"]);
    call(&["oder(4)"]).exits(126).says(&["did you mean `order`?"]);
    call(&["order()"]).exits(2);
    call(&["order(4)", "--isolate", "nobody"]).exits(2).says(&["no process is called `nobody`"]);
}

#[test]
fn a_slower_row_ends_with_a_code() {
    let scratch = Scratch::new("gauging");
    let saved = scratch.path().join("old.json").display().to_string();
    let file = shop();
    let call = |options: &[&str]| {
        atoll(
            [&["bench", "call", "--quick", "--calls", "100", "--invoke", "ring()"], options, &[&file]]
                .concat(),
        )
        .run()
    };
    let outcome = call(&["--save", &saved]).exits(0);
    assert!(
        outcome.stdout.contains("ring()") && outcome.stdout.contains("crossbeam ping-pong"),
        "{}",
        outcome.stdout
    );
    let text = std::fs::read_to_string(&saved).expect("it was saved");
    let mut sheet: Value = serde_json::from_str(&text).expect("it is JSON");
    let median = number(&sheet["rows"][0]["median_ns"]);
    let mut older = |factor: f64| {
        sheet["rows"][0]["median_ns"] = Value::from(median * factor);
        scratch.file("changed.json", sheet.to_string())
    };
    let outcome = call(&["--compare", &older(0.001)]).exits(1);
    assert!(outcome.stdout.contains("slower"), "{}", outcome.stdout);
    let outcome = call(&["--compare", &older(1000.0)]).exits(0);
    assert!(outcome.stdout.contains("faster"), "{}", outcome.stdout);
    call(&["--compare", &scratch.file("none.json", "{}")]).exits(2).says(&["no result of `atoll bench`"]);
    call(&["--compare", "/nowhere/old.json"]).exits(127);
    atoll(["bench", "ipc", "--load", "nothing"]).run().exits(2).says(&["there are u32 pair, string 16 B"]);
}
