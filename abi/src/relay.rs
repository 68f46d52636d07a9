//! The text of components that pass on what they are given, for tests and fuzzers that look at what becomes of values on
//! their way.
//!
//! ```text
//! host ── h2 ──► front ── h ──► back ── h ──► host
//! ```
//!
//! Both are a [`Relay`]: it imports `h`, and exports `h2` of the same type. Parameters and results stay where they are: the
//! lowered function takes what the lifted one is given, and where a result is in memory both mean the same address. A relay
//! can be told to do otherwise, so that the text of a hostile guest is that of an honest one but for its lie. What one relay
//! lets pass the next one would find, so relays can be [`Relays::marked`]: then they tell the host how far a call came.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::flat::{CoreType, flatten};
use crate::layout::{Layout, offsets};
use crate::plan::Passing;
use crate::side::Encoding;
use crate::types::{Case, Field, FuncType, ResourceType, ValType};

/// The most bytes that parameters or a result take in memory: a relay's own memory is small.
const AREA_BYTES: u32 = 64 << 10;
/// Where a relay's allocator begins.
pub const HEAP: u32 = 2 * AREA_BYTES;
/// Where a relay has its result put, if that crosses in memory.
pub const RESULT: u32 = 16;
/// Pages of a relay's memory.
const PAGES: u32 = 32;

/// What one relay is, and what it does otherwise. The texts are of core functions: `$h` is the function that it calls,
/// `$main` the one that does, and `$drop0` drops a handle of host resource 0. There is one memory.
#[derive(Clone, Debug)]
pub struct Relay {
    /// How strings are in its memory.
    pub encoding: Encoding,
    /// Pages of its memory.
    pub pages: u32,
    /// What it does first.
    pub before: String,
    /// What it calls `$h` with, one expression for each core parameter, where that is not what it was given.
    pub passes: Option<Vec<String>>,
    /// What it returns, an expression, where that is not what it got.
    pub returns: Option<String>,
    /// The body of its `realloc`, where that does not allocate.
    pub realloc: Option<String>,
    /// The body of its `post-return`, which gets what was returned.
    pub post_return: Option<String>,
    /// Whether it keeps what it borrowed.
    pub keeps: bool,
}

impl Default for Relay {
    fn default() -> Relay {
        Relay::in_encoding(Encoding::Utf8)
    }
}

impl Relay {
    /// An honest one.
    #[must_use]
    pub const fn in_encoding(encoding: Encoding) -> Relay {
        Relay {
            encoding,
            pages: PAGES,
            before: String::new(),
            passes: None,
            returns: None,
            realloc: None,
            post_return: None,
            keeps: false,
        }
    }
}

/// What the relays of one function type have in common. Types that need a name are imported by every component, in order.
#[derive(Clone, Debug)]
pub struct Relays {
    /// Host resources in the type, by number.
    resources: BTreeSet<u32>,
    /// Definitions of named types, as text.
    named: Vec<String>,
    /// The function's type.
    func: String,
    /// Core parameters and results of the lowered and of the lifted function.
    lowered: (Vec<CoreType>, Vec<CoreType>),
    lifted: (Vec<CoreType>, Vec<CoreType>),
    in_memory: bool,
    /// Drops the parameters that are borrowed.
    drops: String,
    is_marked: bool,
}

/// What a marked relay tells the host, by its import `mark`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// 0 when it is called, and 3 when its own call has returned.
    Front,
    /// 1 and 2.
    Back,
}

impl Relays {
    /// For functions of this type; none if its values take more memory than a relay has. Handles are of host resources, and
    /// a borrow is a whole parameter.
    #[must_use]
    pub fn of(ty: &FuncType) -> Option<Relays> {
        let area = Layout::tuple(ty.params.iter().map(|(_, ty)| ty)).size;
        if area.max(ty.result.as_ref().map_or(0, |ty| Layout::of(ty).size)) > AREA_BYTES {
            return None;
        }
        let (params, results) = (Passing::params(ty), Passing::results(ty));
        let mut relays = Relays {
            resources: BTreeSet::new(),
            named: Vec::new(),
            func: String::new(),
            lowered: Passing::lowered(&params, &results),
            lifted: Passing::lifted(&params, &results),
            in_memory: matches!(results, Passing::Memory(_)),
            drops: drops(ty, &params),
            is_marked: false,
        };
        let mut func = "(func".to_owned();
        for (name, ty) in &ty.params {
            let ty = relays.spell(ty);
            push(&mut func, format_args!(" (param \"{name}\" {ty})"));
        }
        if let Some(ty) = &ty.result {
            let ty = relays.spell(ty);
            push(&mut func, format_args!(" (result {ty})"));
        }
        relays.func = func + ")";
        Some(relays)
    }

