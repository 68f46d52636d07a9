//! Bytes that say they are a component: parsed, linked and launched, or refused in words.

use std::cell::RefCell;
use std::sync::Arc;

use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::{Engine, EngineOptions};

/// Components after which the engine is made anew: it keeps every signature that it ever saw.
const COMPONENTS_PER_ENGINE: u32 = 500;

thread_local! {
    static ENGINE: RefCell<Option<(Engine, u32)>> = const { RefCell::new(None) };
}

/// Brings a component up as far as it goes.
///
/// # Panics
/// Never: that is what is tested.
pub fn check(data: &[u8]) {
    let engine = engine();
    let Ok(executable) = Executable::parse(&engine, data) else { return };
    let image = executable.to_image();
    assert!(Executable::from_image(&engine, &image).is_ok(), "what was written can be read");
    for isolate in [Isolate::Nothing, Isolate::All] {
        let options = LinkOptions { missing_is_fault: true, isolate, ..LinkOptions::new("fuzz") };
        let Ok(linked) = executable.link(&Imports::default(), &options) else { continue };
        // Nothing stops a start function that loops.
        if executable.libraries().iter().any(|library| library.module.start.is_some()) {
            continue;
        }
        if let Ok(tree) = executable.launch(&Arc::new(linked), Box::new(())) {
            assert!(!tree.processes().is_empty());
        }
    }
}

fn engine() -> Engine {
    ENGINE.with_borrow_mut(|slot| {
        let young = slot.take().filter(|(_, components)| *components < COMPONENTS_PER_ENGINE);
        let (engine, components) = young.unwrap_or_else(|| {
            let options = EngineOptions { threads: Some(1), ..EngineOptions::default() };
            (Engine::with(options).expect("this machine is supported"), 0)
        });
        *slot = Some((engine.clone(), components + 1));
        engine
    })
}
