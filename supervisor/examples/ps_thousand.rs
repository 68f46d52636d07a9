//! How long `ps` takes with a thousand processes: `cargo run --release -p atoll --example ps_thousand`.
//!
//! A tree of a thousand processes runs in this process, as one domain and as one domain a process, and is asked over its
//! control socket, connecting included: all that `atoll ps` does but starting and printing.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll::control::dialing;
use atoll::control::listening::ControlSocket;
use atoll::paint::Paint;
use atoll::steward::Steward;
use atoll::unsupervised::Unsupervised;
use atoll::watch::listing;
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;

const PROCESSES: usize = 1000;
const TIMES: usize = 101;

fn main() {
    let folder =
        std::env::var_os("XDG_RUNTIME_DIR").expect("set XDG_RUNTIME_DIR to an empty folder of yours");
    println!("{PROCESSES} processes, asked {TIMES} times over a socket in {}", folder.display());
    for (name, isolate) in [("one domain", Isolate::Nothing), ("a domain each", Isolate::All)] {
        let times = measure(isolate);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{name:>14}: median {:.2?}, slowest {:.2?}", at(50), at(100));
    }
}

/// Sorted times from the question to the text.
fn measure(isolate: Isolate) -> Vec<Duration> {
    let mut text = String::from(
        "(component (component $c (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)))",
    );
    // The root is one of them.
    for number in 1..PROCESSES {
        write!(text, "(instance $p{number} (instantiate $c))").expect("writing to a string never fails");
    }
    text.push(')');
    let engine = Engine::new().expect("a compiler for this machine");
    let binary = wat::parse_str(&text).expect("it is WebAssembly text");
    let executable = Executable::parse(&engine, &binary).expect("it is a component");
    let options = LinkOptions { isolate, ..LinkOptions::new("thousand") };
    let linked = executable.link(&Imports::default(), &options).expect("it needs nobody");
    let system = System::start(MachineOptions::default()).expect("there are threads");
    let launched = system.launch(&engine, Arc::new(linked), Box::new(()), Placement::default());
    let launched = Arc::new(launched.expect("it comes up"));
    let steward: Arc<dyn Steward> = Arc::new(Unsupervised::new("thousand", "thousand.wat", &launched));
    let _socket = ControlSocket::open(&steward, |note| panic!("{note}"));
    while dialing::trees().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut times: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let began = Instant::now();
            let trees: Vec<_> =
                dialing::trees().into_iter().filter_map(|found| Some(found.tree.ok()?.0)).collect();
            let lines = listing::render(&trees, None, Paint::PLAIN).lines().count();
            assert_eq!(lines, PROCESSES + 2, "a headline, headings, and a line a process");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}
