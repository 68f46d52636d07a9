//! Components that real toolchains made; `tests/guests/build` makes them again.

use crate::shell::{Scratch, atoll, guest};

#[test]
fn rust_std_sees_its_arguments_environment_clock_input_and_files() {
    let scratch = Scratch::new("rust-std");
    let grant = format!("{}::/d", scratch.path().display());
    let hello = guest("hello.wasm");
    atoll(["run", "--dir", &grant, "--env", "K=V", &hello, "/d", "/nowhere"])
        .stdin("hi there\n")
        .run()
        .exits(0)
        .prints(concat!(
            "args [\"/d\", \"/nowhere\"]\n",
            "env [(\"K\", \"V\")]\n",
            "squares 285\n",
            "after 2020 true\n",
            "slept true\n",
            "stdin \"hi there\\n\"\n",
            "/d: \"written\\n\" [\"hello.txt\"]\n",
            "/nowhere: NotFound\n",
        ))
        .says(&["to stderr"]);
}

#[test]
fn a_read_only_grant_cannot_be_written_to() {
    let scratch = Scratch::new("read-only");
    let grant = format!("{}::/d:ro", scratch.path().display());
    let outcome = atoll(["run", "--dir", &grant, &guest("hello.wasm"), "/d"]).run().exits(0);
    let last = outcome.stdout.lines().last().unwrap_or_default();
    assert!(last == "/d: PermissionDenied" || last == "/d: ReadOnlyFilesystem", "{last}");
}

