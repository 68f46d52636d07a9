//! What all compiled code of a process of the host shares: the target, signatures, libraries, trampolines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use sha2::{Digest, Sha256};
use wasmparser::{Parser, ValidPayload, Validator, WasmFeatures};

use super::compile::{self, Source};
use super::compile_error::CompileError;
use super::library::Library;
use super::module::Module;
use super::sections;
use super::sig::{SigId, Signatures};
use super::small::SmallBody;
use super::trampoline::{Trampoline, Way};
use super::valtype::CoreFuncType;
use super::watch::{Board, Watch};

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// What modules may use; more than [`features`] names is refused operator by operator.
    pub features: WasmFeatures,
    /// Threads that compile; none is one for each processor.
    pub threads: Option<usize>,
    /// Whether the code generator checks what it is given and makes: slow, for tests.
    pub verify: bool,
    /// What code notes while it runs.
    pub watch: Watch,
}

/// Everything of WebAssembly that the kernel compiles.
#[must_use]
pub fn features() -> WasmFeatures {
    let more =
        WasmFeatures::THREADS.union(WasmFeatures::CUSTOM_PAGE_SIZES).union(WasmFeatures::WIDE_ARITHMETIC);
    WasmFeatures::WASM3.union(more)
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions { features: features(), threads: None, verify: cfg!(test), watch: Watch::Nothing }
    }
}

/// Why there is no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The code generator does not know this machine.
    #[error("no machine code can be made for this machine: {0}")]
    Target(String),
}

/// The compiler and its caches; clones share everything.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    isa: OwnedTargetIsa,
    options: EngineOptions,
    signatures: RwLock<Signatures>,
    libraries: Mutex<HashMap<[u8; 32], Weak<Library>>>,
    trampolines: Mutex<HashMap<(SigId, Way), Arc<Trampoline>>>,
    board: Option<Arc<Board>>,
}

impl Engine {
    /// An engine with the default options.
    ///
    /// # Errors
    /// If no machine code can be made for this machine.
    pub fn new() -> Result<Engine, EngineError> {
        Engine::with(EngineOptions::default())
    }

