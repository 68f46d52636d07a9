//! Two components in a row that pass on what they are given: the host calls the front, the front calls the
//! back through a compiled adapter, the back calls the host. Both ends know the values, so whatever the adapter
//! does to them on the way there or back shows.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use abi::fault::Trap;
use abi::flat::CoreType;
use abi::layout::Layout;
use abi::plan::Passing;
use abi::run;
use abi::sample::Sampler;
use abi::side::{Encoding, Side};
use abi::types::{FuncType, ValType};
use abi::value::Value;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::Export;
use kernel::host::{HostCall, HostFunc, Import, Imports};
use kernel::jit::engine::{Engine, EngineOptions};

use crate::stretch::stretched;

/// The most bytes that a parameter list or a result takes before it is left out: memories are small.
const AREA_BYTES: u32 = 64 << 10;
/// Where the guests' allocators begin.
const HEAP: u32 = 2 * AREA_BYTES;
/// A shorter input is lengthened to this.
const INPUT_BYTES: usize = 256;

/// Sends values of a function type made of `data` through the chain and back.
///
/// # Panics
/// If what arrives is not what was sent, or anything fails on the way.
pub fn check(data: &[u8]) {
    let choices = stretched(data, INPUT_BYTES);
    let mut sampler = Sampler::new(&choices);
    let encodings = encodings(&mut sampler);
    let isolate = if sampler.below(4) == 0 { Isolate::All } else { Isolate::Nothing };
    let ty = sampler.func(8, 3);
    let args: Vec<Value> = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
    let result = ty.result.as_ref().map(|ty| sampler.value(ty));
    if area(&ty) > AREA_BYTES {
        return;
    }
    let text = Text::of(&ty).root(encodings);
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    // The verifier slows the compiler down, but this is code that no validator has seen.
    let options = EngineOptions { threads: Some(1), verify: true, ..EngineOptions::default() };
    let engine = Engine::with(options).expect("this machine is supported");
    let executable = Executable::parse(&engine, &wasm).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let host = Arc::new(Host { seen: Mutex::default(), result: result.clone() });
    let mut imports = Imports::default();
    imports.names.insert("h".to_owned(), Import::Func(Arc::clone(&host) as Arc<dyn HostFunc>));
    let options = LinkOptions { isolate, ..LinkOptions::new("chain") };
    let linked = executable.link(&imports, &options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut tree =
        executable.launch(&Arc::new(linked), Box::new(())).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let Some(Export::Func(func)) = tree.export(&["h"]).cloned() else { panic!("no export\n{text}") };
    for round in 0..2 {
        let back = tree
            .call(&func, &args)
            .unwrap_or_else(|fault| panic!("round {round}: {fault}\n{args:?}\n{text}"));
        let seen = std::mem::take(&mut *host.seen.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(format!("{seen:?}"), format!("{args:?}"), "what arrived, what was sent\n{text}");
        assert_eq!(format!("{back:?}"), format!("{result:?}"), "what came back, what was returned\n{text}");
    }
}

/// The text of such components for a type made of the sampler's choices; none if its values are too large.
#[must_use]
pub fn text(sampler: &mut Sampler<'_>) -> Option<String> {
    let ty = sampler.func(6, 3);
    (area(&ty) <= AREA_BYTES).then(|| Text::of(&ty).root(encodings(sampler)))
}

/// Bytes that parameters or results take in memory.
fn area(ty: &FuncType) -> u32 {
    let params = Layout::tuple(ty.params.iter().map(|(_, ty)| ty));
    params.size.max(ty.result.as_ref().map_or(0, |ty| Layout::of(ty).size))
}

fn encodings(sampler: &mut Sampler<'_>) -> [Encoding; 2] {
    [(); 2].map(|()| [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16][sampler.below(3) as usize])
}

/// The far end.
struct Host {
    seen: Mutex<Vec<Value>>,
    result: Option<Value>,
}

impl HostFunc for Host {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let ty = call.func_type();
        let (params, results) = (Passing::params(&ty), Passing::results(&ty));
        let mut core = call.core().to_vec();
        let side: &mut dyn Side = call;
        let seen = run::lift_params(side, &ty, &params, &core)?;
        run::lower_results(side, &ty, &params, &results, self.result.as_ref(), &mut core)?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        call.core().copy_from_slice(&core);
        Ok(())
    }
}

/// The text of the components: types that need a name are imported by every component, in order.
struct Text {
    /// Their definitions, as text.
    named: Vec<String>,
    /// The function's type.
    func: String,
    /// Core parameters and results of the lowered and of the lifted function.
    lowered: (Vec<CoreType>, Vec<CoreType>),
    lifted: (Vec<CoreType>, Vec<CoreType>),
    in_memory: bool,
}

impl Text {
    fn of(ty: &FuncType) -> Text {
        let (params, results) = (Passing::params(ty), Passing::results(ty));
        let mut text = Text {
            named: Vec::new(),
            func: String::new(),
            lowered: Passing::lowered(&params, &results),
            lifted: Passing::lifted(&params, &results),
            in_memory: matches!(results, Passing::Memory(_)),
        };
        let mut func = "(func".to_owned();
        for (name, ty) in &ty.params {
            let ty = text.spell(ty);
            write!(func, " (param \"{name}\" {ty})").expect("a string takes everything");
        }
        if let Some(ty) = &ty.result {
            let ty = text.spell(ty);
            write!(func, " (result {ty})").expect("a string takes everything");
        }
        text.func = func + ")";
        text
    }

    /// A type in place, its named parts defined before it.
    fn spell(&mut self, ty: &ValType) -> String {
        let quoted =
            |labels: &[Box<str>]| labels.iter().map(|label| format!(" \"{label}\"")).collect::<String>();
        let definition = match ty {
            ValType::List(elem) => return format!("(list {})", self.spell(elem)),
            ValType::FixedList(elem, count) => return format!("(list {} {count})", self.spell(elem)),
            ValType::Map(entry) => return format!("(map {} {})", self.spell(&entry.0), self.spell(&entry.1)),
            ValType::Tuple(types) => {
                let types: String = types.iter().map(|ty| format!(" {}", self.spell(ty))).collect();
                return format!("(tuple{types})");
            }
            ValType::Option(some) => return format!("(option {})", self.spell(some)),
            ValType::Result(result) => {
                let ok = result.ok.as_ref().map(|ty| format!(" {}", self.spell(ty))).unwrap_or_default();
                let err =
                    result.err.as_ref().map(|ty| format!(" (error {})", self.spell(ty))).unwrap_or_default();
                return format!("(result{ok}{err})");
            }
            ValType::Record(fields) => {
                let field = |field: &abi::types::Field| {
                    format!(" (field \"{}\" {})", field.name, self.spell(&field.ty))
                };
                format!("(record{})", fields.iter().map(field).collect::<String>())
            }
            ValType::Variant(cases) => {
                let case = |case: &abi::types::Case| {
                    let payload =
                        case.ty.as_ref().map(|ty| format!(" {}", self.spell(ty))).unwrap_or_default();
                    format!(" (case \"{}\"{payload})", case.name)
                };
                format!("(variant{})", cases.iter().map(case).collect::<String>())
            }
            ValType::Enum(labels) => format!("(enum{})", quoted(labels)),
            ValType::Flags(labels) => format!("(flags{})", quoted(labels)),
            scalar => return scalar.to_string(),
        };
        self.named.push(definition);
        format!("$n{}", self.named.len() - 1)
    }

    fn root(&self, encodings: [Encoding; 2]) -> String {
        let (front, back) = (self.passing_on("$Front", encodings[0]), self.passing_on("$Back", encodings[1]));
        let types = self.types();
        let with: String =
            (0..self.named.len()).map(|at| format!(" (with \"n{at}\" (type $n{at}))")).collect();
        format!(
            "(component\n{types}  (import \"h\" (func $h (type $f)))\n{front}{back}  \
             (instance $back (instantiate $Back{with} (with \"h\" (func $h))))\n  \
             (instance $front (instantiate $Front{with} (with \"h\" (func $back \"h2\"))))\n  \
             (export \"h\" (func $front \"h2\")))\n"
        )
    }

    fn types(&self) -> String {
        let mut text = String::new();
        for (at, definition) in self.named.iter().enumerate() {
            writeln!(text, "  (type $d{at} {definition})\n  (import \"n{at}\" (type $n{at} (eq $d{at})))")
                .expect("a string takes everything");
        }
        writeln!(text, "  (type $f {})", self.func).expect("a string takes everything");
        text
    }

    /// A component that calls `h` for `h2`. Parameters and results stay where they are: the lowered function
    /// takes what the lifted one is given, and where a result is in memory both mean the same address.
    fn passing_on(&self, name: &str, encoding: Encoding) -> String {
        let core =
            |types: &[CoreType]| types.iter().map(|ty| format!(" {}", core_name(*ty))).collect::<String>();
        let encoding = match encoding {
            Encoding::Utf8 => "utf8",
            Encoding::Utf16 => "utf16",
            Encoding::CompactUtf16 => "latin1+utf16",
        };
        let options = format!(
            "string-encoding={encoding} (memory (core memory $libc \"mem\")) (realloc (core func $libc \"realloc\"))"
        );
        let gets: String = (0..self.lifted.0.len()).map(|at| format!(" (local.get {at})")).collect();
        let (area, after) = if self.in_memory { (" (i32.const 16)", " (i32.const 16)") } else { ("", "") };
        let (types, libc) = (self.types(), libc());
        format!(
            "(component {name}\n{types}  (import \"h\" (func $h (type $f)))\n{libc}  \
             (core func $h' (canon lower (func $h) {options}))\n  \
             (core module $m (import \"\" \"h\" (func $h (param{lowered}) (result{lowered_results})))\n    \
             (func (export \"h\") (param{lifted}) (result{lifted_results}) (call $h{gets}{area}){after}))\n  \
             (core instance $m (instantiate $m (with \"\" (instance (export \"h\" (func $h'))))))\n  \
             (func $h2 (type $f) (canon lift (core func $m \"h\") {options}))\n  (export \"h2\" (func $h2)))\n",
            lowered = core(&self.lowered.0),
            lowered_results = core(&self.lowered.1),
            lifted = core(&self.lifted.0),
            lifted_results = core(&self.lifted.1),
        )
    }
}

/// A memory and a bump allocator that copies when something moves.
fn libc() -> String {
    format!(
        "  (core module $libc (memory (export \"mem\") 32)\n    (global $next (mut i32) (i32.const {HEAP}))\n    \
         (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)\n      \
         (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))\n        \
         (i32.sub (i32.const 0) (local.get 2))))\n      \
         (global.set $next (i32.add (local.get $at) (local.get 3)))\n      \
         (memory.copy (local.get $at) (local.get 0)\n        \
         (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))\n      \
         (local.get $at)))\n  (core instance $libc (instantiate $libc))\n"
    )
}

fn core_name(ty: CoreType) -> &'static str {
    match ty {
        CoreType::I32 => "i32",
        CoreType::I64 => "i64",
        CoreType::F32 => "f32",
        CoreType::F64 => "f64",
    }
}
