//! How fast guest code runs, beside Wasmtime: the same bytes, in the same process, by turns.
//!
//! Lets criterion measure both for its history, then prints a table of ratios. `ATOLL_TURNS` sets how often the two take
//! turns (31), `ATOLL_KERNEL` picks the kernels whose name contains it, `ATOLL_TABLE_ONLY` leaves criterion out.

use std::hint::black_box;

use criterion::Criterion;
use kernel::domain::externs::Func;
use kernel::domain::{Domain, DomainOptions};
use kernel::jit::engine::{Engine, EngineOptions};
use wasmtime::{Instance, Module, Store, TypedFunc};

use atoll_benches::kernels::{KERNELS, Kernel};
use atoll_benches::ratio::{Table, alternate};

struct Ours {
    domain: Domain,
    run: Func,
}

impl Ours {
    fn load(engine: &Engine, kernel: &Kernel) -> Ours {
        let library = engine.library(kernel.wasm).expect("compiles");
        let mut domain = Domain::new(engine, DomainOptions::default());
        let instance = domain.instantiate(&library, &[], None).expect("instantiates");
        let run = domain.export(instance, "run").and_then(|export| export.func()).expect("exports `run`");
        Ours { domain, run }
    }

    fn run(&mut self, n: u32) -> u32 {
        let mut results = [0];
        self.domain.call(&self.run, &[u128::from(n)], &mut results).expect("does not trap");
        results[0] as u32
    }
}

struct Theirs {
    store: Store<()>,
    run: TypedFunc<u32, u32>,
}

impl Theirs {
    fn load(engine: &wasmtime::Engine, kernel: &Kernel) -> Theirs {
        let module = Module::new(engine, kernel.wasm).expect("compiles");
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("instantiates");
        let run = instance.get_typed_func(&mut store, "run").expect("exports `run`");
        Theirs { store, run }
    }

    fn run(&mut self, n: u32) -> u32 {
        self.run.call(&mut self.store, n).expect("does not trap")
    }
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let turns = std::env::var("ATOLL_TURNS").ok().and_then(|turns| turns.parse().ok());
    let turns = if smoke { 1 } else { turns.unwrap_or(31) };
    let only = std::env::var("ATOLL_KERNEL").unwrap_or_default();
    let engine =
        Engine::with(EngineOptions { verify: false, ..EngineOptions::default() }).expect("a known machine");
    let rival = wasmtime::Engine::default();
    let criterion = std::env::var_os("ATOLL_TABLE_ONLY").is_none();
    let mut criterion = criterion.then(|| Criterion::default().sample_size(10).configure_from_args());
    let mut table = Table::default();
    for kernel in KERNELS.iter().filter(|kernel| kernel.name.contains(&only)) {
        let mut ours = Ours::load(&engine, kernel);
        let mut theirs = Theirs::load(&rival, kernel);
        let n = if smoke { 1 } else { kernel.n };
        assert_eq!(ours.run(n), theirs.run(n), "{}: the engines disagree", kernel.name);
        if let Some(criterion) = &mut criterion {
            let mut group = criterion.benchmark_group(format!("guest_code/{}", kernel.name));
            group.bench_function("atoll", |bencher| bencher.iter(|| ours.run(n)));
            group.bench_function("wasmtime", |bencher| bencher.iter(|| theirs.run(n)));
        }
        let row =
            alternate(kernel.name, turns, || _ = black_box(ours.run(n)), || _ = black_box(theirs.run(n)));
        table.rows.push(row);
    }
    println!("{table}");
    if let Some(criterion) = criterion {
        criterion.final_summary();
    }
}
