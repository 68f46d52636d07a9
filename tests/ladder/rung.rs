//! The rungs, and one case over all of them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use abi::fault::Trap;
use abi::relay::{Relay, Relays, Who};
use abi::types::{FuncType, ResourceType};
use abi::value::Value;
use ipc::actor::CallLimits;
use ipc::launched::Launched;
use ipc::segment::spawn::Program;
use ipc::system::{Place, Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::{Export, ExportedFunc, Linked};
use kernel::component::tree::Tree;
use kernel::host::{HostCall, HostFunc, HostResource, Import, Imports, serve_values};
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use kernel::sched::machine::MachineOptions;

/// How a call gets from front to back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Front and back are trees of their own: the interpreter lifts from the one and lowers into the other.
    Interpreted,
    /// One domain: a compiled adapter.
    Fused,
    /// Two domains of a tree that runs on no machine: the call nests on the caller's OS thread.
    Nested,
    /// Two domains on one worker.
    Handoff,
    /// Two domains on two workers.
    Channel,
    /// Two domains, of which the one that is called is in an OS process of its own.
    Segment,
    /// Two domains, each in an OS process of its own.
    Segments,
}

/// All but the first, which the others are compared with.
pub const RUNGS: [Rung; 6] =
    [Rung::Fused, Rung::Nested, Rung::Handoff, Rung::Channel, Rung::Segment, Rung::Segments];

/// Names of processes that call over the rung, and of those that are called.
const CALLERS: [&str; 2] = ["front", "user"];
const CALLEES: [&str; 2] = ["back", "counters"];

/// A function type, and what front and back do.
#[derive(Clone, Debug)]
pub struct Case {
    /// The type of the function that is called all the way.
    pub ty: FuncType,
    /// Who calls over the rung.
    pub front: Relay,
    /// Who is called.
    pub back: Relay,
}

/// One call: what the host sends, and what it returns at the far end.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is sent.
    pub args: Vec<Value>,
    /// What is returned.
    pub result: Option<Value>,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How far the call came, as [`Who`] counts: what one rung lets pass the next check on the way would find.
    pub steps: Vec<u32>,
    /// What arrived at the far end, if the call came that far.
    pub seen: Option<Vec<Value>>,
    /// What came back.
    pub returned: Result<Option<Value>, Trap>,
}

impl Outcome {
    /// As text: NaN is not equal to itself, and what both look like is.
    pub fn text(&self) -> String {
        format!("steps {:?}, seen {:?}, returned {:?}", self.steps, self.seen, self.returned)
    }
}

impl Case {
    /// Makes the calls over each rung, each call in a tree that has just been launched, and holds all of them to the
    /// interpreter's answers, which it gives.
    pub fn agree(&self, calls: &[Call]) -> Vec<Outcome> {
        self.agree_but(calls, |_, _| false)
    }

    /// The same where `pardoned` allows an outcome, the second, that is not the interpreter's, the first.
    pub fn agree_but(&self, calls: &[Call], pardoned: impl Fn(&Outcome, &Outcome) -> bool) -> Vec<Outcome> {
        let routes = Routes::new(self);
        let expected = routes.outcomes(Rung::Interpreted, calls);
        for rung in RUNGS {
            for ((have, want), call) in routes.outcomes(rung, calls).iter().zip(&expected).zip(calls) {
                let agree = have.text() == want.text() || pardoned(want, have);
                assert!(agree, "{}", self.report(rung, call, have, want));
            }
        }
        expected
    }

    /// The same with guests that mean well: what was sent arrives, and what was returned comes back.
    pub fn echo(&self, calls: &[Call]) {
        for (outcome, call) in self.agree(calls).iter().zip(calls) {
            let honest = Outcome {
                steps: vec![0, 1, 2, 3],
                seen: Some(call.args.clone()),
                returned: Ok(call.result.clone()),
            };
            assert_eq!(outcome.text(), honest.text(), "{}: what came of it, what was sent", self.ty);
        }
    }

    /// Makes a call whose callee takes messages of `allowed` bytes at most, over each rung between domains on a machine.
    pub fn limited(&self, call: &Call, allowed: u64) -> Vec<Result<Option<Value>, Trap>> {
        let routes = Routes::new(self);
        *lock(&routes.far.result) = call.result.clone();
        let limits = CallLimits { message_bytes: Some(allowed), ..CallLimits::default() };
        let answer = |rung| {
            let placement = |domain: u32, path: &str| {
                let limits = if path.ends_with("/back") { limits } else { CallLimits::default() };
                Placement { place: place(rung, domain, path), limits, ..Placement::default() }
            };
            let (system, linked) = (&routes.two, Arc::clone(&routes.apart));
            let tree =
                system.launch_within(&routes.engine, linked, Box::new(()), Quotas::default(), placement);
            let tree = tree.unwrap();
            tree.call(&tree.func(&["h"]).unwrap(), call.args.clone()).map_err(|fault| fault.trap)
        };
        [Rung::Handoff, Rung::Channel, Rung::Segment, Rung::Segments].map(answer).into()
    }

