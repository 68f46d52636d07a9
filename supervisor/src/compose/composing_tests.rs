//! Components made of WIT and small modules, composed and called.

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::value::Value;
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::component::linked::Export as Linked;
use kernel::component::name::lookup;
use kernel::component::tree::Tree;
use kernel::jit::engine::Engine;
use servers::{Buffer, Output, Wasi};
use wasmparser::component_types::ComponentEntityType;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::contrast::Identity;
use super::face::Face;
use super::outside::OutsideError;
use super::parts::{ComposeError, Export, Part, Source, compose};
use crate::launch;

const KV: &str = "package shop:kv@0.1.2;
interface types { record item { name: string, price: u32 } }
interface store {
  use types.{item};
  resource bucket { constructor(size: u32); size: func() -> u32; item: func() -> item; }
  peek: func(b: borrow<bucket>) -> u32;
}
world stores { export store; }";

const OLD_KV: &str = "package shop:kv@0.1.0;
interface types { record item { name: string, price: u32 } }
interface store {
  use types.{item};
  resource bucket { constructor(size: u32); size: func() -> u32; }
}";

const CART: &str = "package shop:cart;
interface cart { use shop:kv/store@0.1.2.{bucket}; make: func(n: u32) -> bucket; }
world carts { export cart; }";

const FRONT: &str = "package shop:front;
interface cart { use shop:kv/store@0.1.0.{bucket}; make: func(n: u32) -> bucket; }
world fronts { import shop:kv/store@0.1.0; import shop:cart/cart; export total: func(n: u32) -> u32; }";

const OLD_CART: &str = "package shop:cart;
interface cart { use shop:kv/store@0.1.0.{bucket}; make: func(n: u32) -> bucket; }";

const STORE_CODE: &str = r#"(module
  (import "[export]shop:kv/store@0.1.2" "[resource-new]bucket" (func $new (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "shop:kv/store@0.1.2#[constructor]bucket") (param i32) (result i32)
    (call $new (i32.add (local.get 0) (i32.const 1))))
  (func (export "shop:kv/store@0.1.2#[method]bucket.size") (param i32) (result i32) (local.get 0))
  (func (export "shop:kv/store@0.1.2#[method]bucket.item") (param i32) (result i32) (i32.const 16))
  (func (export "shop:kv/store@0.1.2#peek") (param i32) (result i32) (local.get 0)))"#;

const CART_CODE: &str = r#"(module
  (import "shop:kv/store@0.1.2" "[constructor]bucket" (func $make (param i32) (result i32)))
  (func (export "shop:cart/cart#make") (param i32) (result i32)
    (call $make (i32.mul (local.get 0) (i32.const 10)))))"#;

const FRONT_CODE: &str = r#"(module
  (import "shop:kv/store@0.1.0" "[method]bucket.size" (func $size (param i32) (result i32)))
  (import "shop:cart/cart" "make" (func $make (param i32) (result i32)))
  (func (export "total") (param i32) (result i32) (call $size (call $make (local.get 0)))))"#;

/// A component of a world and a module.
pub fn component(wit: &[&str], world: &str, code: &str) -> Arc<[u8]> {
    let mut resolve = Resolve::default();
    let packages: Vec<_> =
        wit.iter().map(|text| resolve.push_source("test.wit", text).expect("WIT")).collect();
    let world = resolve.select_world(&packages[packages.len() - 1..], Some(world)).expect("a world");
    let mut module = wat::parse_str(code).expect("a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a world fits in");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).expect("a module of this world").encode().expect("a component").into()
}

/// Parts that are wired by name: to the system, or to the first earlier part that exports what they import.
fn parts(components: &[(&str, &Arc<[u8]>)]) -> Vec<Part> {
    let system: BTreeMap<String, ()> = launch::offers().names.keys().map(|name| (name.clone(), ())).collect();
    let mut parts: Vec<Part> = Vec::new();
    for (name, bytes) in components {
        let face = Arc::new(Face::read(bytes).expect("a component"));
        let source = |(number, import): (usize, &super::face::Entity)| {
            if !face.runs(number) {
                return Source::Types;
            }
            if lookup(&system, &import.name).is_some() {
                return Source::System;
            }
            let found = parts.iter().enumerate().find_map(|(part, other)| {
                let exports = other.face.exports.iter().map(|export| (export.name.clone(), ())).collect();
                lookup(&exports, &import.name).map(|(export, ())| (part, export.to_owned()))
            });
            let (part, export) = found.expect("somebody exports it");
            Source::Part { part, export }
        };
        let sources = face.imports.iter().enumerate().map(source).collect();
        let bytes = Arc::clone(bytes);
        parts.push(Part {
            name: (*name).to_owned(),
            component: format!("{name}-file"),
            bytes,
            face,
            sources,
        });
    }
    parts
}

