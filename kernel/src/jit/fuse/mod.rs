//! Adapters: plans → CLIF → machine code.
//!
//! An adapter is one function that the caller calls as if it were the callee: it lifts from one process and lowers into
//! the other in one pass, without a value in between. It is trusted code over hostile pointers, so every load and store
//! of guest memory goes through [`region`].
//!
//! - [`spec`]: what is compiled
//! - `phases`: a call between two processes, `stub`: calls that go elsewhere, `tapped`: calls that are reported
//! - [`entrance`]: the callee's half of a call between two domains
//! - `handles`: handles on their way, and the calls that make and drop them
//! - `copy`: values by their types, `leaf`, `lists`, `texts`, `utf8`; `bitmask`: elements that are copied by vectors
//! - `region`: guest memory that has been checked
//! - `part`: functions that adapters share; `inline`: functions of libraries
//! - [`reason`]: why an adapter ends a call
//! - `emit`: a function while it is written
//! - `trial`: for tests and fuzzers: adapters beside the interpreter

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use abi::flat::CoreType;
use cranelift_codegen::Context;
use cranelift_codegen::ir::{Function, Signature, TrapCode, Value};
use cranelift_frontend::FunctionBuilderContext;

use self::emit::{Emit, core_signature};
use self::entrance::entry_signature;
use self::part::{Part, Parts};
use self::spec::{AdapterSpec, Callees, Implementers, Refusal};
use super::body::Body;
use super::compile_error::CompileError;
use super::engine::Engine;
use super::image::{Code, Image};
use super::library::Library;
use crate::arch::Entry;
use crate::jit::trapcode;
use crate::limits::{ADAPTER_NODES, ADAPTERS_NODES};
use crate::trap::site::{Catch, CodeFrame, CodeInfo, Edge};
use crate::vm::{DomainLayout, flags};

mod bitmask;
mod copy;
pub(crate) use copy::nodes;
mod emit;
pub mod entrance;
mod handles;
mod inline;
mod leaf;
mod lists;
mod part;
mod phases;
pub mod reason;
mod region;
pub mod spec;
mod stub;
mod tapped;
mod texts;
#[cfg(any(test, feature = "trial"))]
pub mod trial;
mod utf8;

/// The compiled adapters and stubs of one linked tree; clones share them.
#[derive(Clone)]
pub struct Adapters {
    inner: Arc<Inner>,
}

struct Inner {
    code: Code,
    /// What is known of each function of the image, the adapters first, in order.
    known: Vec<Known>,
    refusals: HashMap<u32, String>,
    /// Whose code is called directly.
    _libraries: Vec<Arc<Library>>,
}

/// What is known of one function.
#[derive(Clone, Debug, Default)]
struct Known {
    name: Option<String>,
    edge: Option<Edge>,
}

impl Adapters {
    /// Compiles one function for each of `specs`, for domains of this layout whose processes implement these types and
    /// whose function slots will hold these functions.
    ///
    /// # Errors
    /// [`CompileError::Limit`] if the types are too large, else if the code generator refuses or there is no room.
    pub fn compile(
        engine: &Engine,
        specs: &[AdapterSpec],
        layout: DomainLayout,
        implementers: &Implementers,
        callees: &Callees,
    ) -> Result<Adapters, CompileError> {
        check_nodes(specs)?;
        Adapters::build(engine, specs, layout, implementers, callees, false)
    }

    /// The same functions for a domain whose calls are watched: nothing is written into them and nothing is called
    /// directly, so every call goes through the slot or the import that it is of. Behind them, in the same order, is for
    /// each one that reports its calls.
    ///
    /// # Errors
    /// As [`Adapters::compile`].
    pub fn compile_tapped(
        engine: &Engine,
        specs: &[AdapterSpec],
        layout: DomainLayout,
        implementers: &Implementers,
    ) -> Result<Adapters, CompileError> {
        Adapters::build(engine, specs, layout, implementers, &Callees::new(), true)
    }

