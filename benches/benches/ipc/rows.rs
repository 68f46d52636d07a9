//! The rows of the table: who does what, and what it must reach.

use atoll_benches::contest::{Clock, Goal, Row, Who, Work};
use kernel::component::link::Isolate;

use crate::{floors, ours, over_boundaries, theirs};

/// Makes a row: compiles its guests.
pub type Make = Box<dyn FnOnce() -> Row<'static>>;

const KIB: u32 = 1024;

/// All rows.
pub fn all() -> Vec<Make> {
    let mut rows: Vec<Make> = vec![
        Box::new(|| {
            let floor = || ours::Guest::new(&guest("module")).launch().work("pair", 0);
            looped("u32 pair", "pair", "run", 0, ("in one module", floor()))
                .must(1.0, Who::Floor)
                .must(1.0, Who::Best)
                .must(0.25, Who::Default)
                .row
        }),
        Box::new(|| {
            let mut made =
                looped("u32 pair, native pointer", "pair", "run", 0, ("native call", floors::pointer()));
            made.row.contenders.truncate(2);
            made.row
        }),
        Box::new(|| {
            let floor = ours::Guest::new(&guest("module")).launch().work("chain", 0);
            looped("chain of 8", "chain", "run", 0, ("in one module", floor)).must(0.2, Who::Best).row
        }),
    ];
    for (name, bytes) in [("16 B", 16), ("1 KiB", KIB), ("64 KiB", 64 * KIB)] {
        rows.push(Box::new(move || {
            let made = bulk(&format!("string {name}"), "text", bytes, bytes);
            match bytes {
                16 => made.must(0.25, Who::Best).row,
                KIB => made.row,
                _ => made.must(1.3, Who::Floor).row,
            }
        }));
    }
    for (ty, func, bytes) in [("u8", "bytes", 1), ("u32", "words", 4)] {
        for (name, size) in [("64 KiB", 64 * KIB), ("1 MiB", 1024 * KIB)] {
            rows.push(Box::new(move || {
                bulk(&format!("list<{ty}> {name}"), func, size / bytes, size).must(1.1, Who::Floor).row
            }));
        }
    }
    rows.push(Box::new(|| bulk("list<char> 64 KiB", "chars", 16 * KIB, 64 * KIB).row));
    rows.push(Box::new(|| bulk("1,000 records", "records", 1000, 24_000).must(0.5, Who::Best).row));
    rows.push(Box::new(|| {
        looped("resource method", "counter", "method", 0, ("call and look up", floors::looked_up()))
            .must(0.07, Who::Best)
            .row
    }));
    rows.push(Box::new(|| {
        looped("constructor + drop", "counter", "life", 0, ("call and look up", floors::looked_up()))
            .must(0.1, Who::Best)
            .row
    }));
    rows.push(Box::new(host_to_component));
    rows.push(Box::new(dynamic));
    rows.push(Box::new(|| {
        looped("component → host", "edge", "run", 0, ("native call", floors::pointer()))
            .must(0.1, Who::Best)
            .row
    }));
    rows.push(Box::new(instantiate));
    rows.extend(over_boundaries::rows());
    rows.push(Box::new(spawn));
    rows.push(Box::new(restart));
    rows
}

struct Made {
    row: Row<'static>,
}

impl Made {
    fn must(mut self, times: f64, than: Who) -> Made {
        self.row.goals.push(Goal { times, than });
        self
    }
}

/// A row of bytes to a sibling: `size` elements in `bytes` bytes.
fn bulk(name: &str, func: &str, size: u32, bytes: u32) -> Made {
    looped(name, "bulk", func, size, ("memcpy", floors::memcpy(bytes as usize)))
}

/// A row whose guest loops.
fn looped(name: &str, file: &str, func: &str, size: u32, floor: (&'static str, Work<'static>)) -> Made {
    let bytes = guest(file);
    let ours = ours::Guest::new(&bytes).launch().work(func, size);
    let theirs = |who| theirs::Guest::new(who, false, &bytes).launch().work(func, size);
    let rivals = (theirs(Who::Default), theirs(Who::Best));
    Made { row: row(name, ours, floor, rivals) }
}

