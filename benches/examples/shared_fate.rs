//! `examples/shop.wat` in atoll and in Wasmtime, side by side: what can still be called after its store has trapped.
//!
//!     cargo run -p atoll-benches --example shared_fate

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use abi::value::Value;
use abi::wave;
use ipc::launched::Launched;
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::Export;
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::sched::machine::MachineOptions;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

/// What is asked, in order: 12 is what the store traps for.
const CALLS: [(&str, Option<u32>); 5] =
    [("order", Some(4)), ("ring", None), ("order", Some(12)), ("ring", None), ("order", Some(4))];

/// What came of each call.
type Answers = Vec<String>;

fn main() -> Result<(), Box<dyn Error>> {
    let shop = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/shop.wat"))?;
    let error = EdgePolicy { on_fault: OnFault::Error, deadline_ns: None };
    let columns = [
        ("atoll", in_atoll(&shop, &LinkOptions::new("shop"))?),
        (
            "atoll, store isolated",
            in_atoll(
                &shop,
                &LinkOptions {
                    isolate: Isolate::Named(vec!["store".to_owned()]),
                    edge: error,
                    ..LinkOptions::new("shop")
                },
            )?,
        ),
        ("Wasmtime", in_wasmtime(&shop)?),
    ];
    let width = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let widths = columns.each_ref().map(|(name, answers)| width(answers).max(name.len()));
    print_row("", columns.each_ref().map(|(name, _)| *name), widths);
    for (index, (name, item)) in CALLS.iter().enumerate() {
        let call = item.map_or(format!("{name}()"), |item| format!("{name}({item})"));
        print_row(&call, columns.each_ref().map(|(_, answers)| answers[index].as_str()), widths);
    }
    Ok(())
}

fn print_row(call: &str, cells: [&str; 3], widths: [usize; 3]) {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    println!("{call:10}  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
}

fn in_atoll(shop: &[u8], options: &LinkOptions) -> Result<Answers, Box<dyn Error>> {
    let engine = kernel::jit::engine::Engine::new()?;
    let linked = Arc::new(Executable::parse(&engine, shop)?.link(&Imports::default(), options)?);
    let system = System::start(MachineOptions::default())?;
    let launched = system.launch(&engine, linked, Box::new(()), Placement::default())?;
    CALLS.iter().map(|(name, item)| ask(&launched, name, *item)).collect()
}

fn ask(launched: &Launched, name: &str, item: Option<u32>) -> Result<String, Box<dyn Error>> {
    let Some(Export::Func(func)) = launched.tree().export(&[name]) else {
        return Err(format!("the shop has no function `{name}`").into());
    };
    let func = Arc::new(func.clone());
    let answer = launched.call(&func, item.into_iter().map(Value::U32).collect());
    Ok(match (answer, &func.ty.result) {
        (Ok(Some(value)), Some(ty)) => wave::print(ty, &value),
        (Ok(_), _) => "()".to_owned(),
        (Err(fault), _) => told(&fault),
    })
}

fn in_wasmtime(shop: &[u8]) -> Result<Answers, Box<dyn Error>> {
    let engine = wasmtime::Engine::default();
    let component = Component::new(&engine, shop)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let order = instance.get_typed_func::<(u32,), (Result<u32, String>,)>(&mut store, "order")?;
    let ring = instance.get_typed_func::<(), (u32,)>(&mut store, "ring")?;
    let mut answers = Answers::new();
    for (_, item) in CALLS {
        answers.push(match item {
            Some(item) => match order.call(&mut store, (item,)) {
                Ok((Ok(price),)) => format!("ok({price})"),
                Ok((Err(error),)) => format!("err({error:?})"),
                Err(error) => told(&error.root_cause()),
            },
            None => match ring.call(&mut store, ()) {
                Ok((rung,)) => rung.to_string(),
                Err(error) => told(&error.root_cause()),
            },
        });
    }
    Ok(answers)
}

fn told(error: &dyn Display) -> String {
    let text = error.to_string();
    format!("trap: {}", text.trim_start_matches("wasm trap: "))
}
