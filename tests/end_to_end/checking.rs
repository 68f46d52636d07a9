//! `atoll check`: manifests on the command line.

use crate::shell::{Scratch, atoll, guest, root};

fn manifest(name: &str) -> String {
    root().join("tests/manifests").join(name).display().to_string()
}

#[test]
fn a_good_manifest_is_summed_up() {
    let text = atoll(["check", &manifest("good/shop.toml")]).run().exits(0).stdout;
    assert!(text.contains("/shop/cart  ../parts/cart.wat  domain 2  permanent"), "{text}");
    assert!(text.contains("✓ /shop/store  within 50ms, on fault retry:2"), "{text}");
    assert!(!text.contains("secret"), "values of variables are nobody's business: {text}");
    let json = atoll(["check", "--json", &manifest("good/shop.toml")]).run().exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["named"][1]["imports"][0]["process"], "/shop/store");
}

#[test]
fn a_bad_manifest_is_told_where_and_what() {
    let file = manifest("bad/mismatch.toml");
    atoll(["check", &file])
        .run()
        .exits(126)
        .prints("")
        .says(&["cart imports   get: func(key: u32) -> u32", ":4:"]);
    atoll(["check", "nowhere.toml"]).run().exits(127).says(&["no such file", "docs/manifest.md"]);
    atoll(["check", &manifest("good")]).run().exits(127).says(&["a folder", "atoll.toml"]);
    atoll(["check", "--json", "--schema"]).run().exits(2);
}

#[test]
fn editors_get_a_schema() {
    let schema = atoll(["check", "--schema"]).run().exits(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(
        schema["properties"]["process"]["additionalProperties"]["properties"]["run"]["type"],
        "boolean"
    );
}

#[test]
fn a_manifest_says_who_serves_each_import_and_what_would() {
    let folder = root().join("tests/manifests/good");
    let route = |args: &[&str]| {
        let words = [&["route"], args].concat();
        atoll(words).run().exits(0).stdout.replace(&format!("{}/", folder.display()), "")
    };
    let scratch = Scratch::new("route");
    let dialer = |name: &str, grants: &str| {
        format!("[process.{name}]\ncomponent = \"{}\"\n{grants}", guest("dialer.wasm"))
    };
    let granted = "grants = { network = { connect = [\"localhost:7\"] }, stdout = \"none\" }\n";
    let file =
        scratch.file("atoll.toml", format!("name = \"t\"\n{}{}", dialer("one", granted), dialer("two", "")));
    let routes = route(&[&file]).replace(&file, "atoll.toml");
    insta::assert_snapshot!("route_of_granted", routes);
    insta::assert_snapshot!("route_of_wired", route(&[&manifest("good/inside.toml")]));
    insta::assert_snapshot!("route_with_gaps", route(&[&manifest("bad/ambiguous.toml")]));
    let json = route(&["--json", &manifest("bad/nobody.toml"), "store"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["path"], "/bad/cart");
    assert_eq!(json[0]["imports"][0]["import"], "shop:kv/store@0.1.0");
    assert_eq!(json[0]["imports"][0]["granted"], false);
    assert_eq!(json[0]["imports"][0]["why"], "no process exports it");
    // Where processes are placed decides what carries their calls.
    let part = |name: &str| root().join("tests/manifests/parts").join(name).display().to_string();
    for (store, cart, rung) in [("process", "anywhere", "segment"), ("worker:0", "worker:1", "channel")] {
        let process = |name: &str, place: &str| {
            let file = part(&format!("{name}.wat"));
            format!("[process.{name}]\ncomponent = \"{file}\"\nplacement = \"{place}\"\n")
        };
        let file =
            scratch.file("atoll.toml", format!("{}{}", process("store", store), process("cart", cart)));
        let routes = route(&[&file, "shop:kv"]);
        assert!(routes.contains(&format!("/store  {rung}  over a boundary, on fault trap\n")), "{routes}");
    }
    // What is wrong otherwise is told as `atoll check` does.
    let mismatch = atoll(["route", &manifest("bad/mismatch.toml")]).run().exits(126);
    mismatch.says(&["cart imports   get: func(key: u32) -> u32"]);
}