fn host_to_component() -> Row<'static> {
    let bytes = guest("edge");
    let ours = ours::Guest::new(&bytes).launch().calls("plus");
    let theirs = |who| theirs::Guest::new(who, false, &bytes).launch().calls("plus");
    let rivals = (theirs(Who::Default), theirs(Who::Best));
    let row = row("host → component", ours, ("native call", floors::pointer()), rivals);
    Made { row }.must(0.1, Who::Best).row
}

fn dynamic() -> Row<'static> {
    let bytes = guest("edge");
    let ours = ours::Guest::new(&bytes).launch().dynamic_calls("plus");
    let theirs = |who| theirs::Guest::new(who, false, &bytes).launch().dynamic_calls("plus");
    let rivals = (theirs(Who::Default), theirs(Who::Best));
    row("the same, dynamic values", ours, ("native call", floors::pointer()), rivals)
}

fn instantiate() -> Row<'static> {
    let bytes = guest("memory");
    let ours = ours::Guest::new(&bytes);
    let ours: Work<'static> = Box::new(move |count| (0..count).for_each(|_| drop(ours.launch())));
    let theirs = |who| theirs::Guest::new(who, true, &bytes).launches();
    let rivals = (theirs(Who::Default), theirs(Who::Best));
    let mut row = row("instantiate + drop", ours, ("–", Box::new(|_| ())), rivals);
    drop(row.contenders.remove(1));
    Made { row }.must(0.5, Who::Best).row
}

/// A domain with its thread and its mailbox, on a machine, and its end. What the machine's worker does counts too.
fn spawn() -> Row<'static> {
    let bytes = guest("memory");
    let ours = ours::Guest::new(&bytes).spawns();
    let theirs = |who| theirs::Guest::new(who, true, &bytes).launches();
    let rivals = (theirs(Who::Default), theirs(Who::Best));
    let mut row = row("spawn of a domain, and its end", ours, ("–", Box::new(|_| ())), rivals);
    drop(row.contenders.remove(1));
    Row { clock: Clock::OsProcess, ..row }
}

/// Theirs is another store: all that it had.
fn restart() -> Row<'static> {
    let bytes = guest("worker");
    let isolate = Isolate::Named(vec!["worker".to_owned()]);
    let ours = ours::Guest::isolating(&bytes, isolate).launch().restarts(1, "fail", "add");
    let theirs = |who| theirs::Guest::new(who, true, &bytes).restarts("fail", "add");
    let rivals = (theirs(Who::Default), theirs(Who::Best));
    let mut row = row("fault and restart", ours, ("–", Box::new(|_| ())), rivals);
    drop(row.contenders.remove(1));
    row
}

fn row(
    name: &str,
    ours: Work<'static>,
    (floor_name, floor): (&'static str, Work<'static>),
    (default, best): (Work<'static>, Work<'static>),
) -> Row<'static> {
    let contenders =
        vec![(Who::Atoll, ours), (Who::Floor, floor), (Who::Default, default), (Who::Best, best)];
    let clock = Clock::Thread;
    Row { name: name.to_owned(), floor: floor_name, contenders, goals: Vec::new(), clock }
}

/// The bytes of a guest.
pub fn guest(file: &str) -> Vec<u8> {
    let text = match file {
        "pair" => include_str!("guests/pair.wat"),
        "module" => include_str!("guests/module.wat"),
        "chain" => include_str!("guests/chain.wat"),
        "bulk" => include_str!("guests/bulk.wat"),
        "counter" => include_str!("guests/counter.wat"),
        "edge" => include_str!("guests/edge.wat"),
        "memory" => include_str!("guests/memory.wat"),
        "worker" => include_str!("guests/worker.wat"),
        other => panic!("there is no guest `{other}`"),
    };
    wat::parse_str(text).expect("the guest is well formed")
}
