//! What it costs a guest that it can be pre-empted, beside Wasmtime's way: the same bytes, in the same process, by turns.
//!
//! atoll interrupts guest code with a signal: with its usual ticks, one in 10 ms while nobody else waits, and with one a
//! millisecond. Wasmtime looks at an epoch in every loop and function; a thread advances it each millisecond. Times are
//! processor time of the OS thread that runs the guest. `ATOLL_TURNS` sets how often all take turns (21).

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use atoll_benches::kernels::{KERNELS, Kernel};
use kernel::domain::externs::Func;
use kernel::domain::{Domain, DomainOptions};
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::os::timer::thread_cpu_ns;
use kernel::sched::account::Share;
use kernel::sched::machine::{Machine, MachineOptions};
use kernel::sched::thread::{Body, Next};
use wasmtime::{Instance, Module, Store, TypedFunc, UpdateDeadline};

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;
/// Calls a turn, so that it is long enough for dozens of ticks.
const REPEATS: usize = 3;

/// A domain that a machine runs.
struct Ours {
    machine: Machine,
    guest: Option<(Domain, Func)>,
}

struct Job<F>(Option<F>);

impl<F: FnOnce() + Send> Body for Job<F> {
    fn run(&mut self) -> Next {
        self.0.take().into_iter().for_each(|work| work());
        Next::End
    }
}

impl Ours {
    fn load(engine: &Engine, kernel: &Kernel, slice_ns: u64, sample_ns: u64) -> Ours {
        let library = engine.library(kernel.wasm).expect("compiles");
        let mut domain = Domain::new(engine, DomainOptions::default());
        let instance = domain.instantiate(&library, &[], None).expect("instantiates");
        let run = domain.export(instance, "run").and_then(|export| export.func()).expect("exports `run`");
        let options = MachineOptions { workers: Some(1), slice_ns, sample_ns };
        Ours { machine: Machine::start(options).expect("starts"), guest: Some((domain, run)) }
    }

    fn run(&mut self, n: u32) -> u64 {
        let (send, done) = mpsc::channel();
        let (mut domain, run) = self.guest.take().expect("it comes back after each run");
        let work = move || {
            let (began, mut results) = (thread_cpu_ns(), [0]);
            for _ in 0..REPEATS {
                domain.call(&run, &[u128::from(n)], &mut results).expect("does not trap");
                black_box(results);
            }
            let _ = send.send((thread_cpu_ns() - began, domain, run));
        };
        let account = self.machine.account(Share::default());
        self.machine.spawn(account, Box::new(Job(Some(work)))).wake();
        let (used, domain, run) = done.recv().expect("the job is done");
        self.guest = Some((domain, run));
        used
    }
}

struct Theirs {
    store: Store<()>,
    run: TypedFunc<u32, u32>,
}

impl Theirs {
    fn load(engine: &wasmtime::Engine, kernel: &Kernel, epochs: bool) -> Theirs {
        let module = Module::new(engine, kernel.wasm).expect("compiles");
        let mut store = Store::new(engine, ());
        if epochs {
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        }
        let instance = Instance::new(&mut store, &module, &[]).expect("instantiates");
        let run = instance.get_typed_func(&mut store, "run").expect("exports `run`");
        Theirs { store, run }
    }

    fn run(&mut self, n: u32) -> u64 {
        let began = thread_cpu_ns();
        for _ in 0..REPEATS {
            black_box(self.run.call(&mut self.store, n).expect("does not trap"));
        }
        thread_cpu_ns() - began
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let turns = std::env::var("ATOLL_TURNS").ok().and_then(|turns| turns.parse().ok());
    let turns = if smoke { 1 } else { turns.unwrap_or(21) };
    let options = EngineOptions { verify: false, ..EngineOptions::default() };
    let engine = Engine::with(options).expect("a known machine");
    let plain = wasmtime::Engine::default();
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let epochs = wasmtime::Engine::new(&config).expect("a known machine");
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = thread::spawn({
        let (epochs, stop) = (epochs.clone(), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
                epochs.increment_epoch();
            }
        }
    });
    println!("{:<12} {:>12} {:>12} {:>12}", "", "usual ticks", "1 ms ticks", "epochs");
    let mut products = [1.0; 3];
    for kernel in &KERNELS {
        let mut ours = [(HOUR, HOUR), (MS, 10 * MS), (MS, MS)]
            .map(|(slice_ns, sample_ns)| Ours::load(&engine, kernel, slice_ns, sample_ns));
        let mut theirs = [Theirs::load(&plain, kernel, false), Theirs::load(&epochs, kernel, true)];
        let n = if smoke { 1 } else { kernel.n };
        let mut ratios: [Vec<f64>; 3] = Default::default();
        for turn in 0..=turns {
            let [off, usual, each_ms] = &mut ours;
            let [without, with] = &mut theirs;
            let off = off.run(n) as f64;
            let measured = [usual.run(n) as f64 / off, each_ms.run(n) as f64 / off, {
                let without = without.run(n) as f64;
                with.run(n) as f64 / without
            }];
            // The first turn warms everything up.
            if turn > 0 {
                ratios.iter_mut().zip(measured).for_each(|(ratios, ratio)| ratios.push(ratio));
            }
        }
        let medians = ratios.map(median);
        products.iter_mut().zip(medians).for_each(|(product, median)| *product *= median);
        let [usual, each_ms, epochs] = medians;
        println!("{:<12} {usual:>12.4} {each_ms:>12.4} {epochs:>12.4}", kernel.name);
    }
    let [usual, each_ms, epochs] = products.map(|product: f64| product.powf(1.0 / KERNELS.len() as f64));
    println!("{:<12} {usual:>12.4} {each_ms:>12.4} {epochs:>12.4}", "geomean");
    stop.store(true, Ordering::Relaxed);
    ticker.join().expect("it only sleeps");
}
