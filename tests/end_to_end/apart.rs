//! Domains: what a fault takes with it, what limits do, and what signals end.

use nix::sys::signal::Signal;

use crate::shell::{Outcome, Scratch, atoll, guest, root};

/// Orders something in `examples/shop.wat`.
fn order(item: u32, options: &[&str]) -> Outcome {
    let (file, call) = (root().join("examples/shop.wat").display().to_string(), format!("order({item})"));
    atoll([&["run", "--invoke", &call], options, &[&file]].concat()).run()
}

/// The lines with these words in them.
fn lines<'o>(outcome: &'o Outcome, words: &str) -> Vec<&'o str> {
    outcome.stderr.lines().filter(|line| line.contains(words)).collect()
}

#[test]
fn a_fault_takes_the_processes_on_its_stack() {
    let outcome = order(12, &["--tree"]).exits(134).prints("");
    let outcome = outcome.says(&[
        "in process /shop/store",
        "0  /shop/store  store!",
        "cart!add",
        "front!order",
        "/shop/store, /shop/cart, /shop/front have ended; /shop, /shop/bell live on as before",
    ]);
    // Before and after.
    assert_eq!(lines(&outcome, "  faulted  ").len(), 3);
    assert_eq!(lines(&outcome, "  ready  ").len(), 5 + 2);
}