    /// The same relays, which call the import `mark` with a number as [`Who`] says.
    #[must_use]
    pub fn marked(self) -> Relays {
        Relays { is_marked: true, ..self }
    }

    /// The core parameters of the function that a relay is called by.
    #[must_use]
    pub fn core_params(&self) -> &[CoreType] {
        &self.lifted.0
    }

    /// A component in which a front calls a back, which calls the import `h`; exported as `h`.
    #[must_use]
    pub fn pair(&self, front: &Relay, back: &Relay) -> String {
        let (front, back) = (self.component(Who::Front, front), self.component(Who::Back, back));
        let types = self.types();
        let resources = self.resources.iter().map(|number| format!("r{number}"));
        let names = resources.chain((0..self.named.len()).map(|at| format!("n{at}")));
        let mut with: String = names.map(|name| format!(" (with \"{name}\" (type ${name}))")).collect();
        if self.is_marked {
            with += " (with \"mark\" (func $mark))";
        }
        format!(
            "(component\n{types}  (import \"h\" (func $h (type $f)))\n{front}{back}  \
             (instance $back (instantiate $Back{with} (with \"h\" (func $h))))\n  \
             (instance $front (instantiate $Front{with} (with \"h\" (func $back \"h2\"))))\n  \
             (export \"h\" (func $front \"h2\")))\n"
        )
    }

    /// One relay as a component of its own.
    #[must_use]
    pub fn alone(&self, who: Who, relay: &Relay) -> String {
        self.component(who, relay)
    }

    fn types(&self) -> String {
        let mut text = String::new();
        for number in &self.resources {
            push(&mut text, format_args!("  (import \"r{number}\" (type $r{number} (sub resource)))\n"));
        }
        for (at, definition) in self.named.iter().enumerate() {
            push(&mut text, format_args!("  (type $d{at} {definition})\n"));
            push(&mut text, format_args!("  (import \"n{at}\" (type $n{at} (eq $d{at})))\n"));
        }
        push(&mut text, format_args!("  (type $f {})\n", self.func));
        if self.is_marked {
            text += "  (import \"mark\" (func $mark (param \"at\" u32)))\n";
        }
        text
    }

    fn component(&self, who: Who, relay: &Relay) -> String {
        let encoding = match relay.encoding {
            Encoding::Utf8 => "utf8",
            Encoding::Utf16 => "utf16",
            Encoding::CompactUtf16 => "latin1+utf16",
        };
        let options = format!(
            "string-encoding={encoding} (memory (core memory $libc \"mem\")) (realloc (core func $libc \"realloc\"))"
        );
        let post = relay.post_return.as_ref().map_or("", |_| " (post-return (core func $m \"post\"))");
        let (types, libc, main) = (self.types(), libc(relay, &self.imported_drops()), self.main(who, relay));
        let each = |write: &dyn Fn(&u32) -> String| self.resources.iter().map(write).collect::<String>();
        let canon = each(&|number| format!("  (core func $drop{number} (canon resource.drop $r{number}))\n"));
        let (mark, marks) = if self.is_marked {
            ("  (core func $mark' (canon lower (func $mark)))\n", " (export \"mark\" (func $mark'))")
        } else {
            ("", "")
        };
        let drops = each(&|number| format!(" (export \"drop{number}\" (func $drop{number}))"));
        format!(
            "(component ${who:?}\n{types}  (import \"h\" (func $h (type $f)))\n{canon}{mark}{libc}  \
             (core instance $libc (instantiate $libc (with \"\" (instance{drops}))))\n  \
             (core func $h' (canon lower (func $h) {options}))\n{main}  \
             (core instance $m (instantiate $m (with \"\" (instance (export \"h\" (func $h')) \
             (export \"mem\" (memory $libc \"mem\")){drops}{marks}))))\n  \
             (func $h2 (type $f) (canon lift (core func $m \"h\") {options}{post}))\n  \
             (export \"h2\" (func $h2)))\n"
        )
    }

