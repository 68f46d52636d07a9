//! What the scheduler promises, measured: how long calls wait beside endless loops, how long a kill takes, whether caps hold,
//! and what ticks cost.
//!
//! `ATOLL_TURNS` sets how often the contenders take turns (15), `ATOLL_SECONDS` how long each cap is watched (10),
//! `ATOLL_TICKS_ONLY` leaves all but the ticks out.

use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use abi::value::Value;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::component::linked::{ExportedFunc, Linked};
use kernel::domain::externs::Func;
use kernel::domain::{Domain, DomainOptions};
use kernel::host::Imports;
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::os::timer::thread_cpu_ns;
use kernel::sched::account::{Share, WEIGHT_ONE};
use kernel::sched::machine::{Machine, MachineOptions};
use kernel::sched::thread::{Body, Next};

/// Works for some 10 µs, or for ever.
const LOOPS: &str = r#"(component
  (core module $m
    (func (export "work") (param $n i32) (result i32)
      (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i32.const 1))
    (func (export "spin") (loop $l (br $l))))
  (core instance $i (instantiate $m))
  (func (export "work") (param "n" u32) (result u32) (canon lift (core func $i "work")))
  (func (export "spin") (canon lift (core func $i "spin"))))"#;

struct Kernel {
    name: &'static str,
    wasm: &'static [u8],
    n: u32,
}

macro_rules! kernels {
    ($($name:ident($n:literal)),* $(,)?) => {
        [$(Kernel {
            name: stringify!($name),
            wasm: include_bytes!(concat!("../../benches/kernels/", stringify!($name), ".wasm")),
            n: $n,
        }),*]
    };
}

const KERNELS: [Kernel; 8] =
    kernels![fib(34), interp(300), lz(90), mandel(15), matmul_simd(48), nbody(150_000), sha256(90), sort(9),];

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn func(launched: &Launched, name: &str) -> Arc<ExportedFunc> {
    launched.func(&[name]).expect("the component exports it")
}

struct Loops {
    engine: Engine,
    linked: Arc<Linked>,
}

impl Loops {
    fn new(engine: &Engine) -> Loops {
        let bytes = wat::parse_str(LOOPS).expect("well-formed");
        let executable = Executable::parse(engine, &bytes).expect("valid");
        let linked = executable.link(&Imports::default(), &LinkOptions::new("loops")).expect("links");
        Loops { engine: engine.clone(), linked: Arc::new(linked) }
    }

    fn launch(&self, system: &System, share: Share) -> Arc<Launched> {
        let placement = Placement { share, ..Placement::default() };
        let linked = Arc::clone(&self.linked);
        Arc::new(system.launch(&self.engine, linked, Box::new(()), placement).expect("launches"))
    }

    /// Starts an endless loop; the time at which its caller was answered comes through the channel.
    fn spin(&self, system: &System, share: Share) -> (Arc<Launched>, mpsc::Receiver<Instant>) {
        let (launched, (send, answered)) = (self.launch(system, share), mpsc::channel());
        let caller = Arc::clone(&launched);
        thread::spawn(move || {
            let answer = caller.call(&func(&caller, "spin"), Vec::new());
            drop(answer);
            let _ = send.send(Instant::now());
        });
        (launched, answered)
    }
}

fn system() -> System {
    System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).expect("starts")
}

fn quantiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() * permille / 1000).min(times.len() - 1)];
    println!("{what}: median {:?}, p99 {:?}, worst {:?} of {}", at(500), at(990), at(1000), times.len());
}

/// Eight endless loops beside one that is called now and then, on two workers; then each loop is killed.
fn beside_loops(loops: &Loops, calls: usize) {
    let system = system();
    let spinning: Vec<_> = (0..8).map(|_| loops.spin(&system, Share::default())).collect();
    let served = loops.launch(&system, Share::default());
    let work = func(&served, "work");
    let times = (0..calls).map(|_| {
        thread::sleep(Duration::from_millis(1));
        let began = Instant::now();
        served.call(&work, vec![Value::U32(10_000)]).expect("answers");
        began.elapsed()
    });
    quantiles("calls beside eight loops", times.collect());
    let kills = spinning.iter().map(|(launched, answered)| {
        let began = Instant::now();
        launched.kill(0, "by the bench").expect("there is a domain");
        launched.wait(0).expect("there is a domain");
        answered.recv().expect("its caller is answered").max(Instant::now()) - began
    });
    quantiles("kills of endless loops", kills.collect());
}