#[test]
fn who_is_not_on_it_can_be_called_again() {
    let file = root().join("examples/shop.wat").display().to_string();
    let calls = ["ring()", "order(12)", "ring()", "order(4)"];
    let run = |options: &[&str]| {
        let calls = calls.iter().flat_map(|call| ["--invoke", call]).collect::<Vec<_>>();
        atoll([&["run"], calls.as_slice(), options, &[&file]].concat()).run()
    };
    let outcome = run(&[]).exits(134).prints("1\n2\n");
    assert_eq!(lines(&outcome, "fault: ").len(), 2, "{}", outcome.stderr);
    outcome.says(&["unreachable", "cannot enter component instance"]);
    let error = |text: &str| format!("1\nerr(\"{text}\")\n2\n");
    let outcome = run(&["--isolate", "store", "--on-fault", "error"]).exits(0);
    assert!(
        outcome.stdout.starts_with(&error("wasm `unreachable` instruction executed")),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_boundary_stops_it() {
    let outcome = order(12, &["--isolate", "store", "--on-fault", "error"]).exits(0);
    outcome.prints("err(\"wasm `unreachable` instruction executed\")\n");
    order(4, &["--isolate", "all"]).exits(0).prints("ok(40)\n");
    // Every caller faults in turn, and the chain is whole.
    let outcome = order(12, &["--isolate", "all"]).exits(134);
    let outcome = outcome.says(&["in process /shop/store", "store!", "cart!add", "front!order"]);
    outcome.says(&["/shop/bell live on"]);
    order(12, &["--isolate", "all", "--on-fault", "cart=error"]).exits(0);
    let outcome = order(12, &["--isolate", "store", "--on-fault", "retry:3"]).exits(134);
    outcome.says(&["of domain 1/gen3"]);
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let limits = ["--isolate", "store", "--on-fault", "error", "--deadline", "store=20ms"];
    let outcome = order(7, &limits).exits(0);
    assert!(outcome.stdout.starts_with("err(\"deadline of a call"), "{}", outcome.stdout);
    order(7, &["--call-time", "20ms"]).exits(134).says(&["wall-clock time of a call", "store!"]);
}

#[test]
fn limits_hold() {
    order(8, &[]).exits(0).prints("ok(1024)\n");
    order(8, &["--memory", "store=1MiB"]).exits(0).prints("ok(16)\n");
    order(8, &["--memory", "store=1MiB", "--memory", "4MiB"]).exits(0).prints("ok(16)\n");
    order(8, &["--memory", "4MiB", "--memory", "cart=1MiB"]).exits(0).prints("ok(64)\n");
    let shares = ["--isolate", "store", "--cpu-cap", "store=50%", "--cpu-weight", "store=10"];
    order(4, &shares).exits(0).prints("ok(40)\n");
    order(4, &["--mailbox", "1", "--message", "1KiB", "--handles", "10"]).exits(0).prints("ok(40)\n");
    order(4, &["--workers", "3", "--slice", "100us", "--table-elements", "1"]).exits(0).prints("ok(40)\n");
    let scratch = Scratch::new("limits");
    let deep = r#"(component
        (core module $m (func $f (export "f") (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
            (else (i32.const 0)))))
        (core instance $i (instantiate $m))
        (func (export "f") (param "n" u32) (result u32) (canon lift (core func $i "f"))))"#;
    let file = scratch.file("deep.wat", deep);
    let dive = |options: &[&str]| atoll([&["run", "--invoke", "f(5000)"], options, &[&file]].concat()).run();
    dive(&[]).exits(0).prints("5000\n");
    dive(&["--stack", "64KiB"]).exits(134).says(&["stack", "65536"]);
}

#[test]
fn a_report_is_for_programs() {
    let scratch = Scratch::new("report");
    let file = scratch.path().join("end.json").display().to_string();
    let report = |item: u32, options: &[&str], code: i32| {
        order(item, &[options, &["--report", &file]].concat()).exits(code);
        let text = std::fs::read_to_string(&file).expect("it was written");
        serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON")
    };
    let good = report(4, &[], 0);
    assert_eq!(good["exit"], 0);
    assert!(good["fault"].is_null() && good["faults"].is_null(), "{good}");
    assert_eq!(good["root"]["children"].as_array().map(Vec::len), Some(4));
    let front = &good["used"]["processes"][3];
    assert_eq!((&front["path"], &front["calls"]), (&"/shop/front".into(), &1.into()), "{front}");
    assert_eq!(front["peak_memory_bytes"], 65536);
    // A thread is counted when it leaves the processor, which may be after its answer.
    assert!(good["used"]["domains"][0]["cpu_ns"].is_u64());
    let bad = report(12, &["--isolate", "all"], 134);
    assert_eq!(bad["fault"]["kind"], "unreachable");
    assert_eq!(bad["fault"]["process"]["path"], "/shop/store");
    assert_eq!(bad["fault"]["domain"]["index"], 1);
    let chain = bad["fault"]["backtrace"].as_array().expect("a list").iter();
    let functions: Vec<_> = chain.filter(|frame| frame["what"] == "function").collect();
    assert_eq!(functions[0]["function"], "take");
    assert!(functions.iter().all(|frame| frame["pc"].is_u64()) && functions.len() == 3, "{functions:?}");
    assert_eq!(bad["root"]["children"][0]["state"], "faulted");
    assert_eq!(bad["root"]["children"][3]["state"], "ready");
    assert!(bad["faults"].as_array().is_some_and(|faults| !faults.is_empty()));
    order(4, &["--report", "/no/such/folder/x"]).exits(125).says(&["--report", "/no/such/folder/x"]);
}

#[test]
fn who_is_named_must_be_there() {
    order(4, &["--memory", "stoer=1MiB"]).exits(2).says(&["--memory", "`stoer`", "did you mean `store`?"]);
    order(4, &["--isolate", "nobody"]).exits(2).says(&["--isolate", "`nobody`", "atoll tree"]);
    order(4, &["--cpu-cap", "store=20%"]).exits(2).says(&["begins no domain", "--isolate store"]);
    order(4, &["--on-fault", "never"]).exits(2).says(&["`trap`, `error` or `retry:N`"]);
    order(4, &["--deadline", "50"]).exits(2).says(&["50ms"]);
    order(4, &["--workers", "0"]).exits(2).says(&["at least 1"]);
}

#[test]
fn signals_end_a_tree() {
    let file = root().join("examples/shop.wat").display().to_string();
    for options in [&[][..], &["--isolate", "all", "--on-fault", "error"]] {
        let run = || atoll([&["run", "--tree", "--invoke", "order(7)"], options, &[&file]].concat());
        assert!(!run().signal(Signal::SIGINT).run().exits(130).stderr.contains("fault:"));
        assert!(!run().signal(Signal::SIGTERM).run().exits(143).stderr.contains("fault:"));
        run().signal(Signal::SIGINT).signal(Signal::SIGTERM).run();
    }
    // Who waits for input is ended too.
    atoll(["run", "--tree", &guest("words.wasm")]).signal(Signal::SIGINT).run().exits(130);
}

#[test]
fn a_domain_in_a_process_of_its_own_is_the_same() {
    fn with<'o>(more: &[&'o str]) -> Vec<&'o str> {
        [&["--isolate", "store", "--placement", "store=process"], more].concat()
    }
    order(4, &with(&[])).exits(0).prints("ok(40)\n");
    let outcome = order(12, &with(&["--on-fault", "error"])).exits(0);
    outcome.prints("err(\"wasm `unreachable` instruction executed\")\n");
    let outcome = order(12, &with(&[])).exits(134);
    outcome.says(&["in process /shop/store", "store!", "cart!add", "front!order"]);
    order(8, &with(&["--memory", "store=1MiB"])).exits(0).prints("ok(16)\n");
    order(7, &with(&["--call-time", "store=20ms"])).exits(134).says(&["wall-clock time of a call", "store!"]);
    let outcome = order(7, &with(&["--on-fault", "error", "--deadline", "store=20ms"])).exits(0);
    assert!(outcome.stdout.starts_with("err(\"deadline of a call"), "{}", outcome.stdout);
    order(4, &["--isolate", "all", "--placement", "process"]).exits(0).prints("ok(40)\n");
    order(4, &["--placement", "store=process"])
        .exits(2)
        .says(&["`store` begins no domain", "--isolate store"]);
}

#[test]
fn real_guests_run_in_processes_of_their_own() {
    let scratch = Scratch::new("apart");
    let grant = format!("{}::/d", scratch.path().display());
    let line = ["run", "--placement", "process", "--dir", &grant, "--env", "K=V"];
    let hello = guest("hello.wasm");
    let outcome = atoll([&line[..], &[&hello, "/d", "/nowhere"]].concat()).stdin("hi there\n").run().exits(0);
    for part in ["env [(\"K\", \"V\")]", "stdin \"hi there\\n\"", "[\"hello.txt\"]", "/nowhere: NotFound"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let ledger = |options: &[&str]| {
        let outcome = atoll([&["run"], options, &[&guest("ledger.wasm")]].concat()).run().exits(0);
        outcome.stdout
    };
    assert_eq!(ledger(&["--isolate", "all", "--placement", "process"]), ledger(&[]));
}