#[test]
fn nothing_is_granted_by_itself() {
    let outcome = atoll(["run", &guest("hello.wasm"), "/etc", "."]).env("SECRET", "x").run().exits(0);
    assert!(outcome.stdout.contains("env []"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("/etc: NotFound"), "{}", outcome.stdout);
    let outcome = atoll(["run", "--inherit-env", &guest("hello.wasm")]).env("SECRET", "x").run().exits(0);
    assert!(outcome.stdout.contains("(\"SECRET\", \"x\")"), "{}", outcome.stdout);
}

#[test]
fn a_composed_pair_passes_every_kind_of_value() {
    atoll(["run", &guest("ledger.wasm")]).run().exits(0).prints(LEDGER);
}

const LEDGER: &str = r#"book Ok(250000)
book Err(Rejection::Overdrawn(-650000))
book Err(Rejection::Unknown(("month", 13)))
book Ok(77)
total 250077
book Err(Rejection::Frozen)
Bö has 77 Currency::Krona Marks(CHECKED | HIDDEN)
Ann & Bö has 250077 Currency::Krona Marks(0x0)
Entry { what: "wages", cents: 250000, tags: ["work", "monthly"], day: Some(Date { year: 2026, month: 8, day: 3 }) }
Entry { what: "prize", cents: 77, tags: ["luck"], day: None }
seal 371690f901abd145 same true
round 2.718 -1
initials ['Å', '日', 'z']
parse Ok(250) Some("no `=` in `tea`")
10k calls 16665000.0
"#;

#[test]
fn functions_are_called_with_wave() {
    let bank = guest("bank.wasm");
    let call = |call: &str| atoll(["run", "--invoke", call, &bank]).run();
    call("round(2.5, none)").exits(0).prints("3\n");
    call("round(2.71828, some(3))").exits(0).prints("2.718\n");
    call("atoll:ledger/accounts#seal([1, 2, 3])").exits(0).prints("(15035938162879559083, [1, 2, 3])\n");
    call("atoll:ledger/accounts@0.1.0#initials([\"Åsa\", \"z\"])").exits(0).prints("['Å', 'z']\n");
    call("parse(\"tea\")").exits(0).prints("err(\"no `=` in `tea`\")\n");
    let entry = call("parse(\"a=5\")").exits(0);
    assert!(entry.stdout.starts_with("ok({what: \"a\", cents: 5, tags: []"), "{}", entry.stdout);
    call("ruond(2.5)").exits(126).says(&["did you mean `round`?", "round: func(value: f64"]);
    call("round(\"x\")").exits(2).says(&["round", "f64"]);
    call("round(").exits(2).says(&["--invoke"]);
}

#[test]
fn a_preview1_module_is_wrapped() {
    let scratch = Scratch::new("words");
    scratch.file("f", "x y\nz");
    let grant = format!("{}::/d", scratch.path().display());
    let words = guest("words.wasm");
    atoll(["run", "--env", "LABEL=n=", &words]).stdin("a b c\n").run().exits(0).prints("n=3\n");
    atoll(["run", "--dir", &grant, &words, "/d/f", "/d/nope"])
        .run()
        .exits(1)
        .prints("3 /d/f\n")
        .says(&["/d/nope: No such file or directory"]);
}

#[test]
fn an_image_runs_as_its_component_does() {
    let scratch = Scratch::new("image");
    let image = scratch.path().join("ledger.atoll").display().to_string();
    atoll(["compile", &guest("ledger.wasm"), "-o", &image]).run().exits(0);
    atoll(["run", &image]).run().exits(0).prints(LEDGER);
    let mut bytes = std::fs::read(&image).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    let bad = scratch.file("bad.atoll", bytes);
    atoll(["run", &bad]).run().exits(126).says(&["bad.atoll", "damaged", "atoll compile"]);
}

#[test]
fn exit_codes_are_the_guests() {
    let culprit = guest("culprit.wasm");
    atoll(["run", &culprit, "nothing"]).run().exits(0).prints("about to nothing\n");
    atoll(["run", &culprit, "exit"]).run().exits(1).prints("about to exit\n");
    atoll(["run", &culprit, "error"]).run().exits(1).says(&["it did not work out"]);
}

#[test]
fn faults_name_process_trap_and_functions() {
    let culprit = guest("culprit.wasm");
    let fault =
        |deed: &str| atoll(["run", &culprit, deed]).run().exits(134).prints(&format!("about to {deed}\n"));
    fault("panic").says(&["stumbled at step 7", "fault: wasm `unreachable`", "/culprit", "stumble", "next:"]);
    fault("recurse").says(&["fault: call stack exhausted", "descend", "×"]);
    fault("index").says(&["fault: out of bounds memory access", "overreach", "culprit::main"]);
}

#[test]
fn a_composed_pair_is_a_tree_of_processes() {
    let outcome = atoll(["tree", "--json", &guest("ledger.wasm")]).run().exits(0);
    let tree: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let root = &tree["root"];
    assert_eq!(root["path"], "/ledger");
    let children = root["children"].as_array().expect("children");
    assert_eq!(children.len(), 2, "{}", outcome.stdout);
    let provided = |process: &serde_json::Value, name: &str| {
        let imports = process["imports"].as_array().expect("imports").clone();
        imports
            .into_iter()
            .find(|import| import["name"].as_str().is_some_and(|known| known.starts_with(name)))
    };
    let client = children.iter().find(|child| provided(child, "atoll:ledger/accounts").is_some());
    let client = client.expect("one of them imports the other");
    let bank = children.iter().find(|child| child["path"] != client["path"]).expect("the other one");
    let accounts = provided(client, "atoll:ledger/accounts").expect("found above");
    assert_eq!(accounts["provider"]["kind"], "process");
    // The toolchain puts a component around each exported interface: the provider is inside the other process.
    let (provider, bank) = (accounts["provider"]["path"].as_str(), bank["path"].as_str());
    assert!(provider.zip(bank).is_some_and(|(inner, outer)| inner.starts_with(outer)), "{}", outcome.stdout);
    let stdout = provided(root, "wasi:cli/stdout").expect("the root passes it on");
    assert_eq!(stdout["provider"]["kind"], "server");
    assert_eq!(stdout["provider"]["name"], "wasi:cli/stdout");
}