/// A loop that may use a fifth of a core, beside some that may use all.
fn cap(loops: &Loops, beside: usize, time: Duration) {
    let system = system();
    let _beside: Vec<_> = (0..beside).map(|_| loops.spin(&system, Share::default())).collect();
    let share = Share { weight: WEIGHT_ONE, cap: Some(200) };
    let (capped, _answered) = loops.spin(&system, share);
    let account = capped.account(0).expect("there is a domain");
    let (began, before) = (Instant::now(), account.used_ns());
    thread::sleep(time);
    let used = account.used_ns() - before;
    let percent = used as f64 * 100.0 / began.elapsed().as_nanos() as f64;
    println!("a cap of 20 % beside {beside} loops, for {time:?}: {percent:.2} % of a core");
}

/// A domain that runs a kernel.
struct Guest {
    domain: Domain,
    run: Func,
}

impl Guest {
    fn load(engine: &Engine, kernel: &Kernel) -> Guest {
        let library = engine.library(kernel.wasm).expect("compiles");
        let mut domain = Domain::new(engine, DomainOptions::default());
        let instance = domain.instantiate(&library, &[], None).expect("instantiates");
        let run = domain.export(instance, "run").and_then(|export| export.func()).expect("exports `run`");
        Guest { domain, run }
    }
}

struct Job<F>(Option<F>);

impl<F: FnOnce() + Send> Body for Job<F> {
    fn run(&mut self) -> Next {
        self.0.take().into_iter().for_each(|work| work());
        Next::End
    }
}

/// Runs the guests side by side on a machine with one worker; processor time of that worker from the first one's begin to
/// the last one's end, everything between included.
fn run_all(machine: &Machine, guests: &mut Vec<Guest>, n: u32) -> Duration {
    let (send, done) = mpsc::channel();
    let count = guests.len();
    let threads: Vec<_> = guests
        .drain(..)
        .map(|mut guest| {
            let send = send.clone();
            let work = move || {
                let (began, mut results) = (thread_cpu_ns(), [0]);
                guest.domain.call(&guest.run, &[u128::from(n)], &mut results).expect("does not trap");
                black_box(results);
                let _ = send.send((guest, began, thread_cpu_ns()));
            };
            machine.spawn(machine.account(Share::default()), Box::new(Job(Some(work))))
        })
        .collect();
    threads.iter().for_each(kernel::sched::thread::Thread::wake);
    let (mut first, mut last) = (u64::MAX, 0);
    for (guest, began, ended) in done.iter().take(count) {
        guests.push(guest);
        (first, last) = (first.min(began), last.max(ended));
    }
    Duration::from_nanos(last - first)
}

/// So many guests on a worker with these ticks, beside as many one after the other without a tick; by turns, and of each
/// kernel the median ratio and the ratio of the least times.
fn ticks(engine: &Engine, guests: usize, options: MachineOptions, turns: usize, smoke: bool) {
    let hour_ns = 3_600_000_000_000;
    let off = MachineOptions { slice_ns: hour_ns, sample_ns: hour_ns, ..options };
    let (on, off) = (Machine::start(options).expect("starts"), Machine::start(off).expect("starts"));
    let mut product = 1.0;
    for kernel in &KERNELS {
        let load = || (0..guests).map(|_| Guest::load(engine, kernel)).collect();
        let (mut left, mut right): (Vec<Guest>, Vec<Guest>) = (load(), load());
        let n = if smoke { 1 } else { kernel.n };
        let mut turn =
            || (run_all(&on, &mut left, n).as_secs_f64(), run_all(&off, &mut right, n).as_secs_f64());
        turn();
        let mut pairs: Vec<_> = (0..turns).map(|_| turn()).collect();
        pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (with, without) = pairs[turns / 2];
        let least = |times: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(times).fold(f64::MAX, f64::min);
        let (ratio, of_least) = (with / without, least(&|pair| pair.0) / least(&|pair| pair.1));
        product *= ratio;
        let name = kernel.name;
        println!("{name:<12} {:7.2} ms {:7.2} ms {ratio:.4} {of_least:.4}", 1e3 * with, 1e3 * without);
    }
    println!("geometric mean of the medians {:.4}", product.powf(1.0 / KERNELS.len() as f64));
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let turns = if smoke { 1 } else { number("ATOLL_TURNS", 15).max(1) as usize };
    let seconds = Duration::from_millis(if smoke { 50 } else { 1000 * number("ATOLL_SECONDS", 10) });
    let options = EngineOptions { verify: false, ..EngineOptions::default() };
    let engine = Engine::with(options).expect("a known machine");
    if std::env::var_os("ATOLL_TICKS_ONLY").is_none() {
        let loops = Loops::new(&engine);
        beside_loops(&loops, if smoke { 20 } else { 3000 });
        cap(&loops, 0, seconds);
        cap(&loops, 3, seconds);
    }
    let usual = MachineOptions { workers: Some(1), ..MachineOptions::default() };
    println!("one guest with the usual ticks / without");
    ticks(&engine, 1, usual, turns, smoke);
    println!("two guests that take turns / one after the other without ticks");
    ticks(&engine, 2, usual, turns, smoke);
}
