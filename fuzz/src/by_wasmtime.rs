//! A case run by Wasmtime.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{
    Collector, Config, Engine, Extern, ExternType, Func, Global, Instance, Memory, Module, OptLevel, Ref,
    SharedMemory, Store, Table, Tag, ThrownException, Trap, Val, ValType,
};

use crate::seen::{ARGUMENTS, Ended, HOST_RESULTS, ROUNDS, Reason, Run, Seen, State};
use crate::smith::{Case, Numbers};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    // Unoptimised, so that a wrong optimisation of the code generator that both use shows as a difference.
    config.cranelift_opt_level(OptLevel::None).collector(Collector::Null);
    config.wasm_multi_memory(true).wasm_memory64(true).wasm_tail_call(true).wasm_function_references(true);
    config.wasm_exceptions(true).wasm_wide_arithmetic(true).wasm_custom_page_sizes(true);
    config.wasm_extended_const(true).wasm_relaxed_simd(true).wasm_threads(true).shared_memory(true);
    Engine::new(&config).expect("this machine is supported")
});

/// Runs a case.
///
/// # Panics
/// If Wasmtime refuses the module.
#[must_use]
pub fn run(case: &Case) -> Run {
    let module = match Module::new(&ENGINE, &case.wasm) {
        Ok(module) => module,
        Err(error) => panic!("Wasmtime refuses the module: {error:?}"),
    };
    let mut store = Store::new(&ENGINE, ());
    let mut run = Run::default();
    let made: wasmtime::Result<Vec<_>> =
        module.imports().map(|import| provide(&mut store, import.ty(), case.numbers)).collect();
    let imports = match made {
        Ok(imports) => imports,
        Err(error) => {
            run.instantiation = Some(Reason::Resources(error.to_string()));
            return run;
        }
    };
    let instance = match Instance::new(&mut store, &module, &imports) {
        Ok(instance) => instance,
        Err(error) => {
            run.instantiation = Some(reason(&error));
            return run;
        }
    };
    let exports: Vec<_> =
        instance.exports(&mut store).map(|export| (export.name().to_owned(), export.into_extern())).collect();
    for round in 0..ROUNDS {
        call_all(&mut store, &exports, case.numbers, round, &mut run);
    }
    run.state =
        exports.iter().filter_map(|(name, thing)| Some((name.clone(), state(&mut store, thing)?))).collect();
    run
}

