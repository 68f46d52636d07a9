//! A case run by atoll.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::fault::{Fault, Trap};
use kernel::domain::externs::{Extern, MemoryRef};
use kernel::domain::{Domain, DomainOptions};
use kernel::instance::create::InstantiateError;
use kernel::jit::compile_error::CompileError;
use kernel::jit::engine::Engine;
use kernel::jit::library::Library;
use kernel::jit::module::ImportType;
use kernel::jit::valtype::ValType;

use crate::renewed::Renewed;
use crate::seen::{ARGUMENTS, Ended, HOST_RESULTS, ROUNDS, Reason, Run, Seen, State};
use crate::smith::{Case, Numbers};

/// Cases after which the engine is made anew.
const CASES_PER_ENGINE: u32 = 500;

thread_local! {
    static ENGINE: Renewed = const { Renewed::after(CASES_PER_ENGINE, true) };
}

/// Runs a case, its machine code checked by the code generator's verifier.
///
/// # Panics
/// If the module is refused for another reason than a limit, or is another one after a round trip.
#[must_use]
pub fn run(case: &Case) -> Run {
    let engine = ENGINE.with(Renewed::engine);
    let library = match engine.library(&case.wasm) {
        Ok(library) => library,
        Err(CompileError::Limit { limit, .. }) => return Run::refused(limit),
        Err(CompileError::Memory(message)) => return Run::refused(&message),
        Err(error) => panic!("atoll refuses the module: {error}"),
    };
    if case.waits && library.module.memories.iter().any(|memory| memory.shared) {
        return Run::refused("a wait that may have no end");
    }
    if !case.precompiled {
        return run_library(&engine, &library, case.numbers);
    }
    let image = library.to_bytes(&engine);
    drop(library);
    let library = engine.load(&image).expect("what was written can be read");
    run_library(&engine, &library, case.numbers)
}

fn run_library(engine: &Engine, library: &Arc<Library>, numbers: Numbers) -> Run {
    let mut domain = Domain::new(engine, DomainOptions::default());
    let mut run = Run::default();
    let made: Option<Vec<_>> = library
        .module
        .imports
        .iter()
        .map(|import| provide(&mut domain, engine, &import.ty, numbers))
        .collect();
    let Some(imports) = made else { return Run::refused("an import") };
    let index = match domain.instantiate(library, &imports, None) {
        Ok(index) => index,
        Err(InstantiateError::Fault(fault)) => {
            run.instantiation = Some(reason(&fault));
            return run;
        }
        Err(InstantiateError::Link(error)) => panic!("an import does not fit: {error}"),
        Err(limit) => return Run::refused(&limit.to_string()),
    };
    let exports: Vec<_> = domain.exports(index).map(|(name, thing)| (name.to_owned(), thing)).collect();
    for round in 0..ROUNDS {
        call_all(&mut domain, engine, &exports, numbers, round, &mut run);
    }
    run.state =
        exports.iter().filter_map(|(name, thing)| Some((name.clone(), state(&mut domain, thing)?))).collect();
    run
}

fn call_all(
    domain: &mut Domain,
    engine: &Engine,
    exports: &[(String, Extern)],
    numbers: Numbers,
    round: u64,
    run: &mut Run,
) {
    for (at, (name, thing)) in (0_u64..).zip(exports) {
        let Some(func) = thing.func() else { continue };
        let ty = engine.signature(func.sig());
        let first = (round * 1000 + at) * ARGUMENTS;
        let args: Vec<u128> =
            (first..).zip(&ty.params).map(|(at, ty)| arg(*ty, numbers, round, at)).collect();
        let mut results = vec![0; ty.results.len()];
        let ended = match domain.call(&func, &args, &mut results) {
            Ok(()) => {
                Ended::Returned(results.iter().zip(&ty.results).map(|(bits, ty)| seen(*bits, *ty)).collect())
            }
            Err(fault) => Ended::Trapped(reason(&fault)),
        };
        run.calls.push((name.clone(), ended));
    }
}

