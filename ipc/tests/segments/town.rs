//! A town to play with: its tree, what the host gives it, and where its domains run.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use abi::fault::{Fault, Trap};
use abi::types::ResourceType;
use abi::value::{Resource, Value};
use atoll_ipc::actor::CallLimits;
use atoll_ipc::launched::Launched;
use atoll_ipc::segment::far_side::SUBCOMMAND;
use atoll_ipc::segment::spawn::Program;
use atoll_ipc::system::{Place, Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::Linked;
use kernel::component::port::EdgePolicy;
use kernel::host::{HostCall, HostFunc, HostResource, Import, Imports, OverValues};
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use kernel::sched::machine::MachineOptions;

/// The host's tokens.
pub const TOKEN: ResourceType = ResourceType::host(7);

/// How a town is to be.
#[derive(Default)]
pub struct Plan {
    /// Names of processes whose domains run in processes of their own.
    pub apart: &'static [&'static str],
    pub edge: EdgePolicy,
    pub quotas: Quotas,
    pub limits: CallLimits,
    /// A second argument for the processes.
    pub argument: Option<&'static str>,
}

/// A town that runs.
pub struct Town {
    pub launched: Arc<Launched>,
    /// Tokens that were given back to the host.
    pub dropped: Arc<AtomicU32>,
    /// Ends after what runs on it.
    _system: System,
}

fn offers(dropped: &Arc<AtomicU32>) -> Imports {
    let func = |func: Arc<dyn HostFunc>| Import::Func(func);
    let mut host = Imports::default();
    let count = Arc::clone(dropped);
    let drop = move |_: &mut (dyn Any + Send), _: u32| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let token = HostResource { ty: TOKEN, drop: Some(Arc::new(drop)) };
    host.names.insert("token".to_owned(), Import::Resource(token));
    let open = |_: &mut dyn HostCall, args: Vec<Value>| {
        let Some(Value::U32(rep)) = args.first().cloned() else {
            return Err(Trap::Host("a number".to_owned()));
        };
        Ok(Some(Value::Own(Resource { ty: TOKEN, rep, generation: 0 })))
    };
    host.names.insert("open".to_owned(), func(Arc::new(OverValues(open))));
    let read = |_: &mut dyn HostCall, args: Vec<Value>| match args.first() {
        Some(Value::Borrow(token)) => Ok(Some(Value::U32(token.rep + 1000))),
        _ => Err(Trap::Host("a token".to_owned())),
    };
    host.names.insert("read".to_owned(), func(Arc::new(OverValues(read))));
    let greet = |call: &mut dyn HostCall, args: Vec<Value>| {
        let Some(Value::String(name)) = args.first() else { return Err(Trap::Host("a name".to_owned())) };
        if name.is_empty() {
            return Err(Trap::Host("nobody is there".to_owned()));
        }
        let generation = call.process().generation;
        let greeted = call.state().downcast_mut::<u32>().unwrap();
        *greeted += 1;
        let text = format!("hello {name}, number {greeted} of {generation}");
        Ok(Some(Value::String(text.into())))
    };
    host.names.insert("greet".to_owned(), func(Arc::new(OverValues(greet))));
    let leave = |_: &mut dyn HostCall, args: Vec<Value>| match args.first() {
        Some(Value::U8(code)) => Err(Trap::Exit(*code)),
        _ => Err(Trap::Host("a code".to_owned())),
    };
    host.names.insert("leave".to_owned(), func(Arc::new(OverValues(leave))));
    let mut imports = Imports::default();
    imports.names.insert("host".to_owned(), Import::Instance(host));
    imports
}

/// The program whose processes domains run in.
pub fn program(argument: Option<&str>) -> Program {
    let mut args = vec![SUBCOMMAND.into()];
    args.extend(argument.map(Into::into));
    Program { path: env!("CARGO_BIN_EXE_atoll-segment").into(), args }
}

/// The number of the domain of a process.
pub fn domain_of(linked: &Linked, name: &str) -> u32 {
    linked.processes().iter().find(|process| process.name == name).unwrap().place.domain
}

impl Town {
    pub fn new(plan: Plan) -> Town {
        let engine = Engine::new().unwrap();
        let bytes = wat::parse_str(include_str!("depot.wat")).unwrap();
        let executable = Executable::parse(&engine, &bytes).unwrap();
        let isolate = Isolate::Named(["bank", "depot", "front"].map(str::to_owned).into());
        let options = LinkOptions { isolate, edge: plan.edge, ..LinkOptions::new("town") };
        let dropped = Arc::default();
        let linked = Arc::new(executable.link(&offers(&dropped), &options).unwrap());
        let system = System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap();
        let system = system.with_program(program(plan.argument));
        let placement = |_: u32, path: &str| {
            let is_apart = plan.apart.iter().any(|name| path.ends_with(&format!("/{name}")));
            let place = if is_apart { Place::OwnProcess } else { Place::Anywhere };
            Placement { limits: plan.limits, place, ..Placement::default() }
        };
        let launched = system.launch_within(&engine, linked, Box::new(0_u32), plan.quotas, placement);
        Town { launched: Arc::new(launched.unwrap()), dropped, _system: system }
    }

    /// A town whose depot runs in a process of its own.
    pub fn apart() -> Town {
        Town::new(Plan { apart: &["depot"], ..Plan::default() })
    }

    pub fn call(&self, name: &str, args: Vec<Value>) -> Result<Option<Value>, Fault> {
        let (instance, func) = name.split_once('.').unwrap_or(("depot", name));
        self.launched.call(&self.launched.func(&[instance, func]).unwrap(), args)
    }

    /// The same with numbers, and its result in words.
    pub fn ask(&self, name: &str, args: &[u32]) -> String {
        let args = args.iter().map(|arg| Value::U32(*arg)).collect();
        match self.call(name, args) {
            Ok(None) => "done".to_owned(),
            Ok(Some(value)) => format!("{value:?}"),
            Err(fault) => fault.trap.to_string(),
        }
    }

    /// Calls a function of depot on another thread, and waits until it is being served.
    pub fn begin(&self, name: &'static str) -> JoinHandle<Trap> {
        let (launched, depot) = (Arc::clone(&self.launched), self.domain("depot"));
        let before = launched.domain(depot).unwrap().calls();
        let asking = thread::spawn({
            let launched = Arc::clone(&launched);
            move || launched.call(&launched.func(&["depot", name]).unwrap(), Vec::new()).unwrap_err().trap
        });
        while launched.domain(depot).unwrap().calls() == before {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        asking
    }

    pub fn domain(&self, name: &str) -> u32 {
        domain_of(self.launched.tree().linked(), name)
    }

    /// The OS process of depot.
    pub fn process_id(&self) -> i32 {
        let confinement = self.launched.tree().confinement(self.domain("depot")).unwrap();
        i32::try_from(confinement.process_id.unwrap()).unwrap()
    }
}