    fn report(&self, rung: Rung, call: &Call, have: &Outcome, want: &Outcome) -> String {
        let mut text = format!("{rung:?} and the interpreter do not agree about a {}\n", self.ty);
        let shortened = |text: String| text.chars().take(2_000).collect::<String>();
        for (name, what) in [("sent", format!("{call:?}")), ("have", have.text()), ("want", want.text())] {
            writeln!(text, "{name}: {}", shortened(what)).unwrap();
        }
        writeln!(text, "front: {:?}\nback: {:?}", self.front, self.back).unwrap();
        text
    }
}

/// A call of an exported function of one tree.
pub type Ask<'t> = dyn FnMut(&str, Vec<Value>) -> Result<Option<Value>, Trap> + 't;

/// Launches a component once for each rung, each of its processes a domain where there is a boundary, and lets `check` call
/// it.
pub fn each_rung(text: &str, check: impl Fn(Rung, &mut Ask<'_>)) {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(text).unwrap()).unwrap();
    let link = |isolate| {
        let options = LinkOptions { isolate, ..LinkOptions::new("ladder") };
        Arc::new(executable.link(&Imports::default(), &options).unwrap())
    };
    for rung in RUNGS {
        let isolate = if rung == Rung::Fused { Isolate::Nothing } else { Isolate::All };
        let linked = link(isolate);
        match workers(rung) {
            None => {
                let mut tree = Tree::launch(&engine, linked, Box::new(())).unwrap();
                check(rung, &mut |name, args| {
                    let func = exported(&tree, name);
                    tree.call(&func, &args).map_err(|fault| fault.trap)
                });
            }
            Some(workers) => {
                let system = system(workers);
                let tree = launched(&system, rung, &engine, &linked);
                check(rung, &mut |name, args| {
                    tree.call(&tree.func(&[name]).unwrap(), args).map_err(|fault| fault.trap)
                });
            }
        }
    }
}

/// How many workers a rung needs; none if it needs no machine.
fn workers(rung: Rung) -> Option<usize> {
    match rung {
        Rung::Interpreted | Rung::Fused | Rung::Nested => None,
        Rung::Handoff => Some(1),
        Rung::Channel | Rung::Segment | Rung::Segments => Some(2),
    }
}

fn system(workers: usize) -> System {
    let options = MachineOptions { workers: Some(workers), ..MachineOptions::default() };
    System::start(options).unwrap().with_program(Program::at(env!("CARGO_BIN_EXE_atoll-segment")))
}

/// Where a domain runs; neighbours by number are at two workers, if there are two.
fn place(rung: Rung, domain: u32, path: &str) -> Place {
    let is_one_of = |names: &[&str]| path.rsplit('/').next().is_some_and(|name| names.contains(&name));
    match rung {
        Rung::Segment if is_one_of(&CALLEES) => Place::OwnProcess,
        Rung::Segments if is_one_of(&CALLEES) || is_one_of(&CALLERS) => Place::OwnProcess,
        Rung::Channel => Place::Worker(domain as usize % 2),
        Rung::Handoff => Place::Worker(0),
        _ => Place::Anywhere,
    }
}

/// Brings a tree up whose domains are where a rung has them.
fn launched(system: &System, rung: Rung, engine: &Engine, linked: &Arc<Linked>) -> Launched {
    let placement =
        |domain: u32, path: &str| Placement { place: place(rung, domain, path), ..Placement::default() };
    let program = Arc::clone(linked);
    let launched = system.launch_within(engine, program, Box::new(()), Quotas::default(), placement).unwrap();
    let processes = match rung {
        Rung::Segment => 1,
        Rung::Segments => 2,
        _ => 0,
    };
    let domains = u32::try_from(linked.domains()).unwrap();
    let apart = (0..domains).filter(|domain| launched.tree().confinement(*domain).is_some());
    assert_eq!(apart.count(), processes, "{rung:?}");
    launched
}

/// What front and back of a case were linked to.
struct Routes {
    engine: Engine,
    far: Arc<Far>,
    marks: Arc<Marks>,
    bridge: Arc<Bridge>,
    /// Front and back in one domain, and each in its own.
    together: Arc<Linked>,
    apart: Arc<Linked>,
    /// Each for itself.
    front: Arc<Linked>,
    back: Arc<Linked>,
    /// One worker, and two.
    one: System,
    two: System,
}

impl Routes {
    fn new(case: &Case) -> Routes {
        let engine = Engine::new().unwrap();
        let relays = Relays::of(&case.ty).expect("values that fit into a relay's memory").marked();
        let far = Arc::new(Far::default());
        let bridge = Arc::new(Bridge::default());
        let marks = Arc::new(Marks::default());
        let link = |text: &str, host: Arc<dyn HostFunc>, isolate| {
            let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let executable =
                Executable::parse(&engine, &wasm).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let options = LinkOptions { isolate, ..LinkOptions::new("ladder") };
            let linked = executable.link(&offers(host, &marks), &options);
            Arc::new(linked.unwrap_or_else(|error| panic!("{error}\n{text}")))
        };
        let pair = relays.pair(&case.front, &case.back);
        let host = || Arc::clone(&far) as Arc<dyn HostFunc>;
        Routes {
            together: link(&pair, host(), Isolate::Nothing),
            apart: link(&pair, host(), Isolate::All),
            front: link(
                &relays.alone(Who::Front, &case.front),
                Arc::clone(&bridge) as Arc<dyn HostFunc>,
                Isolate::Nothing,
            ),
            back: link(&relays.alone(Who::Back, &case.back), host(), Isolate::Nothing),
            one: system(1),
            two: system(2),
            far,
            marks,
            bridge,
            engine,
        }
    }

    fn outcomes(&self, rung: Rung, calls: &[Call]) -> Vec<Outcome> {
        calls.iter().map(|call| self.outcome(rung, call)).collect()
    }

    fn outcome(&self, rung: Rung, call: &Call) -> Outcome {
        *lock(&self.far.result) = call.result.clone();
        let returned = match rung {
            Rung::Interpreted => {
                *lock(&self.bridge.0) = Some(self.tree(&self.back));
                self.direct(&self.front, "h2", &call.args)
            }
            Rung::Fused => self.direct(&self.together, "h", &call.args),
            Rung::Nested => self.direct(&self.apart, "h", &call.args),
            Rung::Handoff => self.carried(&self.one, rung, &call.args),
            Rung::Channel | Rung::Segment | Rung::Segments => self.carried(&self.two, rung, &call.args),
        };
        let steps = std::mem::take(&mut *lock(&self.marks.0));
        Outcome { steps, seen: lock(&self.far.seen).take(), returned }
    }

    fn tree(&self, linked: &Arc<Linked>) -> Tree {
        Tree::launch(&self.engine, Arc::clone(linked), Box::new(())).unwrap()
    }

    /// Calls on this OS thread.
    fn direct(&self, linked: &Arc<Linked>, name: &str, args: &[Value]) -> Result<Option<Value>, Trap> {
        let mut tree = self.tree(linked);
        let func = exported(&tree, name);
        tree.call(&func, args).map_err(|fault| fault.trap)
    }

    /// Calls on a machine. Of root, back and front, the last two are neighbours by number.
    fn carried(&self, system: &System, rung: Rung, args: &[Value]) -> Result<Option<Value>, Trap> {
        let tree = launched(system, rung, &self.engine, &self.apart);
        let func = tree.func(&["h"]).unwrap();
        let returned = tree.call(&func, args.to_vec()).map_err(|fault| fault.trap);
        if let (Ok(value), Some(seen)) = (&returned, &*lock(&self.far.seen)) {
            // What arrived at the far end is what was counted on the way, however it went.
            let bytes = |values: &[Value]| values.iter().map(Value::bytes).sum::<u64>();
            let processes = tree.tree().processes();
            let meters = |name: &str| &processes.iter().find(|view| view.info.name == name).unwrap().meters;
            let counted = [meters("back").bytes_in, meters("front").bytes_out];
            assert_eq!(counted, [bytes(seen), bytes(seen) + bytes(value.as_slice())], "{rung:?}");
        }
        returned
    }
}

/// What the host offers to relays.
fn offers(host: Arc<dyn HostFunc>, marks: &Arc<Marks>) -> Imports {
    let mut imports = Imports::default();
    imports.names.insert("mark".to_owned(), Import::Func(Arc::clone(marks) as Arc<dyn HostFunc>));
    imports.names.insert("h".to_owned(), Import::Func(host));
    for number in 0..2 {
        let resource = HostResource { ty: ResourceType::host(number), drop: None };
        imports.names.insert(format!("r{number}"), Import::Resource(resource));
    }
    imports
}

fn exported(tree: &Tree, name: &str) -> ExportedFunc {
    match tree.export(&[name]) {
        Some(Export::Func(func)) => func.clone(),
        _ => panic!("there is no function `{name}`"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The far end: notes what arrives.
#[derive(Default)]
struct Far {
    seen: Mutex<Option<Vec<Value>>>,
    result: Mutex<Option<Value>>,
}

impl HostFunc for Far {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        serve_values(call, |_, args| {
            *lock(&self.seen) = Some(args);
            Ok(lock(&self.result).clone())
        })
    }
}

/// How far a call came.
#[derive(Default)]
struct Marks(Mutex<Vec<u32>>);

impl HostFunc for Marks {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let (mut steps, step) = (lock(&self.0), call.core()[0] as u32);
        // Who calls itself comes by again and again.
        if !steps.contains(&step) {
            steps.push(step);
        }
        Ok(())
    }
}

/// The way from front to back where both are trees of their own.
#[derive(Default)]
struct Bridge(Mutex<Option<Tree>>);

impl HostFunc for Bridge {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let mut tree = lock(&self.0).take().expect("each call has a tree to lead to");
        serve_values(call, |_, args| {
            let func = exported(&tree, "h2");
            tree.call(&func, &args).map_err(|fault| fault.trap)
        })
    }
}
