//! Trees of manifests, brought up and called.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::value::Value;
use ipc::actor::CallLimits;
use ipc::launched::Launched;
use ipc::system::{Place, Placement, System};
use kernel::component::linked::Export;
use kernel::component::port::OnFault;
use kernel::jit::engine::Engine;
use kernel::quota::Quota;
use kernel::sched::account::Share;
use kernel::sched::machine::MachineOptions;
use servers::{Buffer, Output, Wasi};

use super::binaries::Reader;
use super::granting::Printed;
use super::loaded::Loaded;
use super::sheet::Sheet;
use crate::program::Program;

/// A tree that runs, and what its processes print.
pub struct Up {
    pub loaded: Loaded,
    pub launched: Launched,
    pub printed: BTreeMap<String, Buffer>,
    _system: System,
}

fn up(text: &str, folder: &Path) -> Up {
    up_with(text, folder, &Program::read)
}

/// The same with components that something else reads.
pub fn up_with(text: &str, folder: &Path, reader: &Reader<'_>) -> Up {
    let engine = Engine::new().expect("a compiler");
    let sheet = Sheet::parse("atoll.toml", folder.to_path_buf(), text.to_owned());
    let loaded = sheet.and_then(|sheet| Loaded::with(sheet, &engine, reader));
    let loaded = loaded.unwrap_or_else(|error| panic!("{}", error.render(crate::paint::Paint::PLAIN)));
    let printed = RefCell::new(BTreeMap::new());
    let print = |path: &str| {
        let buffer = Buffer::default();
        let stdout = Output::buffer(&buffer);
        printed.borrow_mut().insert(path.to_owned(), buffer);
        Printed { stdout, stderr: Output::discard() }
    };
    let builder = loaded
        .grants(print)
        .into_iter()
        .fold(Wasi::builder().deny_others(), |builder, (index, grants)| builder.grant(index, grants));
    let system =
        System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).expect("a machine");
    let wasi = Box::new(builder.build().expect("servers"));
    let linked = Arc::clone(&loaded.linked);
    let launched =
        system.launch_within(&engine, linked, wasi, loaded.quotas(), |domain, _| loaded.placement(domain));
    let launched = launched.expect("it comes up");
    Up { loaded, launched, printed: printed.into_inner(), _system: system }
}

impl Up {
    /// Calls a function of an interface that a process exports.
    fn call(&self, process: &str, interface: &str, func: &str, arg: u32) -> Option<Value> {
        let index =
            self.loaded.processes.iter().find(|planned| planned.path == process).expect("a process").index;
        let exports = self.loaded.linked.exported_by(index as usize).expect("exports");
        let Some(Export::Instance(items)) = exports.get(interface) else {
            panic!("no interface {interface}")
        };
        let Some(Export::Func(func)) = items.get(func) else { panic!("no function {func}") };
        self.launched.call(&Arc::new(func.clone()), vec![Value::U32(arg)]).expect("answered")
    }

    /// Calls a function of a process by the names that lead to it, which takes numbers and gives one.
    pub fn ask(&self, path: &str, names: &[&str], args: &[u64]) -> Result<u64, Fault> {
        let planned = self.loaded.processes.iter().find(|planned| planned.path == path).expect("a process");
        let mut exports = self.loaded.linked.exported_by(planned.index as usize).expect("exports");
        let (last, interfaces) = names.split_last().expect("a name");
        for name in interfaces {
            let Some(Export::Instance(inner)) = exports.get(*name) else { panic!("no interface {name}") };
            exports = inner;
        }
        let Some(Export::Func(func)) = exports.get(*last) else { panic!("no function {last}") };
        let args = args.iter().map(|arg| Value::U64(*arg)).collect();
        match self.launched.call(&Arc::new(func.clone()), args)? {
            Some(Value::U64(value)) => Ok(value),
            other => panic!("{last} gave {other:?}"),
        }
    }

    /// Runs a command to its good end, and says what it has printed.
    pub fn run(&self, path: &str) -> String {
        let planned = self.loaded.processes.iter().find(|planned| planned.path == path).expect("a process");
        match self.launched.call(planned.run.as_ref().expect("a command"), Vec::new()) {
            Ok(result) => assert_eq!(result, Some(Value::Result(Ok(None)))),
            Err(fault) => assert!(matches!(fault.trap, Trap::Exit(0)), "{fault:?}"),
        }
        String::from_utf8(self.printed[path].contents()).expect("text")
    }
}

fn parts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests/parts")
}

const SHOP: &str = r#"name = "shop"
[process.front]
component = "front.wat"
[process.cart]
component = "cart.wat"
[process.store]
component = "store.wat"
"#;

#[test]
fn wired_processes_call_each_other() {
    let apart = up(SHOP, &parts());
    assert_eq!(apart.loaded.linked.domains(), 4);
    assert_eq!(apart.call("/shop/front", "shop:front/front", "order", 1), Some(Value::U32(9)));
    assert_eq!(apart.call("/shop/store", "shop:kv/store@0.1.2", "get", 1), Some(Value::U32(7)));
    let together = SHOP.replace("\"cart.wat\"", "\"cart.wat\"\ndomain = \"back\"");
    let together = together.replace("\"store.wat\"", "\"store.wat\"\ndomain = \"back\"");
    let together = up(&together, &parts());
    assert_eq!(together.loaded.linked.domains(), 3);
    assert_eq!(together.call("/shop/front", "shop:front/front", "order", 1), Some(Value::U32(9)));
    let domains = together.loaded.linked.processes().iter().map(|process| process.place.domain);
    assert_eq!(domains.collect::<Vec<_>>(), [0, 1, 1, 2]);
}

