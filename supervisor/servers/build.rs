//! Generates the host bindings of WASI 0.2 from `wit/`, and those of the tests' own world from `tests/wit/`.

#[path = "build/mod.rs"]
mod build;

use std::path::Path;
use std::{env, fs};

use build::{Options, generate};
use wit_parser::Resolve;

/// In the order of their dependencies.
const PACKAGES: [&str; 8] = ["io", "clocks", "random", "filesystem", "sockets", "cli", "http", "servers"];

/// Interfaces whose functions are refused unless a server implements them: no guest can hold what they need.
const REFUSED: [&str; 1] = ["wasi:http/types@"];

/// Functions that wait for files or times, or may take long.
const WAITING: [&str; 12] = [
    "wasi:io/poll#poll",
    "wasi:io/poll#[method]pollable.block",
    "wasi:io/streams#[method]input-stream.blocking-read",
    "wasi:io/streams#[method]input-stream.blocking-skip",
    "wasi:io/streams#[method]output-stream.write",
    "wasi:io/streams#[method]output-stream.blocking-write-and-flush",
    "wasi:io/streams#[method]output-stream.write-zeroes",
    "wasi:io/streams#[method]output-stream.blocking-write-zeroes-and-flush",
    "wasi:io/streams#[method]output-stream.splice",
    "wasi:io/streams#[method]output-stream.blocking-splice",
    "wasi:random/random#get-random-bytes",
    "wasi:random/insecure#get-insecure-random-bytes",
];

fn main() {
    println!("cargo::rerun-if-changed=build");
    let root = env::var("CARGO_MANIFEST_DIR").expect("Cargo sets it");
    let out = env::var("OUT_DIR").expect("Cargo sets it");
    let wasi = PACKAGES.map(|name| format!("{root}/wit/{name}.wit"));
    let options =
        Options { refused: &REFUSED, refusal: "not-supported", waiting: &WAITING, first_resource: 0 };
    write(&wasi, &options, &Path::new(&out).join("wasi.rs"));
    let sample = [format!("{root}/tests/wit/sample.wit")];
    let options = Options {
        refused: &["test:sample/refused"],
        refusal: "not-supported",
        waiting: &["test:sample/store#all"],
        first_resource: 1000,
    };
    write(&sample, &options, &Path::new(&out).join("sample.rs"));
}

/// Generates from the only world of the last of `files`.
fn write(files: &[String], options: &Options<'_>, out: &Path) {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let mut package = None;
    for file in files {
        println!("cargo::rerun-if-changed={file}");
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        package = Some(resolve.push_str(file, &text).unwrap_or_else(|error| panic!("{file}: {error:?}")));
    }
    let packages = Vec::from_iter(package);
    let world = resolve.select_world(&packages, None).unwrap_or_else(|error| panic!("{files:?}: {error:?}"));
    let code = generate(&resolve, world, options).unwrap_or_else(|error| panic!("{files:?}: {error}"));
    fs::write(out, code).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}
