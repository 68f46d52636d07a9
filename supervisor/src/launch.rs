//! `atoll run`: loads a file, grants what the person grants, runs it.

use std::path::Path;
use std::sync::Arc;

use abi::fault::Trap;
use abi::value::Value;
use abi::wave;
use kernel::component::error::LinkError;
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::component::linked::{Export, ExportedFunc, Linked, Provider};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use servers::{Origin, Preopen, Wasi};

use crate::args::Run;
use crate::callable::{self, Callable};
use crate::complaint::Complaint;
use crate::confine::Boundaries;
use crate::console::{Paints, Trouble, print, tree_name};
use crate::control::listening::ControlSocket;
use crate::control::scraping;
use crate::exit_code::Exit;
use crate::fuzz::finding::invoked;
use crate::fuzz::held::{Did, Held};
use crate::fuzz::steps::Step;
use crate::fuzz::surface::Surface;
use crate::live::Live;
use crate::paint::Paint;
use crate::program::{Content, Program};
use crate::progress::Progress;
use crate::spans::Spans;
use crate::steward::Steward;
use crate::unsupervised::Unsupervised;
use crate::{blame, ending, image_file, survey, treetext};

/// Runs a command, or calls one function.
///
/// # Errors
/// The file cannot be run, or the guest faulted.
pub fn run(args: &Run, paints: Paints) -> Result<Exit, Trouble> {
    let (file, guest_args) = args.program.split_first().expect("clap requires FILE");
    if file.as_encoded_bytes().starts_with(b"-") {
        let what = format!("unknown option `{}`", file.display());
        return Err(Complaint::new(Exit::Usage, what)
            .advise("options go before FILE; see `atoll run --help`")
            .into());
    }
    if !args.invokes.is_empty() && !guest_args.is_empty() {
        let complaint =
            Complaint::new(Exit::Usage, "--invoke takes its arguments in parentheses, not after FILE");
        return Err(complaint.advise("for example: --invoke 'area(circle(2.5))'").into());
    }
    let invokes = invoked(&args.invokes)?;
    let source = Program::read(Path::new(file))?;
    let engine = engine()?;
    let linked = Arc::new(link(&source.path, &executable(&engine, &source)?, &args.confines.boundaries)?);
    args.confines.limits.check(&linked)?;
    // What is asked for is looked up before anything runs.
    let entry = match invokes.as_slice() {
        [] => Entry::command(&source.path, &linked)?,
        [call] => Entry::invoked(&source.path, &linked, call)?,
        calls => Entry::several(&source.path, &linked, calls)?,
    };
    let wasi = wasi(&source.name, args, guest_args, &linked)?;
    let mut left = None;
    let live = Live::start(&engine, &source.path, linked, wasi, &args.confines);
    let outcome = live.and_then(|live| {
        let steward: Arc<dyn Steward> = Arc::<Unsupervised>::clone(live.steward());
        let socket = ControlSocket::open(&steward, |note| eprintln!("note: {note}"));
        if let Some(address) = args.metrics {
            eprintln!("note: meters are at http://{}/metrics", scraping::serve_tree(address, &steward)?);
        }
        let spans = Spans::begin(&args.spans, &steward)?;
        let outcome = attend(args, &source.path, entry, &live, paints);
        left = args.report.is_some().then(|| (survey::view(&source.path, live.tree()), live.used()));
        drop((spans, socket));
        live.leave();
        outcome
    });
    if let Some(file) = &args.report {
        ending::write(file, &outcome, left.as_ref())?;
    }
    outcome
}

/// Makes the calls, and shows the tree before and after a fault.
fn attend(args: &Run, path: &str, entry: Entry, live: &Live, paints: Paints) -> Result<Exit, Trouble> {
    let show = || {
        if args.tree {
            eprint!("{}", treetext::render(&survey::view(path, live.tree()), paints.err));
        }
    };
    show();
    let outcome = entry.call(live, paints.err);
    let exit = match &outcome {
        Ok(exit) => *exit,
        Err(trouble) => trouble.exit(),
    };
    if exit == Exit::Fault {
        show();
    }
    outcome
}

/// The compiler.
///
/// # Errors
/// It does not know this machine.
pub fn engine() -> Result<Engine, Complaint> {
    Engine::new().map_err(|error| Complaint::new(Exit::Failed, "no compiler").because(error))
}

/// Compiles a file, or takes what was compiled before.
///
/// # Errors
/// It is invalid, unsupported, or a stale image.
pub fn executable(engine: &Engine, source: &Program) -> Result<Executable, Complaint> {
    match &source.content {
        Content::Component(bytes) => {
            let _progress = Progress::of(&format!("compiling {}", source.name));
            parse(engine, &source.path, bytes)
        }
        Content::Image(bytes) => image_file::load(engine, &source.path, bytes),
    }
}