#[test]
fn quotas_and_places_reach_their_domains() {
    let text = SHOP.replace(
        "\"store.wat\"",
        "\"store.wat\"\nplacement = \"worker:1\"\nquotas = { cpu-cap = \"50%\", cpu-weight = 10, mailbox = 8, \
         call-time = \"1s\", message = \"1KiB\", memory = \"1MiB\", table-elements = 9, handles = 7, stack = \"64KiB\" }",
    );
    let more = "[quotas]\nmemory = \"2MiB\"\nmailbox = 3\n[machine]\nworkers = 2\nslice = \"5ms\"\n";
    let Loaded { workers, linked, .. } = &up(&format!("{text}{more}"), &parts()).loaded;
    let options = workers.options(linked);
    assert_eq!((options.workers, options.slice_ns), (Some(2), 5_000_000));
    let tree = up(&format!("{text}{more}"), &parts());
    let store = Placement {
        share: Share { weight: 10, cap: Some(500) },
        mailbox: 8,
        limits: CallLimits { wall_clock_ns: Some(1_000_000_000), message_bytes: Some(1024) },
        place: Place::Worker(1),
    };
    assert_eq!(tree.loaded.placement(1), store);
    assert_eq!(tree.loaded.placement(2), Placement { mailbox: 3, ..Placement::default() });
    let quotas = tree.loaded.quotas().processes;
    let quota = |index| quotas.iter().find(|(at, _)| *at == index).map(|(_, quota)| *quota);
    let store = Quota {
        memory_bytes: Some(1 << 20),
        table_elements: Some(9),
        handles: Some(7),
        stack_bytes: Some(64 << 10),
    };
    assert_eq!(quota(1), Some(store));
    assert_eq!(quota(2), Some(Quota { memory_bytes: Some(2 << 20), ..Quota::default() }));
}

#[test]
fn of_what_is_said_of_an_edge_the_nearest_counts() {
    let text = "name = \"t\"\non-fault = \"error\"\ndeadline = \"9s\"\n\
        [process.app]\ncomponent = \"composed.wat\"\non-fault = \"retry:2\"\n\
        [process.\"app/kv\"]\nisolate = true\non-fault = \"error\"\n\
        [[edge]]\nfrom = \"app\"\nto = \"app/kv\"\ndeadline = \"1s\"\n\
        [[edge]]\nfrom = \"app/desk\"\nto = \"app/kv\"\non-fault = \"trap\"\n";
    let tree = up(text, &parts());
    let policy = |caller: &str| {
        let policy = tree.loaded.options.policy(("", caller), ("kv", "/t/app/kv"));
        (policy.on_fault, policy.deadline_ns)
    };
    // The process says again what holds for all, and not what is said of the component that it is in.
    assert_eq!(policy("/t/other"), (OnFault::Error, Some(9_000_000_000)));
    assert_eq!(policy("/t/app"), (OnFault::Error, Some(1_000_000_000)));
    assert_eq!(policy("/t/app/desk"), (OnFault::Trap, Some(9_000_000_000)));
}

/// Real components, where `SHARED` names a folder that has them.
fn guests() -> Option<PathBuf> {
    let guests = PathBuf::from(std::env::var_os("SHARED")?).join("guests");
    guests.is_dir().then_some(guests)
}

#[test]
fn separate_files_are_one_program() {
    let Some(guests) = guests() else { return };
    let text = r#"name = "geo"
        [process.app]
        component = "rust_geo_app.wasm"
        grants = { clocks = true, random = true }
        [process.lib]
        component = "rust_geo_lib.wasm"
        grants = { clocks = true, random = true }"#;
    let expected = std::fs::read_to_string(guests.join("EXPECTED.md")).expect("what each prints");
    let block = expected.split("$ RUN rust_geo_composed.wasm\n").nth(1).expect("what it prints");
    let lines: Vec<&str> = block
        .lines()
        .take_while(|line| !line.starts_with('$'))
        .filter(|line| !line.starts_with("(stderr)"))
        .collect();
    let tree = up(text, &guests);
    let printed = tree.run("/geo/app");
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn preview1_modules_are_processes_too() {
    let Some(guests) = guests() else { return };
    let text = r#"name = "two"
        [process.one]
        component = "rust_hello_p1.wasm"
        grants = { args = ["a"], env = { K = "V" }, clocks = true, random = true }
        [process.other]
        component = "rust_hello_p1.wasm"
        grants = { clocks = true, random = true }"#;
    let tree = up(text, &guests);
    let one = tree.run("/two/one");
    assert!(one.starts_with("hello from rust std, args=[\"one\", \"a\"]\nenv=[(\"K\", \"V\")]\n"), "{one}");
    let other = tree.run("/two/other");
    assert!(other.starts_with("hello from rust std, args=[\"other\"]\nenv=[]\n"), "{other}");
}
