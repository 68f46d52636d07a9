//! What the generator writes, compared with a file beside the WIT; `BLESS=1` rewrites it.

use std::path::Path;

use wit_parser::Resolve;

use crate::build::{Options, generate};

const OPTIONS: Options<'_> = Options {
    refused: &["test:sample/refused"],
    refusal: "not-supported",
    waiting: &["test:sample/store#all"],
    first_resource: 1000,
};

fn generated(wit: &str) -> Result<String, String> {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    generate(&resolve, world, &OPTIONS)
}

#[test]
fn the_sample_generates_what_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wit");
    let wit = std::fs::read_to_string(folder.join("sample.wit")).unwrap();
    let code = generated(&wit).unwrap();
    let golden = folder.join("sample.golden");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &code).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    let lines = code.lines().zip(expected.lines());
    let differs = lines.clone().position(|(is, was)| is != was).unwrap_or(lines.count());
    let (is, was) = (code.lines().nth(differs), expected.lines().nth(differs));
    assert!(code == expected, "line {}: is {is:?}, was {was:?}; BLESS=1 rewrites it", differs + 1);
}

#[test]
fn what_cannot_be_served_is_named() {
    let refused = |wit: &str| generated(wit).unwrap_err();
    let error = refused("package a:b; interface i { f: async func(); } world w { import i; }");
    assert!(error.contains("a:b/i") && error.contains("async"), "{error}");
    let error = refused("package a:b; interface i { f: func(x: map<string, u8>); } world w { import i; }");
    assert!(error.contains("f: ") && error.contains("map"), "{error}");
    let error = refused("package a:b; world w { import f: func(); }");
    assert!(error.contains('f') && error.contains("world"), "{error}");
}

#[test]
fn names_that_rust_has_taken_are_changed() {
    let code = generated(
        "package a:b; interface %type { record %result { self: u8, yield: u8, in: u8 } f: func(loop: %result); }
         world w { import %type; }",
    );
    let code = code.unwrap();
    for name in [
        "pub mod r#type",
        "pub struct Result_ {",
        "pub this: u8",
        "pub yield_: u8",
        "pub r#in: u8",
        "r#loop: Result_",
    ] {
        assert!(code.contains(name), "no `{name}` in\n{code}");
    }
}