/// Parses and compiles a component.
///
/// # Errors
/// It is invalid or unsupported.
pub fn parse(engine: &Engine, path: &str, bytes: &[u8]) -> Result<Executable, Complaint> {
    Executable::parse(engine, bytes).map_err(|error| {
        // Its text has that of its source in it already.
        Complaint::refused(format!("{path}: cannot be loaded"))
            .reason(error)
            .advise("offsets are bytes from the beginning of the binary component")
    })
}

/// Links an executable to the system servers.
///
/// # Errors
/// Nobody provides an import, or there is no such boundary.
pub fn link(path: &str, executable: &Executable, boundaries: &Boundaries) -> Result<Linked, Complaint> {
    let linked =
        executable.link(&offers(), &boundaries.link_options(tree_name(path))).map_err(
            |error| match error {
                LinkError::Missing { kind, name } => missing(path, executable, kind, &name),
                error => Complaint::refused(format!("{path}: cannot be linked")).because(error),
            },
        )?;
    boundaries.check(&linked)?;
    Ok(linked)
}

/// What the host offers: WASI.
#[must_use]
pub fn offers() -> Imports {
    let mut imports = Imports::default();
    servers::register(&mut imports);
    imports
}

/// A complaint that names every import that nobody offers, not only the first.
fn missing(path: &str, executable: &Executable, kind: &str, first: &str) -> Complaint {
    let lenient = LinkOptions { missing_is_fault: true, ..LinkOptions::new(tree_name(path)) };
    let mut names = Vec::new();
    if let Ok(linked) = executable.link(&offers(), &lenient) {
        let imports = linked.processes().iter().take(1).flat_map(|root| root.imports.clone());
        let unmet = imports.filter(|(_, provider, _)| *provider == Provider::Missing);
        names.extend(unmet.map(|(name, _, _)| format!("`{name}`")));
    }
    let first = format!("{kind} `{first}`");
    let what = match names.len() {
        0 | 1 => format!("{path}: nobody provides the import {first}"),
        count => format!("{path}: nobody provides {count} of its imports: {}", names.join(", ")),
    };
    Complaint::refused(what)
        .advise(format!("`atoll tree {path}` shows every import and who provides it"))
        .advise(
            "the system serves WASI 0.2 (`wasi:…@0.2.x`); anything else must be composed into the component",
        )
}

/// What the guest may see and reach.
fn wasi(
    name: &str,
    args: &Run,
    guest_args: &[std::ffi::OsString],
    linked: &Linked,
) -> Result<Wasi, Complaint> {
    let mut builder =
        Wasi::builder().named_as_in(linked).origin(Origin::CommandLine).inherit_stdio().args([name]);
    builder = builder.network(args.network.network());
    builder = builder.args(guest_args.iter().map(|arg| arg.to_string_lossy().into_owned()));
    if args.inherit_env {
        for (key, value) in std::env::vars_os() {
            builder = builder.env(key.to_string_lossy(), value.to_string_lossy());
        }
    }
    for var in &args.vars {
        builder = builder.env(&var.key, &var.value);
    }
    for dir in &args.dirs {
        let preopen = Preopen { host: dir.host.clone(), guest: dir.guest.clone(), read_only: dir.read_only };
        builder = builder.preopen(preopen);
    }
    builder.build().map_err(|error| {
        Complaint::new(Exit::Failed, "a grant cannot be given")
            .because(error)
            .advise("--dir names a folder that exists")
    })
}

/// Every function that a linked component exports.
#[must_use]
pub fn callables(linked: &Linked) -> Vec<Callable> {
    let mut found = Vec::new();
    for (name, export) in linked.exports() {
        match export {
            Export::Func(func) => {
                found.push(Callable { interface: None, name: name.to_string(), ty: Arc::clone(&func.ty) });
            }
            Export::Instance(exports) => found.extend(exports.iter().filter_map(|(inner, export)| {
                let Export::Func(func) = export else { return None };
                let ty = Arc::clone(&func.ty);
                Some(Callable { interface: Some(name.to_string()), name: inner.to_string(), ty })
            })),
            _ => {}
        }
    }
    found
}

/// An exported function by its name, with arguments in WAVE. `asked_by` is where the text comes from.
///
/// # Errors
/// There is no such function, or the arguments are not its.
pub fn invocation(
    path: &str,
    linked: &Linked,
    call: &str,
    asked_by: &str,
) -> Result<(Arc<ExportedFunc>, Vec<Value>), Complaint> {
    let callables = callables(linked);
    let (name, args) = match wave::split_call(call) {
        Ok((name, args)) => (name, args),
        // A bare name calls a function without arguments.
        Err(_) => (call.trim(), "()"),
    };
    let callable = callable::find(path, &callables, name)?;
    let args = wave::parse_args(&callable.ty, args).map_err(|error| {
        Complaint::new(Exit::Usage, format!("{asked_by}: arguments of `{}`", callable.full_name()))
            .because(error)
            .advise("values are written in WAVE; `atoll run --help` has examples")
    })?;
    let instance = callable.interface.as_deref().and_then(|name| linked.exports().get(name));
    let export = match instance {
        Some(Export::Instance(exports)) => exports.get(&*callable.name),
        _ => linked.exports().get(&*callable.name),
    };
    let Some(Export::Func(func)) = export else { unreachable!("callables come from the same exports") };
    Ok((Arc::new(func.clone()), args))
}

