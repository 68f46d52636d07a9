//! Two components in a row that pass on what they are given: the host calls the front, the front calls the
//! back through a compiled adapter, the back calls the host. Both ends know the values, so whatever the adapter
//! does to them on the way there or back shows.

use std::sync::{Arc, Mutex, PoisonError};

use abi::relay::{Relay, Relays};
use abi::sample::Sampler;
use abi::side::Encoding;
use abi::value::Value;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::Export;
use kernel::host::{HostCall, Import, Imports, OverValues};
use kernel::jit::engine::{Engine, EngineOptions};

use crate::stretch::stretched;

/// A shorter input is lengthened to this.
const INPUT_BYTES: usize = 256;

/// Sends values of a function type made of `data` through the chain and back.
///
/// # Panics
/// If what arrives is not what was sent, or anything fails on the way.
pub fn check(data: &[u8]) {
    let choices = stretched(data, INPUT_BYTES);
    let mut sampler = Sampler::new(&choices);
    let relays = relays(&mut sampler);
    let isolate = if sampler.below(4) == 0 { Isolate::All } else { Isolate::Nothing };
    let ty = sampler.func(8, 3);
    let args: Vec<Value> = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
    let result = ty.result.as_ref().map(|ty| sampler.value(ty));
    let Some(types) = Relays::of(&ty) else { return };
    let text = types.pair(&relays[0], &relays[1]);
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    // The verifier slows the compiler down, but this is code that no validator has seen.
    let options = EngineOptions { threads: Some(1), verify: true, ..EngineOptions::default() };
    let engine = Engine::with(options).expect("this machine is supported");
    let executable = Executable::parse(&engine, &wasm).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let seen = Arc::<Mutex<Vec<Value>>>::default();
    let (notes, answer) = (Arc::clone(&seen), result.clone());
    // The far end.
    let host = OverValues(move |_: &mut dyn HostCall, args: Vec<Value>| {
        *notes.lock().unwrap_or_else(PoisonError::into_inner) = args;
        Ok(answer.clone())
    });
    let mut imports = Imports::default();
    imports.names.insert("h".to_owned(), Import::Func(Arc::new(host)));
    let options = LinkOptions { isolate, ..LinkOptions::new("chain") };
    let linked = executable.link(&imports, &options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut tree =
        executable.launch(&Arc::new(linked), Box::new(())).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let Some(Export::Func(func)) = tree.export(&["h"]).cloned() else { panic!("no export\n{text}") };
    for round in 0..2 {
        let back = tree
            .call(&func, &args)
            .unwrap_or_else(|fault| panic!("round {round}: {fault}\n{args:?}\n{text}"));
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(format!("{seen:?}"), format!("{args:?}"), "what arrived, what was sent\n{text}");
        assert_eq!(format!("{back:?}"), format!("{result:?}"), "what came back, what was returned\n{text}");
    }
}

/// The text of such components for a type made of the sampler's choices; none if its values are too large.
#[must_use]
pub fn text(sampler: &mut Sampler<'_>) -> Option<String> {
    let types = Relays::of(&sampler.func(6, 3));
    let [front, back] = relays(sampler);
    types.map(|types| types.pair(&front, &back))
}

fn relays(sampler: &mut Sampler<'_>) -> [Relay; 2] {
    [(); 2].map(|()| {
        let encodings = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];
        Relay::in_encoding(encodings[sampler.below(3) as usize])
    })
}
