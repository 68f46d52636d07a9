//! The guests in atoll.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use abi::fault::Trap;
use abi::types::FuncType;
use abi::value::Value;
use atoll_benches::contest::Work;
use ipc::system::{Placement, System};
use kernel::component::direct_func::DirectFunc;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::{Export, ExportedFunc, Linked};
use kernel::component::tree::Tree;
use kernel::host::{HostCall, HostFunc, Import, Imports};
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::sched::machine::MachineOptions;

/// A component, linked.
pub struct Guest {
    engine: Engine,
    executable: Executable,
    linked: Arc<Linked>,
}

/// A component that runs.
#[derive(Clone)]
pub struct Running(Rc<RefCell<Tree>>);

impl Guest {
    /// Compiles and links, without boundaries.
    pub fn new(bytes: &[u8]) -> Guest {
        Guest::isolating(bytes, Isolate::Nothing)
    }

    /// The same with boundaries.
    pub fn isolating(bytes: &[u8], isolate: Isolate) -> Guest {
        let options = EngineOptions { verify: false, ..EngineOptions::default() };
        let engine = Engine::with(options).expect("a known machine");
        let executable = Executable::parse(&engine, bytes).expect("compiles");
        let mut imports = Imports::default();
        imports.names.insert("add".to_owned(), Import::Func(Arc::new(Add)));
        let linked = executable.link(&imports, &LinkOptions { isolate, ..LinkOptions::new("bench") });
        Guest { engine, executable, linked: Arc::new(linked.expect("links")) }
    }

    /// Brings it up.
    pub fn launch(&self) -> Running {
        let tree = self.executable.launch(&self.linked, Box::new(())).expect("launches");
        Running(Rc::new(RefCell::new(tree)))
    }

    /// Brings it up on a machine, where each domain has a thread and a mailbox, and drops it.
    pub fn spawns(self) -> Work<'static> {
        let options = MachineOptions { workers: Some(1), ..MachineOptions::default() };
        let system = System::start(options).expect("a machine");
        Box::new(move |count| {
            for _ in 0..count {
                let linked = Arc::clone(&self.linked);
                let tree = system.launch(&self.engine, linked, Box::new(()), Placement::default());
                drop(tree.expect("launches"));
            }
        })
    }
}

impl Running {
    fn func(&self, name: &str) -> ExportedFunc {
        match self.0.borrow().export(&[name]) {
            Some(Export::Func(func)) => func.clone(),
            _ => panic!("the guest exports no function `{name}`"),
        }
    }

    /// Has the guest loop.
    pub fn work(&self, name: &str, size: u32) -> Work<'static> {
        let (tree, func) = (Rc::clone(&self.0), self.func(name));
        Box::new(move |count| {
            let args = [Value::U32(count), Value::U32(size)];
            tree.borrow_mut().call(&func, &args).expect("does not trap");
        })
    }

    /// Has a domain fault, begins its next life, and calls that.
    pub fn restarts(&self, domain: u32, fails: &str, works: &str) -> Work<'static> {
        let (tree, fails, works) = (Rc::clone(&self.0), self.func(fails), self.func(works));
        Box::new(move |count| {
            let mut tree = tree.borrow_mut();
            for next in 0..count {
                let args = [Value::U32(next), Value::U32(1)];
                let fault = tree.call(&fails, &args).expect_err("it traps");
                tree.restart(domain, &fault.trap).expect("begins again");
                assert_eq!(tree.call(&works, &args).expect("does not trap"), Some(Value::U32(next + 1)));
            }
        })
    }

    /// Calls the guest from here.
    pub fn calls(&self, name: &str) -> Work<'static> {
        let (tree, func) = (Rc::clone(&self.0), self.func(name));
        let func = DirectFunc::<(u32, u32), u32>::new(&func).expect("is of this type");
        Box::new(move |count| {
            let mut tree = tree.borrow_mut();
            for next in 0..count {
                assert_eq!(func.call(&mut tree, &(next, 1)).expect("does not trap"), next + 1);
            }
        })
    }

    /// The same with values that know their types, as tools call.
    pub fn dynamic_calls(&self, name: &str) -> Work<'static> {
        let (tree, func) = (Rc::clone(&self.0), self.func(name));
        Box::new(move |count| {
            let mut tree = tree.borrow_mut();
            for next in 0..count {
                let sum = tree.call(&func, &[Value::U32(next), Value::U32(1)]).expect("does not trap");
                assert_eq!(sum, Some(Value::U32(next + 1)));
            }
        })
    }
}

/// The host's function of `edge.wat`.
struct Add;

impl HostFunc for Add {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let core = call.core();
        core[0] = u64::from((core[0] as u32).wrapping_add(core[1] as u32));
        Ok(())
    }
}