/// What is called, and with what.
enum Entry {
    Command(Arc<ExportedFunc>),
    Invoked(Arc<ExportedFunc>, Vec<Value>),
    Several(Surface, Vec<Step>),
}

impl Entry {
    /// `wasi:cli/run`.
    fn command(path: &str, linked: &Linked) -> Result<Entry, Complaint> {
        let run = linked.exports().iter().find_map(|(name, export)| match export {
            Export::Instance(exports) if name.starts_with("wasi:cli/run@0.2.") => exports.get("run"),
            _ => None,
        });
        match run {
            Some(Export::Func(func)) => Ok(Entry::Command(Arc::new(func.clone()))),
            _ => Err(Complaint::refused(format!(
                "{path}: no command: it does not export `wasi:cli/run@0.2.x`"
            ))
            .reason(callable::list(&callables(linked)))
            .advise("call one of its functions with --invoke 'NAME(ARGUMENTS)'")),
        }
    }

    /// A function by its name, with arguments in WAVE.
    fn invoked(path: &str, linked: &Linked, call: &str) -> Result<Entry, Complaint> {
        let (func, args) = invocation(path, linked, call, "--invoke")?;
        Ok(Entry::Invoked(func, args))
    }

    /// Calls in order; a later one can take resources that an earlier one brought.
    fn several(path: &str, linked: &Linked, calls: &[String]) -> Result<Entry, Complaint> {
        let surface = Surface::of(path, linked, &[])?;
        let steps = calls.iter().map(|call| {
            Step::parse(&surface, call).map_err(|error| {
                Complaint::new(Exit::Usage, format!("--invoke '{call}'"))
                    .because(error)
                    .advise("several calls are named in full: INTERFACE@VERSION#FUNCTION(…)")
            })
        });
        let steps = steps.collect::<Result<_, _>>()?;
        Ok(Entry::Several(surface, steps))
    }

    fn call(self, live: &Live, paint: Paint) -> Result<Exit, Trouble> {
        let (func, args, is_command) = match self {
            Entry::Command(func) => (func, Vec::new(), true),
            Entry::Invoked(func, args) => (func, args, false),
            Entry::Several(surface, steps) => return perform(live, &surface, &steps, paint),
        };
        let result = live.call(&func, args);
        // Whatever came of it: a caller that survives failed calls may have had one to a process that the signal ended first.
        if let Some(exit) = live.interrupted() {
            return Ok(exit);
        }
        let result =
            result.map_err(|fault| Trouble::Fault { fault: Box::new(fault), aftermath: live.aftermath() })?;
        match result {
            Some(Value::Result(Err(_))) if is_command => Ok(Exit::Guest(1)),
            Some(value) if !is_command => {
                let ty = func.ty.result.as_ref().expect("a function with a result has its type");
                print(&(wave::print(ty, &value) + "\n"))
            }
            _ => Ok(Exit::Success),
        }
    }
}

/// Makes calls in order and prints what each returned. A fault ends some processes; the others are called still.
fn perform(live: &Live, surface: &Surface, steps: &[Step], paint: Paint) -> Result<Exit, Trouble> {
    let (mut held, mut exit) = (Held::default(), Exit::Success);
    for step in steps {
        let did = held.perform(&mut &*live, surface, step);
        if let Some(exit) = live.interrupted() {
            return Ok(exit);
        }
        let did = match did {
            Ok(did) => did,
            Err(fault) => {
                let aftermath = live.aftermath();
                if let Trap::Exit(_) = fault.trap {
                    return Err(Trouble::Fault { fault: Box::new(fault), aftermath });
                }
                eprint!("{}", blame::render(&fault, &aftermath, paint));
                exit = Exit::Fault;
                continue;
            }
        };
        match (did, step) {
            (Did::Returned(Some(value)), Step::Call { entry, .. }) => {
                let ty = surface.entries[*entry].ty().result.as_ref();
                let ty = ty.expect("a function with a result has its type");
                print(&(wave::print(ty, &value) + "\n"))?;
            }
            (Did::Returned(_), _) => {}
            (Did::Nothing, step) => {
                let what = format!("--invoke '{}': there is no such resource", step.print(surface));
                return Err(Complaint::new(Exit::Usage, what).into());
            }
        }
    }
    Ok(exit)
}