fn arg(ty: ValType, numbers: Numbers, round: u64, position: u64) -> u128 {
    let word = if round == 0 { 0 } else { numbers.word(position) };
    match ty {
        ValType::I32 | ValType::F32 => word & 0xffff_ffff,
        ValType::I64 | ValType::F64 => word & u128::from(u64::MAX),
        ValType::V128 => word,
        ValType::Ref(_) => 0,
    }
}

fn provide(domain: &mut Domain, engine: &Engine, ty: &ImportType, numbers: Numbers) -> Option<Extern> {
    match ty {
        ImportType::Func(sig) => {
            let ty = engine.signature(*sig);
            let results = ty.results.clone();
            let calls = AtomicU64::new(0);
            let body = move |values: &mut [u128]| {
                let first = HOST_RESULTS + calls.fetch_add(1, Ordering::Relaxed) * ARGUMENTS;
                for (at, (value, ty)) in (first..).zip(values.iter_mut().zip(&results)) {
                    *value = arg(*ty, numbers, 1, at);
                }
                Ok(())
            };
            Some(domain.host_func(&ty, Box::new(body)).expect("a trampoline can be compiled"))
        }
        ImportType::Table(ty) => domain.host_table(*ty).ok(),
        ImportType::Memory(ty) => domain.host_memory(*ty).ok(),
        ImportType::Global(ty) => domain.host_global(*ty, arg(ty.ty, numbers, 1, 0)),
        ImportType::Tag(sig) => Some(domain.host_tag(&engine.signature(*sig))),
    }
}

fn seen(bits: u128, ty: ValType) -> Seen {
    match (ty, bits) {
        (ValType::Ref(_), 0) => Seen::Null,
        (ValType::Ref(_), _) => Seen::Reference,
        _ => Seen::Bits(bits),
    }
}

fn state(domain: &mut Domain, thing: &Extern) -> Option<State> {
    Some(match thing {
        Extern::Func(_) | Extern::Tag(_) => return None,
        Extern::Global(global) => State::Global(seen(domain.global(global)?, global.ty().ty)),
        Extern::Memory(memory) => State::Memory(bytes(domain, memory)?),
        Extern::Table(table) => {
            let elements = 0..domain.table_len(table)?;
            let null =
                |index| if domain.table_get(table, index) == Some(0) { Seen::Null } else { Seen::Reference };
            State::Table(elements.map(null).collect())
        }
    })
}

fn bytes(domain: &mut Domain, memory: &MemoryRef) -> Option<Vec<u8>> {
    let pages = domain.memory_grow(memory, 0)?;
    let mut bytes = vec![0; usize::try_from(pages << memory.ty().page_log2).ok()?];
    domain.memory_read(memory, 0, &mut bytes)?;
    Some(bytes)
}

fn reason(fault: &Fault) -> Reason {
    match &fault.trap {
        Trap::Unreachable => Reason::Unreachable,
        Trap::MemoryOutOfBounds => Reason::Memory,
        Trap::UnalignedAtomic => Reason::Misaligned,
        Trap::ExpectedShared => Reason::Unshared,
        Trap::TableOutOfBounds | Trap::UndefinedElement => Reason::Table,
        Trap::UninitializedElement => Reason::NullElement,
        Trap::BadSignature => Reason::Signature,
        Trap::IntegerOverflow => Reason::Overflow,
        Trap::IntegerDivideByZero => Reason::DivisionByZero,
        Trap::BadConversionToInteger => Reason::Conversion,
        Trap::NullReference | Trap::NullFunctionReference | Trap::NullExceptionReference => {
            Reason::NullReference
        }
        Trap::UncaughtException => Reason::Exception,
        Trap::StackOverflow | Trap::Limit { .. } => Reason::Resources(fault.to_string()),
        other => Reason::Other(other.to_string()),
    }
}