fn exports(parts: &[Part], of: &str) -> Vec<Export> {
    let (number, part) = parts.iter().enumerate().find(|(_, part)| part.name == of).expect("a part");
    let export = |name: &String| Export { name: name.clone(), part: number, export: name.clone() };
    part.face.exports.iter().map(|export| &export.name).map(export).collect()
}

fn launch(bytes: &[u8], output: &Buffer) -> Tree {
    let engine = Engine::new().expect("a compiler");
    let executable = Executable::parse(&engine, bytes).expect("a component");
    let linked = executable.link(&launch::offers(), &LinkOptions::new("shop")).expect("linked");
    let wasi = Wasi::builder().stdout(Output::buffer(output)).build().expect("servers");
    Tree::launch(&engine, Arc::new(linked), Box::new(wasi)).expect("launched")
}

/// The paths of the processes but for the shims that `wit-component` puts around exports.
fn paths(tree: &Tree) -> Vec<&str> {
    let paths = tree.linked().processes().iter().map(|process| process.path.as_str());
    paths.filter(|path| !path.ends_with("-shim-instance")).collect()
}

fn shop() -> [Arc<[u8]>; 3] {
    [
        component(&[KV], "stores", STORE_CODE),
        component(&[KV, CART], "carts", CART_CODE),
        component(&[OLD_KV, OLD_CART, FRONT], "fronts", FRONT_CODE),
    ]
}

#[test]
fn resources_cross_three_components() {
    let [store, cart, front] = shop();
    let parts = parts(&[("store", &store), ("cart", &cart), ("front", &front)]);
    let bytes = compose("shop", &parts, &exports(&parts, "front")).expect("composed");
    let mut tree = launch(&bytes, &Buffer::default());
    assert_eq!(paths(&tree), ["/shop", "/shop/store", "/shop/cart", "/shop/front"]);
    let processes = tree.linked().processes();
    let front = processes.iter().find(|process| process.name == "front").expect("a process");
    assert_eq!(front.component.as_deref(), Some("front-file"));
    let served: Vec<&str> = front.imports.iter().map(|(_, _, by)| by.as_str()).collect();
    assert_eq!(served, ["/shop/store", "/shop/cart"], "not the shims that pass functions on");
    let Some(Linked::Func(total)) = tree.export(&["total"]).cloned() else { panic!("no function") };
    assert_eq!(tree.call(&total, &[Value::U32(4)]).expect("answered"), Some(Value::U32(41)));
}

#[test]
fn instances_are_exported_with_types_of_others() {
    let [store, cart, _] = shop();
    let parts = parts(&[("store", &store), ("cart", &cart)]);
    let exports = exports(&parts, "cart");
    let bytes = compose("shop", &parts, &exports).expect("composed");
    let tree = launch(&bytes, &Buffer::default());
    assert!(matches!(tree.export(&["shop:cart/cart", "make"]), Some(Linked::Func(_))));
}

#[test]
fn one_component_becomes_two_processes() {
    let [store, cart, _] = shop();
    let parts = parts(&[("store", &store), ("cart", &cart), ("cart-2", &cart)]);
    let bytes = compose("shop", &parts, &[]).expect("composed");
    assert!(bytes.len() < 2 * cart.len() + store.len(), "the second one embeds it again");
    let tree = launch(&bytes, &Buffer::default());
    assert_eq!(paths(&tree), ["/shop", "/shop/store", "/shop/cart", "/shop/cart-2"]);
}

