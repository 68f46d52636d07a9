//! `examples/shop` under `atoll up`, as `ps`, `tree`, `inspect` and `trace` show it, for people and for programs: before its
//! store breaks down, and after.

use serde_json::Value;

use crate::background::{Background, masked};
use crate::shell::{Scratch, root};

/// How long front waits between customers, seconds: who is third breaks the store. Where a time was too short to look before
/// that, the next one is tried.
const PAUSES_S: [u64; 4] = [2, 8, 32, 100];

/// What is shown of the shop at one moment, by what it is called in the snapshots.
type Look = Vec<(&'static str, String)>;

/// The shop, with so many nanoseconds between customers, and its store as `restart` says.
fn open(name: &str, pause_ns: u64, restart: &str) -> Background {
    let (folder, shop) = (Scratch::new(&format!("storefront-{name}")), root().join("examples/shop"));
    for file in ["atoll.toml", "front.wat", "cart.wat", "store.wat"] {
        let text = std::fs::read_to_string(shop.join(file)).expect("it is part of the example");
        let (front, manifest) = (file == "front.wat", file == "atoll.toml" && !restart.is_empty());
        let changed = match file {
            "front.wat" => text.replace("(i64.const 500000000)", &format!("(i64.const {pause_ns})")),
            "atoll.toml" => text.replace("[process.store]\n", &format!("[process.store]\n{restart}")),
            _ => text.clone(),
        };
        assert_eq!(text != changed, front || manifest, "{file} is not what this test knows");
        folder.file(file, changed);
    }
    Background::up(folder)
}

/// What all commands show now.
fn look(shop: &Background) -> Look {
    let text = |args: &[&str]| stable(&shop.atoll(args).run().exits(0).stdout, shop.os_pid());
    let json = |args: &[&str]| {
        let printed = shop.atoll(args).run().exits(0).stdout;
        let mut value = serde_json::from_str(&printed).expect("it is JSON");
        blank(&mut value);
        serde_json::to_string_pretty(&value).expect("it was JSON before")
    };
    vec![
        ("ps", text(&["ps", "shop"])),
        ("ps_json", json(&["ps", "--json", "shop"])),
        ("tree", text(&["tree", "shop"])),
        ("tree_json", json(&["tree", "--json", "shop"])),
        ("inspect_store", text(&["inspect", "store"])),
        ("inspect_store_json", json(&["inspect", "--json", "store"])),
        ("inspect_front", text(&["inspect", "front"])),
    ]
}

/// The shop before and after its third customer, and the calls that were made for her and the one before; nothing if that went
/// too fast to be seen.
fn visit(pause_s: u64) -> Option<(Look, Look, Look)> {
    let shop = open(&pause_s.to_string(), pause_s * 1_000_000_000, "");
    shop.until(&["logs", "shop"], "ann: tea 3 (9 left), bread 4 (7 left); pays 7 for 2");
    // Two customers, each with a cart, two things and a bill.
    let trace = ["trace", "shop", "--edge", "example:shop/*", "-n", "12"];
    let (text, json) = (shop.atoll(&trace).spawn(), shop.atoll(&[&trace[..], &["--json"]].concat()).spawn());
    let before = look(&shop);
    shop.until(&["logs", "shop"], "eve: bread 4 (6 left), vase was not to be had");
    shop.until(&["ps", "store"], "restarted once");
    let after = look(&shop);
    let (text, json) = (text.ends().exits(0).stdout, json.ends().exits(0).stdout);
    let was_early =
        [&text, &json].iter().all(|calls| calls.lines().next().unwrap_or_default().contains("bob"));
    let lives = [&before, &after].map(|look| look[1].1.contains("\"generation\": 1"));
    let calls = json.lines().map(|line| {
        let mut value = serde_json::from_str(line).expect("each line is JSON");
        blank(&mut value);
        value.to_string()
    });
    let calls = calls.collect::<Vec<String>>().join("\n");
    let traced = vec![("trace", masked(&text, shop.os_pid())), ("trace_json", calls)];
    let was_once = shop.atoll(&["ps", "store"]).run().exits(0).stdout.contains("restarted once");
    (was_early && lives == [false, true] && was_once).then_some((before, after, traced))
}

#[test]
fn the_shop_is_seen_before_its_store_breaks_and_after() {
    let (before, after, traced) = PAUSES_S.into_iter().find_map(visit).expect("the machine is not that slow");
    for (looks, when) in [(before, "_before"), (after, "_after"), (traced, "")] {
        for (what, shown) in looks {
            insta::assert_snapshot!(format!("shop_{what}{when}"), shown);
        }
    }
}

#[test]
fn a_store_that_is_not_started_again_stays_on_the_list_with_its_fault() {
    let shop = open("broken", 10_000_000, "restart = \"temporary\"\n");
    let listed = shop.until(&["ps", "store"], "given up");
    let fault = "FAULT: wasm `unreachable` instruction executed in store#break-down (temporary, given up)";
    assert!(listed.lines().any(|line| line.ends_with(fault)), "{listed}");
    // Cart lives, and front is told.
    let said = shop.until(&["logs", "front"], "joe: tea was not to be had: the domain is gone");
    assert!(said.contains("vase was not to be had: wasm `unreachable` instruction executed"), "{said}");
    let cart = shop.atoll(&["ps", "cart"]).run().exits(0).stdout;
    assert!(!cart.contains("FAULT") && !cart.contains("exited"), "{cart}");
    shop.atoll(&["restart", "store"]).run().exits(0).prints("/shop/store restarted\n");
    // The next vase is soon wanted of that one too.
    shop.until(&["inspect", "store"], "/gen1  ");
}

/// Text without what is another every time or on every machine.
fn stable(text: &str, os_pid: u32) -> String {
    let lines = masked(text, os_pid);
    let lines: Vec<String> = lines.lines().map(stable_line).collect();
    lines.join("\n")
}

fn stable_line(line: &str) -> String {
    let is_hash = |word: &str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let is_rung = |word: &str| ["handoff", "channel", "server", "fused"].contains(&word);
    let (is_memory, is_mailbox) = (line.starts_with("memory 0 "), line.starts_with("mailbox domain "));
    let is_edge = line.contains(" → ");
    let mut words: Vec<&str> = Vec::new();
    let mut rest = line.split(' ').peekable();
    while let Some(word) = rest.next() {
        let before = words.last().copied().unwrap_or_default();
        let after = rest.peek().copied().unwrap_or_default();
        words.push(match word {
            _ if is_hash(word) => "HASH",
            // How much code there is; how much of a memory is in the machine's.
            _ if (before == "HASH" || is_memory && before == "-") && is_number(word) => {
                rest.next();
                "SIZE"
            }
            // Calls, how many failed, and how long they took.
            _ if is_edge && is_rung(before) => {
                while rest.peek().is_some_and(|word| ["TIME", "-"].contains(word) || is_number(word)) {
                    rest.next();
                }
                "METERS"
            }
            // Calls of a process; calls that waited for it.
            _ if is_number(word)
                && (["TIME", "in,", "out,"].contains(&after) || is_mailbox && !after.is_empty()) =>
            {
                "N"
            }
            word => word,
        });
    }
    words.join(" ")
}

/// Blanks what is another every time or on every machine.
fn blank(value: &mut Value) {
    const VARIES: [&str; 16] = [
        "age_ns",
        "began_ns",
        "calls",
        "calls_out",
        "code_bytes",
        "cpu_ns",
        "file",
        "from",
        "hash",
        "latency",
        "most_waiting",
        "os_pid",
        "peak",
        "registers",
        "resident_bytes",
        "took_ns",
    ];
    match value {
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => {
            for (name, field) in fields {
                if VARIES.contains(&name.as_str()) && (name == "latency" || !field.is_null()) {
                    *field = "…".into();
                } else {
                    blank(field);
                }
            }
        }
        _ => {}
    }
}
