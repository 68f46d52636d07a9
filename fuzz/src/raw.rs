//! Components that are wrong: any bytes, or the text of good ones varied. Parsed, linked and launched, or refused in
//! words.

use std::sync::{Arc, LazyLock};

use abi::sample::Sampler;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;

use crate::chain;
use crate::renewed::Renewed;
use crate::stretch::stretched;
use crate::text_tree::Node;

/// Components after which the engine is made anew.
const COMPONENTS_PER_ENGINE: u32 = 500;
/// A shorter input is lengthened to this, if it is no component itself.
const INPUT_BYTES: usize = 256;
/// Where the text of the component is written, if this variable is set.
const TEXT_PATH: &str = "ATOLL_FUZZ_WAT";

/// Good components.
static SEEDS: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../examples/greeter.wat"),
        include_str!("../../examples/fault.wat"),
        include_str!("../seeds/component_bytes/resources.wat"),
        include_str!("../seeds/component_bytes/instances.wat"),
        include_str!("../seeds/component_bytes/values.wat"),
        include_str!("../seeds/component_bytes/tasks.wat"),
    ];
    texts.map(Node::parse).into()
});

thread_local! {
    static ENGINE: Renewed = const { Renewed::after(COMPONENTS_PER_ENGINE, false) };
}

/// Brings up what an input is, if it is a component in binary or text; else a good component, varied by its choices.
///
/// # Panics
/// Never: that is what is tested.
pub fn check(data: &[u8]) {
    let is_text = std::str::from_utf8(data).is_ok_and(|text| text.contains("(component"));
    if is_text || data.starts_with(b"\0asm") {
        if let Ok(wasm) = wat::parse_bytes(data) {
            bring_up(&wasm);
        }
        return;
    }
    let choices = stretched(data, INPUT_BYTES);
    let mut sampler = Sampler::new(&choices);
    let text = varied(&mut sampler);
    if let Some(path) = std::env::var_os(TEXT_PATH) {
        std::fs::write(path, &text).expect("the text can be written");
    }
    let Ok(mut wasm) = wat::parse_str(&text) else { return };
    if sampler.below(4) == 0 {
        for _ in 0..sampler.below(6) {
            let at = (sampler.below(256) << 8 | sampler.below(256)) as usize % wasm.len();
            wasm[at] = sampler.below(256) as u8;
        }
    }
    bring_up(&wasm);
}

/// The text of a good component with up to eight changes.
fn varied(sampler: &mut Sampler<'_>) -> String {
    let changes = sampler.below(9);
    let other = &SEEDS[sampler.below(SEEDS.len() as u32) as usize];
    let mut tree = match sampler.below(4) {
        0 => Node::parse(&chain::text(sampler).unwrap_or_default()),
        _ => SEEDS[sampler.below(SEEDS.len() as u32) as usize].clone(),
    };
    for _ in 0..changes {
        tree.vary(other, sampler);
    }
    tree.print()
}

/// Brings a component up as far as it goes.
fn bring_up(data: &[u8]) {
    let engine = ENGINE.with(Renewed::engine);
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

#[cfg(test)]
mod tests {
    use kernel::component::executable::Executable;
    use kernel::jit::engine::Engine;

    use super::SEEDS;

    #[test]
    fn seeds_are_good() {
        let engine = Engine::new().unwrap();
        for seed in SEEDS.iter() {
            let wasm = wat::parse_str(seed.print()).unwrap();
            Executable::parse(&engine, &wasm).map(|_| ()).unwrap();
        }
    }
}