#[test]
fn a_difference_has_both_sides() {
    let [store, _, front] = shop();
    let changed = KV.replace("size: func() -> u32; item", "size: func() -> u64; item");
    let code = STORE_CODE.replace(
        r#"bucket.size") (param i32) (result i32) (local.get 0)"#,
        r#"bucket.size") (param i32) (result i64) (i64.extend_i32_u (local.get 0))"#,
    );
    let store_64 = component(&[&changed], "stores", &code);
    let cart_64 = component(&[&changed, CART], "carts", CART_CODE);
    let difference = |parts: &[Part]| match compose("shop", parts, &[]) {
        Err(ComposeError::Differ { importer, difference, .. }) => (parts[importer].name.clone(), difference),
        other => panic!("{:?}", other.map(|_| "composed")),
    };
    let (who, differs) = difference(&parts(&[("store", &store_64), ("cart", &cart_64), ("front", &front)]));
    assert_eq!((who.as_str(), differs.item.as_str()), ("front", "function `bucket.size`, its result"));
    assert_eq!(differs.wanted, "bucket.size: func() -> u32");
    assert_eq!(differs.offered, "bucket.size: func() -> u64");

    // Two stores: the cart's buckets are not those of the store that front is wired to.
    let [_, cart, _] = shop();
    let mut parts = parts(&[("store", &store), ("store-2", &store), ("cart", &cart), ("front", &front)]);
    for source in &mut parts[2].sources {
        if let Source::Part { part, .. } = source {
            *part = 1;
        }
    }
    let (who, differs) = difference(&parts);
    assert_eq!((who.as_str(), differs.item.as_str()), ("front", "resource `bucket`"));
    assert!(matches!(differs.owners, Some((Identity::Of(0, _), Identity::Of(1, _)))), "{differs:?}");
}

#[test]
fn what_is_missing_is_named() {
    let [_, cart, _] = shop();
    let poor =
        "package shop:kv@0.1.2; interface store { resource bucket; peek: func(b: borrow<bucket>) -> u32; }
        world stores { export store; }";
    let code =
        r#"(module (func (export "shop:kv/store@0.1.2#peek") (param i32) (result i32) (local.get 0)))"#;
    let store = component(&[poor], "stores", code);
    let parts = parts(&[("store", &store), ("cart", &cart)]);
    let Err(ComposeError::Differ { difference, .. }) = compose("shop", &parts, &[]) else {
        panic!("composed")
    };
    assert_eq!(difference.offered, "no such function");
    assert_eq!(difference.wanted, "bucket.constructor: func(size: u32) -> bucket");
}

const IO_0: &str = "package wasi:io@0.2.0;
interface streams { resource output-stream { blocking-flush: func() -> result<_, stream-error>; }
  variant stream-error { last-operation-failed(error), closed } use error.{error}; }
interface error { resource error; }";
const IO_6: &str = "package wasi:io@0.2.6;
interface error { resource error { to-debug-string: func() -> string; } }
interface streams { use error.{error}; variant stream-error { last-operation-failed(error), closed }
  resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; } }";

#[test]
fn a_stream_of_the_system_crosses_versions() {
    let getter = component(
        &[
            IO_0,
            "package wasi:cli@0.2.0; interface stdout { use wasi:io/streams@0.2.0.{output-stream};
               get-stdout: func() -> output-stream; }",
            "package a:b; interface give { use wasi:io/streams@0.2.0.{output-stream}; give: func() -> output-stream; }
             world getter { import wasi:cli/stdout@0.2.0; import wasi:io/streams@0.2.0; export give; }",
        ],
        "getter",
        r#"(module
          (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $get (result i32)))
          (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-flush" (func $flush (param i32 i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
          (func (export "a:b/give#give") (result i32) (local i32)
            (call $flush (local.tee 0 (call $get)) (i32.const 64))
            (local.get 0)))"#,
    );
    let writer = component(
        &[
            IO_6,
            "package a:b; interface give { use wasi:io/streams@0.2.6.{output-stream}; give: func() -> output-stream; }
             world writer { import give; import wasi:io/streams@0.2.6; export hello: func(); }",
        ],
        "writer",
        r#"(module
          (import "a:b/give" "give" (func $give (result i32)))
          (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
            (func $write (param i32 i32 i32 i32)))
          (memory (export "memory") 1)
          (data (i32.const 8) "hello\n")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
          (func (export "hello") (call $write (call $give) (i32.const 8) (i32.const 6) (i32.const 64))))"#,
    );
    let parts = parts(&[("getter", &getter), ("writer", &writer)]);
    let bytes = compose("streams", &parts, &exports(&parts, "writer")).expect("composed");
    let face = Face::read(&bytes).expect("a component");
    let imports: Vec<&str> = face.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["wasi:io/error@0.2.6", "wasi:io/streams@0.2.6", "wasi:cli/stdout@0.2.0"]);
    let output = Buffer::default();
    let mut tree = launch(&bytes, &output);
    let Some(Linked::Func(hello)) = tree.export(&["hello"]).cloned() else { panic!("no function") };
    tree.call(&hello, &[]).expect("said");
    assert_eq!(output.contents(), b"hello\n");
}

