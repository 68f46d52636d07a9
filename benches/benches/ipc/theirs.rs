//! The guests in Wasmtime.

use std::cell::RefCell;
use std::rc::Rc;

use atoll_benches::contest::{Who, Work};
use wasmtime::component::{Component, Instance, InstancePre, Linker, Val};
use wasmtime::{Config, Engine, Inlining, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

/// A component, linked.
pub struct Guest {
    engine: Engine,
    pre: InstancePre<()>,
}

/// A component that runs.
#[derive(Clone)]
pub struct Running(Rc<RefCell<(Store<()>, Instance)>>);

/// Wasmtime as configured for `who`; `pooled` where instances are made and dropped.
fn config(who: Who, pooled: bool) -> Config {
    let mut config = Config::new();
    if who == Who::Best {
        config.concurrency_support(false);
        config.compiler_inlining(Inlining::Yes);
        if pooled {
            let pool = PoolingAllocationConfig::new();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
    }
    config
}

impl Guest {
    /// Compiles and links.
    pub fn new(who: Who, pooled: bool, bytes: &[u8]) -> Guest {
        let engine = Engine::new(&config(who, pooled)).expect("a valid configuration");
        let component = Component::new(&engine, bytes).expect("compiles");
        let mut linker = Linker::new(&engine);
        let add = |_: wasmtime::StoreContextMut<'_, ()>, (a, b): (u32, u32)| Ok((a.wrapping_add(b),));
        linker.root().func_wrap("add", add).expect("is defined once");
        let pre = linker.instantiate_pre(&component).expect("links");
        Guest { engine, pre }
    }

    /// Brings it up.
    pub fn launch(&self) -> Running {
        let mut store = Store::new(&self.engine, ());
        let instance = self.pre.instantiate(&mut store).expect("instantiates");
        Running(Rc::new(RefCell::new((store, instance))))
    }

    /// Brings it up and drops it.
    pub fn launches(self) -> Work<'static> {
        Box::new(move |count| {
            for _ in 0..count {
                let mut store = Store::new(&self.engine, ());
                self.pre.instantiate(&mut store).expect("instantiates");
            }
        })
    }
}

impl Guest {
    /// Has the guest fault, throws its store away as nothing in it can be called any more, makes another, and calls that.
    pub fn restarts(self, fails: &'static str, works: &'static str) -> Work<'static> {
        let launch = move || {
            let mut store = Store::new(&self.engine, ());
            let instance = self.pre.instantiate(&mut store).expect("instantiates");
            (store, instance)
        };
        let mut running = launch();
        Box::new(move |count| {
            for next in 0..count {
                let (store, instance) = &mut running;
                let fail =
                    instance.get_typed_func::<(u32, u32), (u32,)>(&mut *store, fails).expect("exports it");
                fail.call(&mut *store, (next, 1)).expect_err("it traps");
                running = launch();
                let (store, instance) = &mut running;
                let work =
                    instance.get_typed_func::<(u32, u32), (u32,)>(&mut *store, works).expect("exports it");
                assert_eq!(work.call(&mut *store, (next, 1)).expect("does not trap").0, next + 1);
            }
        })
    }
}

impl Running {
    /// Has the guest loop.
    pub fn work(&self, name: &str, size: u32) -> Work<'static> {
        let mut calls = self.each(name, size);
        Box::new(move |count| {
            calls(count);
        })
    }

    /// Calls the guest from here.
    pub fn calls(&self, name: &str) -> Work<'static> {
        let mut calls = self.each(name, 1);
        Box::new(move |count| {
            for next in 0..count {
                assert_eq!(calls(next), next + 1);
            }
        })
    }

    /// The same with values that know their types.
    pub fn dynamic_calls(&self, name: &str) -> Work<'static> {
        let running = Rc::clone(&self.0);
        let name = name.to_owned();
        Box::new(move |count| {
            let (store, instance) = &mut *running.borrow_mut();
            let func = instance.get_func(&mut *store, &name).expect("exports it");
            let mut results = [Val::U32(0)];
            for next in 0..count {
                func.call(&mut *store, &[Val::U32(next), Val::U32(1)], &mut results).expect("does not trap");
                assert_eq!(results[0], Val::U32(next + 1));
            }
        })
    }

    fn each(&self, name: &str, second: u32) -> impl FnMut(u32) -> u32 + 'static {
        let running = Rc::clone(&self.0);
        let (store, instance) = &mut *running.borrow_mut();
        let func = instance.get_typed_func::<(u32, u32), (u32,)>(store, name).expect("exports it");
        let running = Rc::clone(&self.0);
        move |first| {
            let (store, _) = &mut *running.borrow_mut();
            func.call(store, (first, second)).expect("does not trap").0
        }
    }
}
