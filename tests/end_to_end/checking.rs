//! `atoll check`: manifests on the command line.

use crate::shell::{atoll, root};

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