#[test]
fn ideas_of_the_system_are_compared() {
    let importer = |ty: &str, core: &str| {
        let wit =
            format!("package wasi:random@0.2.0; interface random {{ get-random-u64: func() -> {ty}; }}");
        let code = format!(
            r#"(module (import "wasi:random/random@0.2.0" "get-random-u64" (func (result {core}))) (func (export "f")))"#
        );
        component(
            &[&wit, "package a:b; world w { import wasi:random/random@0.2.0; export f: func(); }"],
            "w",
            &code,
        )
    };
    let (right, wrong) = (importer("u64", "i64"), importer("u32", "i32"));
    let parts = parts(&[("right", &right), ("wrong", &wrong)]);
    let error = compose("x", &parts, &[]).expect_err("they differ");
    let ComposeError::Outside(OutsideError::Differ { first: 0, second: 1, difference, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(difference.wanted, "get-random-u64: func() -> u32");
    assert_eq!(difference.offered, "get-random-u64: func() -> u64");
}

#[test]
fn types_alone_need_nobody() {
    let [store, ..] = shop();
    let face = Face::read(&store).expect("a component");
    assert_eq!(face.imports[0].name, "shop:kv/types@0.1.2");
    assert!(!face.runs(0) && matches!(face.imports[0].ty, ComponentEntityType::Instance(_)));
    let parts = parts(&[("store", &store)]);
    let bytes = compose("shop", &parts, &exports(&parts, "store")).expect("composed");
    assert_eq!(Face::read(&bytes).expect("a component").imports.len(), 0);
}

#[test]
fn types_alone_may_have_resources_of_others() {
    let kv = KV.replace(
        "world stores",
        "interface view { use store.{bucket}; record shown { it: bucket, twice: bool } }
         world stores",
    );
    let counts = "package shop:cart;
        interface counts { use shop:kv/view@0.1.2.{shown}; count: func(s: shown) -> u32; }
        world counters { import shop:kv/store@0.1.2; export counts; }
        world fronts { import shop:kv/store@0.1.2; import counts; export total: func(n: u32) -> u32; }";
    let store = component(&[&kv], "stores", STORE_CODE);
    let counter = component(
        &[&kv, counts],
        "counters",
        r#"(module
          (import "shop:kv/store@0.1.2" "[method]bucket.size" (func $size (param i32) (result i32)))
          (func (export "shop:cart/counts#count") (param i32 i32) (result i32)
            (i32.shl (call $size (local.get 0)) (local.get 1))))"#,
    );
    let front = component(
        &[&kv, counts],
        "fronts",
        r#"(module
          (import "shop:kv/store@0.1.2" "[constructor]bucket" (func $make (param i32) (result i32)))
          (import "shop:cart/counts" "count" (func $count (param i32 i32) (result i32)))
          (func (export "total") (param i32) (result i32)
            (call $count (call $make (local.get 0)) (i32.const 1))))"#,
    );
    let parts = parts(&[("store", &store), ("counter", &counter), ("front", &front)]);
    let is_view = |source: &&super::face::Entity| source.name == "shop:kv/view@0.1.2";
    assert_eq!(parts[2].face.imports.iter().filter(is_view).count(), 1, "it imports the types by themselves");
    assert!(parts[2].sources.contains(&Source::Types));
    let bytes = compose("shop", &parts, &exports(&parts, "front")).expect("composed");
    let mut tree = launch(&bytes, &Buffer::default());
    let Some(Linked::Func(total)) = tree.export(&["total"]).cloned() else { panic!("no function") };
    assert_eq!(tree.call(&total, &[Value::U32(4)]).expect("answered"), Some(Value::U32(10)));
}