    /// The core module that passes on.
    fn main(&self, who: Who, relay: &Relay) -> String {
        let core = |types: &[CoreType]| types.iter().map(|ty| format!(" {}", core_name(*ty))).collect();
        let [lowered, lowered_results, lifted, lifted_results]: [String; 4] =
            [&self.lowered.0, &self.lowered.1, &self.lifted.0, &self.lifted.1].map(|types| core(types));
        let passed = || (0..self.lifted.0.len()).map(|at| format!("(local.get {at})")).collect();
        let mut args = relay.passes.clone().unwrap_or_else(passed).join(" ");
        // A relay that says itself where its result is to be put says everything.
        let area =
            self.in_memory && relay.passes.as_ref().is_none_or(|args| args.len() < self.lowered.0.len());
        if area {
            push(&mut args, format_args!(" (i32.const {RESULT})"));
        }
        let drops = if relay.keeps { "" } else { &self.drops };
        let returns = match &relay.returns {
            Some(returns) => format!("{} {returns}", "(drop)".repeat(self.lowered.1.len())),
            None if self.in_memory => format!("(i32.const {RESULT})"),
            None => String::new(),
        };
        let post = relay.post_return.as_ref().map_or_else(String::new, |body| {
            format!("\n    (func (export \"post\") (param{lifted_results}) {body})")
        });
        let mark =
            |at: u32| if self.is_marked { format!("(call $mark (i32.const {at}))") } else { String::new() };
        let (enters, returned) = if who == Who::Front { (mark(0), mark(3)) } else { (mark(1), mark(2)) };
        let import = if self.is_marked { "(import \"\" \"mark\" (func $mark (param i32)))" } else { "" };
        format!(
            "  (core module $m (import \"\" \"h\" (func $h (param{lowered}) (result{lowered_results})))\n    \
             (import \"\" \"mem\" (memory 1)){imports}{import}\n    \
             (func $main (export \"h\") (param{lifted}) (result{lifted_results})\n      \
             {enters} {before} (call $h {args}) {returned} {drops} {returns}){post})\n",
            imports = self.imported_drops(),
            before = relay.before,
        )
    }

    fn imported_drops(&self) -> String {
        let import =
            |number: &u32| format!("\n    (import \"\" \"drop{number}\" (func $drop{number} (param i32)))");
        self.resources.iter().map(import).collect()
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
                let mut part = |before: &str, ty: &Option<ValType>, after: &str| {
                    let ty = ty.as_ref().map(|ty| self.spell(ty));
                    ty.map_or_else(String::new, |ty| format!(" {before}{ty}{after}"))
                };
                return format!("(result{}{})", part("", &result.ok, ""), part("(error ", &result.err, ")"));
            }
            ValType::Own(ty) => return format!("(own $r{})", self.resource(*ty)),
            ValType::Borrow(ty) => return format!("(borrow $r{})", self.resource(*ty)),
            ValType::Record(fields) => {
                let field = |field: &Field| format!(" (field \"{}\" {})", field.name, self.spell(&field.ty));
                format!("(record{})", fields.iter().map(field).collect::<String>())
            }
            ValType::Variant(cases) => {
                let case = |case: &Case| {
                    let ty = case.ty.as_ref().map(|ty| format!(" {}", self.spell(ty))).unwrap_or_default();
                    format!(" (case \"{}\"{ty})", case.name)
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

    /// The number of a host resource.
    fn resource(&mut self, ty: ResourceType) -> u32 {
        let number = ty.0 & !ResourceType::host(0).0;
        self.resources.insert(number);
        number
    }
}

/// Drops every parameter that is a borrow.
fn drops(ty: &FuncType, params: &Passing) -> String {
    let types = || ty.params.iter().map(|(_, ty)| ty);
    let mut flat = 0;
    let mut text = String::new();
    for (ty, offset) in types().zip(offsets(types())) {
        if let ValType::Borrow(resource) = ty {
            let number = resource.0 & !ResourceType::host(0).0;
            let handle = match params {
                Passing::Flat(_) => format!("(local.get {flat})"),
                Passing::Memory(_) => format!("(i32.load offset={offset} (local.get 0))"),
            };
            push(&mut text, format_args!(" (call $drop{number} {handle})"));
        }
        flat += flatten(ty).len();
    }
    text
}

/// A memory and a bump allocator that copies when something moves.
fn libc(relay: &Relay, imports: &str) -> String {
    let allocate = "(local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))\n        \
         (i32.sub (i32.const 0) (local.get 2))))\n      \
         (global.set $next (i32.add (local.get $at) (local.get 3)))\n      \
         (memory.copy (local.get $at) (local.get 0)\n        \
         (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))\n      \
         (local.get $at)";
    let (pages, body) = (relay.pages, relay.realloc.as_deref().unwrap_or(allocate));
    format!(
        "  (core module $libc{imports} (memory (export \"mem\") {pages})\n    \
         (global $next (mut i32) (i32.const {HEAP}))\n    \
         (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)\n      {body}))\n"
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

fn push(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("a string takes everything");
}
