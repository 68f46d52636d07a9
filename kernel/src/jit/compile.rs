//! Compiles a module's functions on all processors; each body is validated on the way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use cranelift_codegen::Context;
use cranelift_frontend::FunctionBuilderContext;
use wasmparser::{FuncToValidate, FuncValidatorAllocations, FunctionBody, ValidatorResources};

use super::body::Body;
use super::compile_error::CompileError;
use super::engine::Engine;
use super::image::Image;
use super::module::Module;
use super::translate::{self, Unit};
use crate::limits::COMPILE_BYTES_PER_THREAD;

/// A function that is to be validated and compiled.
pub type Func<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// A module whose sections are validated and whose function bodies are not.
pub struct Source<'a> {
    /// The module's bytes.
    pub wasm: &'a [u8],
    /// Where they begin in the file: what errors count from and backtraces do not.
    pub start: u64,
    /// Its functions, in order.
    pub funcs: Vec<Func<'a>>,
}

/// Compiles all functions; errors are those of the first function that has one.
///
/// # Errors
/// [`CompileError`]
pub(super) fn compile(engine: &Engine, module: &Module, source: &Source<'_>) -> Result<Image, CompileError> {
    let board = engine.board().map(|board| &**board);
    let unit = Unit { module, start: source.start, isa: engine.isa(), board };
    let count = source.funcs.len();
    debug_assert_eq!(count, module.defined_funcs(), "the validator compares the sections");
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(source.funcs[at].1.as_bytes().len()));
    let work =
        Work { unit, funcs: &source.funcs, order, next: AtomicUsize::new(0), bad: AtomicUsize::new(count) };
    let bytes: usize = source.funcs.iter().map(|(_, body)| body.as_bytes().len()).sum();
    let done = Mutex::new(Done { bodies: (0..count).map(|_| None).collect(), error: None });
    let threads = threads(engine, bytes);
    if threads <= 1 {
        work.run(&done);
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| work.run(&done));
            }
            work.run(&done);
        });
    }
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, error)) = done.error {
        return Err(error);
    }
    let bodies = done.bodies.into_iter().map(|body| body.expect("every function was compiled")).collect();
    Image::assemble(bodies, alignment(engine))
}

/// Where functions may begin.
fn alignment(engine: &Engine) -> usize {
    engine.isa().function_alignment().preferred.max(1) as usize
}

/// A thread costs more than a small module.
fn threads(engine: &Engine, bytes: usize) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    engine.options().threads.unwrap_or_else(all).min(1 + bytes / COMPILE_BYTES_PER_THREAD)
}

struct Work<'a> {
    unit: Unit<'a>,
    funcs: &'a [Func<'a>],
    /// Largest first, so that no thread is left with a long one at the end.
    order: Vec<usize>,
    next: AtomicUsize,
    /// The first function known to have an error; those after it need not be compiled.
    bad: AtomicUsize,
}

struct Done {
    bodies: Vec<Option<Body>>,
    error: Option<(usize, CompileError)>,
}

/// What a thread uses again for each function.
#[derive(Default)]
struct Scratch {
    context: Option<Context>,
    builder: FunctionBuilderContext,
    validator: FuncValidatorAllocations,
}

impl Work<'_> {
    fn run(&self, done: &Mutex<Done>) {
        let mut scratch = Scratch::default();
        let mut bodies = Vec::new();
        while let Some(&at) = self.order.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if at > self.bad.load(Ordering::Relaxed) {
                continue;
            }
            match self.guarded(at, &mut scratch) {
                Ok(body) => bodies.push((at, body)),
                Err(error) => {
                    self.bad.fetch_min(at, Ordering::Relaxed);
                    scratch = Scratch::default();
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    if done.error.as_ref().is_none_or(|(first, _)| at < *first) {
                        done.error = Some((at, error));
                    }
                }
            }
        }
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, body) in bodies {
            done.bodies[at] = Some(body);
        }
    }

    /// The code generator asserts what it believes; a module must not be able to end the process with that.
    fn guarded(&self, at: usize, scratch: &mut Scratch) -> Result<Body, CompileError> {
        catch_unwind(AssertUnwindSafe(|| self.function(at, scratch))).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            let message = format!("internal error of the code generator: {words}");
            Err(CompileError::Codegen { func: self.name(at), message })
        })
    }

    fn function(&self, at: usize, scratch: &mut Scratch) -> Result<Body, CompileError> {
        let (func, body) = &self.funcs[at];
        let func = FuncToValidate {
            resources: func.resources.clone(),
            index: func.index,
            ty: func.ty,
            features: func.features,
        };
        let mut validator = func.into_validator(std::mem::take(&mut scratch.validator));
        let context = scratch.context.get_or_insert_with(Context::new);
        translate::translate(self.unit, body, &mut validator, &mut context.func, &mut scratch.builder)?;
        scratch.validator = validator.into_allocations();
        Body::compile(self.unit.isa, context, || self.name(at))
    }

    fn name(&self, at: usize) -> String {
        let index = self.funcs[at].0.index;
        match self.unit.module.func_name(index) {
            Some(name) => format!("{index} `{name}`"),
            None => index.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Engine;
    use super::*;

    fn compile(wat: &str) -> Result<std::sync::Arc<super::super::library::Library>, CompileError> {
        let wasm = wat::parse_str(wat).expect("the test's text is well-formed");
        Engine::new().expect("this machine is supported").library(&wasm)
    }

    #[test]
    fn control_and_calls_compile() {
        let library = compile(
            r#"(module
                (import "m" "f" (func $imported (param i32) (result i32)))
                (type $binary (func (param i32 i32) (result i32)))
                (table 4 4 funcref)
                (memory 1)
                (global $g (mut i32) (i32.const 7))
                (func $pick (export "pick") (param i32 i32) (result i32)
                    (block $out (result i32)
                        (drop (br_if $out (local.get 0) (local.get 1)))
                        (if (result i32) (local.get 0)
                            (then (call $imported (local.get 1)))
                            (else (call_indirect (type $binary) (local.get 0) (local.get 1) (local.get 0))))))
                (func $spin (param i32)
                    (loop $again
                        (global.set $g (i32.load (local.get 0)))
                        (i32.store8 offset=3 (local.get 0) (global.get $g))
                        (br_if $again (memory.size))
                        (br_table $again 1 (local.get 0))))
                (func $tail (param i32 i32) (result i32)
                    (return_call $pick (local.get 1) (local.get 0)))
                (elem (table 0) (offset (i32.const 0)) func $pick $tail))"#,
        )
        .unwrap();
        assert_eq!(library.module.defined_funcs(), 3);
        let site = library.lookup(library.func(0) as usize + 8).unwrap();
        assert_eq!(site.func_index, 1);
        assert!(library.code_bytes() > 100);
    }

    #[test]
    fn the_first_error_in_the_file_is_reported() {
        let wasm = wat::parse_str("(module (func) (func i32.add drop) (func i64.add drop))").unwrap();
        let error = Engine::new().unwrap().library(&wasm).unwrap_err();
        let CompileError::Invalid { message, .. } = error else { panic!("{error}") };
        assert!(message.contains("type mismatch"), "{message}");
    }

    #[test]
    fn equal_modules_are_one_library() {
        let engine = Engine::new().unwrap();
        let wasm = wat::parse_str("(module (func))").unwrap();
        let library = engine.library(&wasm).unwrap();
        assert!(std::sync::Arc::ptr_eq(&library, &engine.library(&wasm).unwrap()));
    }
}