    fn build(
        engine: &Engine,
        specs: &[AdapterSpec],
        layout: DomainLayout,
        implementers: &Implementers,
        callees: &Callees,
        tapped: bool,
    ) -> Result<Adapters, CompileError> {
        let count = u32::try_from(specs.len()).expect("specifications fit into memory");
        let first_part = if tapped { 2 * count } else { count };
        let (parts, scratch) = (Parts::new(first_part), Scratch::default());
        let mut writer = Writer { engine, layout, implementers, callees, parts, scratch };
        let mut bodies = Vec::with_capacity(specs.len());
        let mut known = Vec::with_capacity(specs.len());
        for (spec, number) in specs.iter().zip(0..) {
            known.push(spec.known(implementers));
            bodies.push(writer.function(spec.machine_signature(), &spec.name(), |emit, params| {
                spec.emit(emit, number, params)
            })?);
        }
        for (spec, number) in specs.iter().zip(0..).take_while(|_| tapped) {
            let core = spec.signature();
            let sig = core_signature(&core.0, &core.1);
            known.push(Known::default());
            bodies.push(writer.function(sig, "(tap)", |emit, params| match spec {
                // What is entered from another domain is no edge here, and nobody calls this.
                AdapterSpec::Arrival { .. } => emit.reenter(),
                _ => emit.tap(number, &core, params),
            })?);
        }
        let mut at = 0;
        while let Some(part) = writer.parts.list.get(at).cloned() {
            at += 1;
            known.push(known_part(&part));
            bodies.push(
                writer.function(part.signature(), "(shared part)", |emit, params| part.emit(emit, params))?,
            );
        }
        let alignment = engine.isa().function_alignment().preferred.max(1) as usize;
        let mut placed = vec![std::ptr::null(); callees.keys().max().map_or(0, |last| *last as usize + 1)];
        for (slot, callee) in callees {
            placed[*slot as usize] = callee.library.func(callee.func);
        }
        let code = Image::assemble(bodies, alignment)?.publish(&placed)?;
        let refusals = specs.iter().zip(0..).filter_map(|(spec, number)| Some((number, spec.refusal()?)));
        let libraries = callees.values().map(|callee| Arc::clone(&callee.library)).collect();
        Ok(Adapters::describe(Inner { code, known, refusals: refusals.collect(), _libraries: libraries }))
    }

    fn describe(inner: Inner) -> Adapters {
        let inner = Arc::new(inner);
        let info: Weak<dyn CodeInfo> = Arc::downgrade(&(Arc::clone(&inner) as Arc<dyn CodeInfo>));
        inner.code.block().describe(info);
        Adapters { inner }
    }

    /// The entry of the adapter at this place.
    #[must_use]
    pub fn func(&self, index: u32) -> *const u8 {
        self.inner.code.func(index as usize)
    }

    /// The adapter at this place, which is an arrival, as what is entered.
    #[must_use]
    pub(crate) fn entrance(&self, index: u32) -> Entry {
        // SAFETY: an arrival has the signature of an entry.
        unsafe { std::mem::transmute::<*const u8, Entry>(self.func(index)) }
    }

    /// Why the adapter at this place refuses every call, if it does.
    #[must_use]
    pub fn refusal(&self, index: u32) -> Option<&str> {
        self.inner.refusals.get(&index).map(String::as_str)
    }

    /// Bytes of machine code.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.inner.code.block().len()
    }
}

impl CodeInfo for Inner {
    fn trap(&self, offset: u32) -> Option<TrapCode> {
        self.code.trap(offset)
    }

    fn frame(&self, offset: u32) -> Option<CodeFrame> {
        let (func, _) = self.code.locate(offset)?;
        let name = self.known[func].name.clone()?;
        Some(CodeFrame { func_name: Some(name), ..CodeFrame::default() })
    }

    fn edge(&self, offset: u32) -> Option<Edge> {
        let (func, _) = self.code.locate(offset)?;
        self.known[func].edge
    }

    /// A core exception that leaves a lifted function is a trap (CanonicalABI.md, `call_and_trap_on_throw`).
    fn catches(&self, _: u32) -> Catch {
        Catch::Stop
    }
}

/// A type that would make too much code is refused before any is made.
fn check_nodes(specs: &[AdapterSpec]) -> Result<(), CompileError> {
    let mut total = 0_u64;
    for spec in specs {
        let (AdapterSpec::Call { plan, .. } | AdapterSpec::Arrival { plan }) = spec else { continue };
        let types = plan.ty.params.iter().map(|(_, ty)| ty).chain(&plan.ty.result);
        let nodes: u64 = types.map(|ty| u64::from(nodes(ty, ADAPTER_NODES))).sum();
        total += nodes;
        for (limit, value, allowed) in [
            ("parts of the types of one function between components", nodes, ADAPTER_NODES),
            ("parts of the types of all functions between components", total, ADAPTERS_NODES),
        ] {
            if value > u64::from(allowed) {
                return Err(CompileError::Limit { limit, value, allowed: u64::from(allowed) });
            }
        }
    }
    Ok(())
}

fn known_part(part: &Part) -> Known {
    let edge = Some(Edge { caller: part.process(), callee: part.process() });
    let name =
        matches!(part, Part::Allocate(_) | Part::Allocated(_)).then(|| "canonical-abi realloc".to_owned());
    Known { name, edge }
}

/// What functions of one image have in common while they are written.
struct Writer<'e> {
    engine: &'e Engine,
    layout: DomainLayout,
    implementers: &'e Implementers,
    callees: &'e Callees,
    parts: Parts,
    scratch: Scratch,
}

struct Scratch {
    context: Context,
    builder: FunctionBuilderContext,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch { context: Context::new(), builder: FunctionBuilderContext::new() }
    }
}