    /// An engine with these options.
    ///
    /// # Errors
    /// If no machine code can be made for this machine.
    pub fn with(options: EngineOptions) -> Result<Engine, EngineError> {
        let isa = isa(&options).map_err(EngineError::Target)?;
        let inner = Inner {
            isa,
            board: Board::new(options.watch).map(Arc::new),
            options,
            signatures: RwLock::default(),
            libraries: Mutex::default(),
            trampolines: Mutex::default(),
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }

    /// Where its code notes what it does, if that is watched.
    #[must_use]
    pub fn board(&self) -> Option<&Arc<Board>> {
        self.inner.board.as_ref()
    }

    /// The target.
    #[must_use]
    pub fn isa(&self) -> &dyn TargetIsa {
        &*self.inner.isa
    }

    /// Validates and compiles a core module, or returns the library that was made of the same bytes and still lives.
    ///
    /// # Errors
    /// [`CompileError`]
    pub fn library(&self, wasm: &[u8]) -> Result<Arc<Library>, CompileError> {
        let hash = digest(wasm);
        if let Some(library) = self.cached(&hash) {
            return Ok(library);
        }
        let mut parser = Parser::new(0);
        parser.set_features(self.inner.options.features);
        let mut validator = Validator::new_with_features(self.inner.options.features);
        let mut funcs = Vec::new();
        for payload in parser.parse_all(wasm) {
            let payload = payload?;
            if let wasmparser::Payload::Version { encoding: wasmparser::Encoding::Component, range, .. } =
                &payload
            {
                let item = "a component where a core module is expected".to_owned();
                return Err(CompileError::Unsupported { item, offset: range.start });
            }
            if let ValidPayload::Func(func, body) = validator.payload(&payload)? {
                funcs.push((func, body));
            }
        }
        self.compile(hash, Source { wasm, start: 0, funcs })
    }

    /// The same for a module inside a component, all but its function bodies validated with it.
    ///
    /// # Errors
    /// [`CompileError`]
    pub fn library_nested(&self, source: Source<'_>) -> Result<Arc<Library>, CompileError> {
        let hash = digest(source.wasm);
        match self.cached(&hash) {
            Some(library) => Ok(library),
            None => self.compile(hash, source),
        }
    }

    /// The library that was made of bytes with this hash, if it still lives.
    #[must_use]
    pub fn cached(&self, hash: &[u8; 32]) -> Option<Arc<Library>> {
        lock(&self.inner.libraries).get(hash)?.upgrade()
    }

    fn compile(&self, hash: [u8; 32], source: Source<'_>) -> Result<Arc<Library>, CompileError> {
        let module = self.module(sections::without_code(source.wasm)?)?;
        let image = compile::compile(self, &module, &source)?;
        let mut library = Library::new(hash, module, image.publish(&[])?, self.board().cloned());
        // Elsewhere it would not be watched.
        if !library.is_watched() {
            let small = |(index, (_, body)): (u32, &compile::Func<'_>)| Some((index, SmallBody::of(body)?));
            library.small = (0..).zip(&source.funcs).filter_map(small).collect();
        }
        self.keep(library)
    }

    /// Parses the sections that were kept of a module.
    pub(super) fn module(&self, kept: Vec<u8>) -> Result<Module, CompileError> {
        let mut signatures = self.inner.signatures.write().unwrap_or_else(PoisonError::into_inner);
        sections::read(kept, &mut signatures)
    }

    /// Puts a library into the cache, and makes its code known to whoever meets a program counter.
    pub(super) fn keep(&self, library: Library) -> Result<Arc<Library>, CompileError> {
        let library = Arc::new(library);
        library.describe();
        let mut libraries = lock(&self.inner.libraries);
        libraries.retain(|_, library| library.strong_count() > 0);
        libraries.insert(library.hash, Arc::downgrade(&library));
        Ok(library)
    }

    /// A signature's number.
    #[must_use]
    pub fn intern(&self, ty: &CoreFuncType) -> SigId {
        self.inner.signatures.write().unwrap_or_else(PoisonError::into_inner).intern(ty)
    }

    /// The signature that has this number.
    #[must_use]
    pub fn signature(&self, sig: SigId) -> Arc<CoreFuncType> {
        Arc::clone(self.inner.signatures.read().unwrap_or_else(PoisonError::into_inner).ty(sig))
    }

    /// The trampoline from the host into functions of this signature:
    /// `extern "C" fn(ctx: *mut u8, code: *const u8, values: *mut u128)` takes the parameters from `values` and leaves
    /// the results there, each in 16 bytes from the first on. It lives as long as the engine.
    ///
    /// # Errors
    /// [`CompileError`] if it cannot be compiled: too many values, or no memory.
    pub fn entry(&self, sig: SigId) -> Result<*const u8, CompileError> {
        self.trampoline(sig, Way::In)
    }

    /// The trampoline from guests to a host function of this signature: a compiled function whose context is a
    /// [`crate::vm::VmHostCore`]. It lives as long as the engine.
    ///
    /// # Errors
    /// [`CompileError`] if it cannot be compiled: too many values, or no memory.
    pub fn exit(&self, sig: SigId) -> Result<*const u8, CompileError> {
        self.trampoline(sig, Way::Out)
    }

    fn trampoline(&self, sig: SigId, way: Way) -> Result<*const u8, CompileError> {
        let ty = self.signature(sig);
        let mut trampolines = lock(&self.inner.trampolines);
        if let Some(known) = trampolines.get(&(sig, way)) {
            return Ok(known.code());
        }
        let made = Trampoline::compile(self.isa(), &ty, way)?;
        let code = made.code();
        trampolines.insert((sig, way), made);
        Ok(code)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("target", &self.inner.isa.triple().to_string()).finish_non_exhaustive()
    }
}

fn digest(wasm: &[u8]) -> [u8; 32] {
    Sha256::digest(wasm).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The native target with the settings that the kernel relies on.
fn isa(options: &EngineOptions) -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    let verify = if options.verify { "true" } else { "false" };
    let wanted = [
        ("opt_level", "speed"),
        ("enable_verifier", verify),
        // Backtraces walk frame pointers, and nothing else needs to unwind.
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "false"),
        // The stack limit is checked with the frame's whole size.
        ("enable_probestack", "false"),
        ("enable_heap_access_spectre_mitigation", "true"),
        ("enable_table_access_spectre_mitigation", "true"),
        // Functions with more results than registers.
        ("enable_multi_ret_implicit_sret", "true"),
    ];
    for (name, value) in wanted {
        flags.set(name, value).map_err(|error| format!("setting `{name}`: {error}"))?;
    }
    let builder = cranelift_native::builder()?;
    builder.finish(settings::Flags::new(flags)).map_err(|error| error.to_string())
}
