//! Components made from text, each compiled once.

use std::collections::HashMap;
use std::sync::Arc;

use kernel::component::executable::Executable;
use kernel::jit::engine::{Engine, EngineOptions};

/// Texts that are kept. Then the engine is made anew too: it keeps every signature that it ever saw.
const TEXTS: usize = 200;

/// An engine, and what it has compiled.
pub struct Forge {
    engine: Engine,
    made: HashMap<String, Arc<Executable>>,
}

impl Default for Forge {
    fn default() -> Forge {
        let options = EngineOptions { threads: Some(1), ..EngineOptions::default() };
        let engine = Engine::with(options).expect("there is a compiler for this machine");
        Forge { engine, made: HashMap::new() }
    }
}

impl Forge {
    /// What compiles.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component of a text.
    ///
    /// # Panics
    /// If it is none.
    pub fn executable(&mut self, text: &str) -> Arc<Executable> {
        if let Some(known) = self.made.get(text) {
            return Arc::clone(known);
        }
        if self.made.len() >= TEXTS {
            *self = Forge::default();
        }
        let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let made = Executable::parse(&self.engine, &wasm).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let made = Arc::new(made);
        self.made.insert(text.to_owned(), Arc::clone(&made));
        made
    }
}