impl Writer<'_> {
    /// The code generator asserts what it believes; a component must not be able to end the process with that.
    fn function(
        &mut self,
        sig: Signature,
        name: &str,
        write: impl FnOnce(&mut Emit<'_>, &[Value]),
    ) -> Result<Body, CompileError> {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let func: &mut Function = &mut self.scratch.context.func;
            let (scratch, parts) = (&mut self.scratch.builder, &mut self.parts);
            let linked = (self.layout, self.implementers, self.callees);
            let (mut emit, params) = Emit::start(func, scratch, sig, linked, parts);
            write(&mut emit, &params);
            emit.finish(self.engine.isa());
            Body::compile(self.engine.isa(), &mut self.scratch.context, || name.to_owned())
        }));
        result.unwrap_or_else(|panic| {
            self.scratch = Scratch::default();
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            let message = format!("internal error of the adapter compiler: {words}");
            Err(CompileError::Codegen { func: name.to_owned(), message })
        })
    }
}

impl AdapterSpec {
    fn emit(&self, emit: &mut Emit<'_>, number: u32, params: &[Value]) {
        match self {
            AdapterSpec::Call { plan, .. } => emit.invoke(plan, params),
            AdapterSpec::Arrival { plan } => emit.arrive(plan, params[1]),
            AdapterSpec::Host { import, address, process, results, leaves, .. } => {
                if *leaves {
                    emit.need_flag(*process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
                }
                emit.host(*import, address.as_ref(), params, results);
            }
            AdapterSpec::ResourceNew { process, ty } => emit.resource_new(*process, *ty, params[0]),
            AdapterSpec::ResourceRep { process, ty } => emit.resource_rep(*process, *ty, params[0]),
            AdapterSpec::ResourceDrop { process, ty } => emit.resource_drop(*process, *ty, params[0]),
            AdapterSpec::Refuse { reason: Refusal::Reentrance, .. } => emit.reenter(),
            AdapterSpec::Refuse { reason: Refusal::Message(_), process, .. } => emit.refuse(*process, number),
        }
    }

    fn machine_signature(&self) -> Signature {
        match self {
            AdapterSpec::Arrival { .. } => entry_signature(),
            other => {
                let (params, results) = other.signature();
                core_signature(&params, &results)
            }
        }
    }

    /// The core signature, without the context; nothing for what no core code calls.
    pub(crate) fn signature(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        match self {
            AdapterSpec::Call { plan, .. } => phases::signature_of(plan),
            AdapterSpec::Host { params, results, .. } | AdapterSpec::Refuse { params, results, .. } => {
                (params.clone(), results.clone())
            }
            AdapterSpec::ResourceNew { .. } | AdapterSpec::ResourceRep { .. } => {
                (vec![CoreType::I32], vec![CoreType::I32])
            }
            AdapterSpec::ResourceDrop { .. } => (vec![CoreType::I32], Vec::new()),
            AdapterSpec::Arrival { .. } => (Vec::new(), Vec::new()),
        }
    }

    fn name(&self) -> String {
        match self {
            AdapterSpec::Call { name, .. }
            | AdapterSpec::Host { name, .. }
            | AdapterSpec::Refuse { name, .. } => name.clone(),
            AdapterSpec::Arrival { .. } => "(arrival)".to_owned(),
            AdapterSpec::ResourceNew { ty, .. } => format!("resource.new {ty}"),
            AdapterSpec::ResourceRep { ty, .. } => format!("resource.rep {ty}"),
            AdapterSpec::ResourceDrop { ty, .. } => format!("resource.drop {ty}"),
        }
    }

    fn known(&self, implementers: &Implementers) -> Known {
        let edge = match self {
            // What goes wrong with the caller's values is nobody's here, and no backtrace shows it.
            AdapterSpec::Arrival { .. } => {
                let edge = Some(Edge { caller: Edge::NOBODY, callee: Edge::NOBODY });
                return Known { name: None, edge };
            }
            AdapterSpec::Call { plan, .. } => {
                Edge { caller: plan.caller.process, callee: plan.callee.process }
            }
            AdapterSpec::Host { process, .. }
            | AdapterSpec::ResourceNew { process, .. }
            | AdapterSpec::ResourceRep { process, .. }
            | AdapterSpec::Refuse { process, .. } => Edge { caller: *process, callee: *process },
            AdapterSpec::ResourceDrop { process, ty } => {
                let callee = implementers.get(ty).map_or(*process, |implementer| implementer.process);
                Edge { caller: *process, callee }
            }
        };
        Known { name: Some(self.name()), edge: Some(edge) }
    }

    fn refusal(&self) -> Option<String> {
        match self {
            AdapterSpec::Refuse { reason: Refusal::Message(message), .. } => Some(message.clone()),
            _ => None,
        }
    }
}
