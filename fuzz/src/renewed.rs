//! Engines that are made anew after so many uses: one keeps every signature that it ever saw.

use std::cell::RefCell;

use kernel::jit::engine::{Engine, EngineOptions};

/// The present engine of a thread.
pub struct Renewed {
    uses: u32,
    verify: bool,
    present: RefCell<Option<(Engine, u32)>>,
}

impl Renewed {
    /// One that is made anew after `uses`; `verify` has the machine code checked by the code generator's verifier.
    #[must_use]
    pub const fn after(uses: u32, verify: bool) -> Renewed {
        Renewed { uses, verify, present: RefCell::new(None) }
    }

    /// The engine for the next use.
    ///
    /// # Panics
    /// If there is no compiler for this machine.
    pub fn engine(&self) -> Engine {
        let mut present = self.present.borrow_mut();
        let (engine, uses) = present.take().filter(|(_, uses)| *uses < self.uses).unwrap_or_else(|| {
            let options = EngineOptions { threads: Some(1), verify: self.verify, ..EngineOptions::default() };
            (Engine::with(options).expect("there is a compiler for this machine"), 0)
        });
        *present = Some((engine.clone(), uses + 1));
        engine
    }
}