fn call_all(
    store: &mut Store<()>,
    exports: &[(String, Extern)],
    numbers: Numbers,
    round: u64,
    run: &mut Run,
) {
    for (at, (name, thing)) in (0_u64..).zip(exports) {
        let Extern::Func(func) = thing else { continue };
        let ty = func.ty(&*store);
        let first = (round * 1000 + at) * ARGUMENTS;
        let args: Vec<Val> =
            (first..).zip(ty.params()).map(|(at, ty)| arg(&ty, numbers, round, at)).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        let ended = match func.call(&mut *store, &args, &mut results) {
            Ok(()) => Ended::Returned(results.iter().map(seen).collect()),
            Err(error) => {
                // What was thrown stays in the store until it is taken.
                store.take_pending_exception();
                Ended::Trapped(reason(&error))
            }
        };
        run.calls.push((name.clone(), ended));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is meant")]
fn arg(ty: &ValType, numbers: Numbers, round: u64, position: u64) -> Val {
    let word = if round == 0 { 0 } else { numbers.word(position) };
    match ty {
        ValType::I32 => Val::I32(word as i32),
        ValType::I64 => Val::I64(word as i64),
        ValType::F32 => Val::F32(word as u32),
        ValType::F64 => Val::F64(word as u64),
        ValType::V128 => Val::V128(word.into()),
        ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
    }
}

fn provide(store: &mut Store<()>, ty: ExternType, numbers: Numbers) -> wasmtime::Result<Extern> {
    Ok(match ty {
        ExternType::Func(ty) => {
            let types: Vec<ValType> = ty.results().collect();
            let calls = AtomicU64::new(0);
            let body = move |_: wasmtime::Caller<'_, ()>, _: &[Val], results: &mut [Val]| {
                let first = HOST_RESULTS + calls.fetch_add(1, Ordering::Relaxed) * ARGUMENTS;
                for (at, (result, ty)) in (first..).zip(results.iter_mut().zip(&types)) {
                    *result = arg(ty, numbers, 1, at);
                }
                Ok(())
            };
            Func::new(&mut *store, ty, body).into()
        }
        ExternType::Global(ty) => {
            let value = arg(ty.content(), numbers, 1, 0);
            Global::new(&mut *store, ty, value)?.into()
        }
        ExternType::Table(ty) => {
            let null = Ref::null(ty.element().heap_type());
            Table::new(&mut *store, ty, null)?.into()
        }
        ExternType::Memory(ty) if ty.is_shared() => SharedMemory::new(store.engine(), ty)?.into(),
        ExternType::Memory(ty) => Memory::new(&mut *store, ty)?.into(),
        ExternType::Tag(ty) => Tag::new(&mut *store, &ty)?.into(),
    })
}

fn seen(value: &Val) -> Seen {
    match value {
        Val::I32(value) => Seen::Bits(u128::from(value.cast_unsigned())),
        Val::I64(value) => Seen::Bits(u128::from(value.cast_unsigned())),
        Val::F32(bits) => Seen::Bits(u128::from(*bits)),
        Val::F64(bits) => Seen::Bits(u128::from(*bits)),
        Val::V128(value) => Seen::Bits(value.as_u128()),
        reference => match reference.ref_().is_some_and(|reference| reference.is_null()) {
            true => Seen::Null,
            false => Seen::Reference,
        },
    }
}

fn state(store: &mut Store<()>, thing: &Extern) -> Option<State> {
    Some(match thing {
        Extern::Global(global) => State::Global(seen(&global.get(&mut *store))),
        Extern::Memory(memory) => State::Memory(memory.data(&*store).to_vec()),
        Extern::SharedMemory(memory) => {
            State::Memory(shared_bytes(store, memory).expect("a copy can be made"))
        }
        Extern::Table(table) => {
            let elements = 0..table.size(&*store);
            let null = |index| match table.get(&mut *store, index) {
                Some(element) if element.is_null() => Seen::Null,
                _ => Seen::Reference,
            };
            State::Table(elements.map(null).collect())
        }
        _ => return None,
    })
}

/// What a shared memory holds. Only `unsafe` code may read it from outside, so a guest copies it into a memory of
/// its own.
fn shared_bytes(store: &mut Store<()>, memory: &SharedMemory) -> wasmtime::Result<Vec<u8>> {
    let ty = memory.ty();
    let int = if ty.is_64() { "i64" } else { "i32" };
    let pages = memory.size();
    let page = memory.page_size();
    let (size, length) = (format!("(pagesize {page})"), memory.data_size());
    let maximum = ty.maximum().unwrap_or(pages);
    let text = format!(
        "(module (import \"\" \"\" (memory {int} 0 {maximum} shared {size})) (memory (export \"\") {int} {pages} {size})
         (func (export \"copy\")
           (memory.copy 1 0 ({int}.const 0) ({int}.const 0) ({int}.const {length}))))"
    );
    let module = Module::new(&ENGINE, wat::parse_str(&text)?)?;
    let instance = Instance::new(&mut *store, &module, &[memory.clone().into()])?;
    instance.get_typed_func::<(), ()>(&mut *store, "copy")?.call(&mut *store, ())?;
    let copy = instance.get_memory(&mut *store, "").expect("it is exported");
    Ok(copy.data(&*store).to_vec())
}

fn reason(error: &wasmtime::Error) -> Reason {
    if error.is::<ThrownException>() {
        return Reason::Exception;
    }
    let Some(trap) = error.downcast_ref::<Trap>() else { return Reason::Resources(format!("{error:?}")) };
    match trap {
        Trap::UnreachableCodeReached => Reason::Unreachable,
        Trap::MemoryOutOfBounds => Reason::Memory,
        Trap::HeapMisaligned => Reason::Misaligned,
        Trap::AtomicWaitNonSharedMemory => Reason::Unshared,
        Trap::TableOutOfBounds => Reason::Table,
        Trap::IndirectCallToNull => Reason::NullElement,
        Trap::BadSignature => Reason::Signature,
        Trap::IntegerOverflow => Reason::Overflow,
        Trap::IntegerDivisionByZero => Reason::DivisionByZero,
        Trap::BadConversionToInteger => Reason::Conversion,
        Trap::NullReference => Reason::NullReference,
        Trap::StackOverflow | Trap::AllocationTooLarge => Reason::Resources(trap.to_string()),
        other => Reason::Other(other.to_string()),
    }
}
