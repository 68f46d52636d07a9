//! Carries out a script, directive by directive.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use abi::fault::{Fault, Trap};
use kernel::component::executable::Executable;
use kernel::instance::InstanceIndex;
use kernel::jit::library::Library;
use wast::component::WastVal;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};

use super::corevalue::CoreValue;
use super::coreworld::{CoreWorld, LoadError, Refusal};
use super::tally::{Tally, Verdict};
use super::treeworld::{Answer, Running, TreeWorld};
use super::{Options, constant, pattern, wording};

/// Runs the script `text`, whose file is `name`.
pub(super) fn run(name: &str, text: &str, options: &Options) -> Tally {
    let mut tally = Tally::new(name);
    let mut lexer = Lexer::new(text);
    // The suites test such names on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = match ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(error) => return unreadable(tally, text, &error),
    };
    match parser::parse::<Wast<'_>>(&buffer) {
        Err(error) => return unreadable(tally, text, &error),
        Ok(script) => match Script::new(text, options) {
            Err(got) => tally.add(1, "script", Verdict::Failed { expected: "an engine".to_owned(), got }),
            Ok(mut run) => run.directives(script.directives, &mut tally, 0),
        },
    }
    tally
}

fn unreadable(mut tally: Tally, text: &str, error: &wast::Error) -> Tally {
    let line = error.span().linecol_in(text).0 + 1;
    tally.add(line, "script", Verdict::Failed { expected: "a script".to_owned(), got: error.message() });
    tally
}

/// How many threads of a script may be around a directive.
const MAX_THREADS_DEEP: u32 = 8;

/// Why a directive does not pass.
enum Stop {
    /// What it is about failed before.
    Skip,
    /// It went another way than the script says.
    Mismatch { expected: String, got: String },
}

type Step<T> = Result<T, Stop>;

fn verdict(step: Step<()>) -> Verdict {
    match step {
        Ok(()) => Verdict::Passed,
        Err(Stop::Skip) => Verdict::Skipped,
        Err(Stop::Mismatch { expected, got }) => Verdict::Failed { expected, got },
    }
}

/// Waits for a thread and adds what came of its directives.
fn joined(thread: ScopedJoinHandle<'_, Tally>, tally: &mut Tally) -> Step<()> {
    match thread.join() {
        Ok(theirs) => {
            tally.absorb(theirs);
            Ok(())
        }
        Err(_) => mismatch("a thread that ends", "it panicked"),
    }
}

fn mismatch<T>(expected: impl Into<String>, got: impl Into<String>) -> Step<T> {
    Err(Stop::Mismatch { expected: expected.into(), got: got.into() })
}

/// What a module or component is before it is an instance.
#[derive(Clone)]
enum Definition {
    Core(Arc<Library>),
    Component(Arc<Executable>),
    /// It did not load; that is counted already.
    Broken,
}

/// An instance that actions can be about.
#[derive(Clone, Copy)]
enum Target<'a> {
    Core(InstanceIndex),
    /// What another thread shares under this name: it can be imported from, and no more.
    Shared(&'a str),
    Component(Running),
    Broken,
}

/// How an action ended.
enum Outcome {
    Values(Vec<CoreValue>),
    Answer(Answer),
    Instance,
    Fault(Fault),
}

struct Script<'a> {
    text: &'a str,
    core: CoreWorld,
    trees: TreeWorld,
    definitions: HashMap<Option<&'a str>, Definition>,
    instances: HashMap<&'a str, Target<'a>>,
    current: Option<Target<'a>>,
}

impl<'a> Script<'a> {
    fn new(text: &'a str, options: &Options) -> Result<Script<'a>, String> {
        let core = CoreWorld::new(options.features)?;
        let trees = TreeWorld::new(core.engine(), options.features);
        let (definitions, instances) = (HashMap::new(), HashMap::new());
        Ok(Script { text, core, trees, definitions, instances, current: None })
    }

    /// Carries out directives in order; `depth` says how many threads are around this one.
    fn directives(&mut self, directives: Vec<WastDirective<'a>>, tally: &mut Tally, depth: u32) {
        thread::scope(|scope| {
            let mut threads: HashMap<&str, ScopedJoinHandle<'_, Tally>> = HashMap::new();
            for directive in directives {
                let line = directive.span().linecol_in(self.text).0 + 1;
                let word = word(&directive);
                let step = match directive {
                    WastDirective::Thread(thread) if depth < MAX_THREADS_DEEP => {
                        let name = thread.name.name();
                        self.beside(&thread).map(|mut beside| {
                            let run = move || {
                                let mut tally = Tally::default();
                                beside.directives(thread.directives, &mut tally, depth + 1);
                                tally
                            };
                            threads.insert(name, scope.spawn(run));
                        })
                    }
                    WastDirective::Wait { thread, .. } => match threads.remove(thread.name()) {
                        Some(thread) => joined(thread, tally),
                        None => mismatch("a thread to wait for", format!("no thread `{}`", thread.name())),
                    },
                    directive => self.directive(directive),
                };
                tally.add(line, word, verdict(step));
            }
            for thread in threads.into_values() {
                if let Err(stop) = joined(thread, tally) {
                    tally.add(1, "thread", verdict(Err(stop)));
                }
            }
        });
    }

    /// A script for another thread: domains of its own, and what the thread's directive shares with it.
    fn beside(&self, thread: &WastThread<'a>) -> Step<Script<'a>> {
        let shared = match thread.shared_module.map(|id| id.name()) {
            None => None,
            Some(name) => match self.target(Some(name))? {
                Target::Core(instance) => Some((name, instance)),
                Target::Shared(_) => {
                    return mismatch("an instance of this thread to share", "another thread's");
                }
                Target::Component(_) => return mismatch("a core instance to share", "a component instance"),
                Target::Broken => return Err(Stop::Skip),
            },
        };
        let core = self.core.beside(shared).or_else(|got| mismatch("a domain", got))?;
        let trees = TreeWorld::new(core.engine(), core.engine().options().features);
        let definitions = self.definitions.clone();
        let instances = shared.into_iter().map(|(name, _)| (name, Target::Shared(name))).collect();
        Ok(Script { text: self.text, core, trees, definitions, instances, current: None })
    }

    fn directive(&mut self, directive: WastDirective<'a>) -> Step<()> {
        use WastDirective as D;
        match directive {
            D::Module(module) => self.module(module),
            D::ModuleDefinition(module) => self.definition(module),
            D::ModuleInstance { instance, module, .. } => {
                let key = module.map(|id| id.name());
                let Some(definition) = self.definitions.get(&key).cloned() else {
                    return mismatch("a module defined before", format!("no definition {key:?}"));
                };
                self.instance(instance.map(|id| id.name()), &definition)
            }
            D::Register { name, module, .. } => match self.target(module.map(|id| id.name()))? {
                Target::Core(instance) => {
                    self.core.register(name, instance);
                    Ok(())
                }
                Target::Shared(given) => {
                    self.core.register_given(name, given);
                    Ok(())
                }
                Target::Component(_) => {
                    mismatch("a core instance", "a component instance: only core ones register")
                }
                Target::Broken => Err(Stop::Skip),
            },
            D::Invoke(invoke) => match self.invoke(&invoke)? {
                Outcome::Fault(fault) => mismatch("no trap", told(&fault)),
                _ => Ok(()),
            },
            D::AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            D::AssertTrap { exec, message, .. } => {
                let outcome = self.execute(exec)?;
                assert_trap(outcome, message)
            }
            D::AssertExhaustion { call, message, .. } => {
                let outcome = self.invoke(&call)?;
                assert_trap(outcome, message)
            }
            D::AssertException { exec, .. } => match self.execute(exec)? {
                Outcome::Fault(fault) if fault.trap == Trap::UncaughtException => Ok(()),
                outcome => mismatch("an exception", outcome.told()),
            },
            D::AssertMalformed { module, message, .. } | D::AssertInvalid { module, message, .. } => {
                self.assert_refused(module, message)
            }
            D::AssertMalformedCustom { mut module, .. } | D::AssertInvalidCustom { mut module, .. } => {
                match module.encode() {
                    Ok(_) => mismatch("an annotation that cannot be read", "it was read"),
                    Err(_) => Ok(()),
                }
            }
            D::AssertUnlinkable { module, message, .. } => self.assert_unlinkable(module, message),
            D::AssertSuspension { .. } => mismatch("stack switching", "not supported"),
            D::Thread(_) | D::Wait { .. } => {
                mismatch(format!("threads at most {MAX_THREADS_DEEP} deep"), "one deeper")
            }
        }
    }

    fn module(&mut self, module: QuoteWat<'a>) -> Step<()> {
        let name = module.name().map(|id| id.name());
        // Whatever comes of it, the instance before is not the current one any more.
        self.current = Some(Target::Broken);
        if let Some(name) = name {
            self.instances.insert(name, Target::Broken);
        }
        let definition = self.load(module).or_else(refused)?;
        self.instance(name, &definition)
    }

    fn definition(&mut self, module: QuoteWat<'a>) -> Step<()> {
        let name = module.name().map(|id| id.name());
        let loaded = self.load(module);
        let definition = loaded.as_ref().map_or(Definition::Broken, Definition::clone);
        self.definitions.insert(None, definition.clone());
        if name.is_some() {
            self.definitions.insert(name, definition);
        }
        loaded.map(|_| ()).or_else(refused)
    }

    /// Encodes, validates and compiles.
    fn load(&self, mut module: QuoteWat<'a>) -> Result<Definition, Refusal> {
        let bytes = module.encode().map_err(|error| Refusal::Invalid(error.message()))?;

        // The layer field of the preamble tells components from modules; what is neither is the core loader's to refuse.
        if bytes.get(4..8) == Some(&[0x0d, 0, 1, 0]) {
            self.trees.load(&bytes).map(|executable| Definition::Component(Arc::new(executable)))
        } else {
            self.core.load(&bytes).map(Definition::Core)
        }
    }

    fn instance(&mut self, name: Option<&'a str>, definition: &Definition) -> Step<()> {
        self.current = Some(Target::Broken);
        let target = match self.instantiate(definition)? {
            Ok(target) => target,
            Err(LoadError::Fault(fault)) => return mismatch("an instance", told(&fault)),
            Err(LoadError::Link(got)) => return mismatch("an instance", got),
        };
        self.current = Some(target);
        if let Some(name) = name {
            self.instances.insert(name, target);
            match target {
                Target::Core(instance) => self.core.register(name, instance),
                Target::Component(running) => self.trees.register(name, running),
                Target::Shared(_) | Target::Broken => {}
            }
        }
        Ok(())
    }

    fn instantiate(&mut self, definition: &Definition) -> Step<Result<Target<'a>, LoadError>> {
        match definition {
            Definition::Core(library) => Ok(self.core.instantiate(library).map(Target::Core)),
            Definition::Component(executable) => Ok(self.trees.launch(executable).map(Target::Component)),
            Definition::Broken => Err(Stop::Skip),
        }
    }

    fn target(&self, name: Option<&str>) -> Step<Target<'a>> {
        let target = match name {
            None => self.current,
            Some(name) => self.instances.get(name).copied(),
        };
        match target {
            None => mismatch("an instance", "there is none yet"),
            Some(target) => Ok(target),
        }
    }

    fn execute(&mut self, exec: WastExecute<'a>) -> Step<Outcome> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Get { module, global, .. } => match self.target(module.map(|id| id.name()))? {
                Target::Core(instance) => match self.core.global(instance, global) {
                    Ok(value) => Ok(Outcome::Values(vec![value])),
                    Err(got) => mismatch("a global", got),
                },
                Target::Component(_) => mismatch("a global", "a component exports none"),
                Target::Shared(_) => mismatch("an instance of this thread", "another thread's"),
                Target::Broken => Err(Stop::Skip),
            },
            WastExecute::Wat(wat) => {
                let definition = self.load(QuoteWat::Wat(wat)).or_else(refused)?;
                match self.instantiate(&definition)? {
                    Ok(_) => Ok(Outcome::Instance),
                    Err(LoadError::Fault(fault)) => Ok(Outcome::Fault(fault)),
                    Err(LoadError::Link(got)) => mismatch("an instance", got),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'a>) -> Step<Outcome> {
        match self.target(invoke.module.map(|id| id.name()))? {
            Target::Core(instance) => {
                let args = core_args(&invoke.args)?;
                match self.core.invoke(instance, invoke.name, &args) {
                    Ok(Ok(values)) => Ok(Outcome::Values(values)),
                    Ok(Err(fault)) => Ok(Outcome::Fault(fault)),
                    Err(got) => mismatch(format!("a function `{}`", invoke.name), got),
                }
            }
            Target::Component(running) => {
                let args = component_args(&invoke.args)?;
                match self.trees.invoke(running, invoke.name, &args) {
                    Ok(Ok(answer)) => Ok(Outcome::Answer(answer)),
                    Ok(Err(fault)) => Ok(Outcome::Fault(fault)),
                    Err(got) => mismatch(format!("a function `{}`", invoke.name), got),
                }
            }
            Target::Shared(_) => mismatch("an instance of this thread", "another thread's"),
            Target::Broken => Err(Stop::Skip),
        }
    }

    fn assert_return(&mut self, exec: WastExecute<'a>, results: &[WastRet<'a>]) -> Step<()> {
        match self.execute(exec)? {
            Outcome::Fault(fault) => mismatch(expected_results(results), told(&fault)),
            Outcome::Instance => Ok(()),
            Outcome::Values(values) => {
                let fits = |(value, result): (&CoreValue, &WastRet<'_>)| match result {
                    WastRet::Core(expected) => pattern::matches(*value, expected),
                    _ => false,
                };
                if values.len() == results.len() && values.iter().zip(results).all(fits) {
                    return Ok(());
                }
                mismatch(expected_results(results), values_told(&values))
            }
            Outcome::Answer(answer) => {
                let expected = component_args(results)?;
                let fits = match (&*expected, &answer.0) {
                    ([], None) => true,
                    ([expected], Some((ty, value))) => {
                        constant::value(expected, ty).is_ok_and(|expected| constant::same(&expected, value))
                    }
                    _ => false,
                };
                if fits { Ok(()) } else { mismatch(expected_results(results), answer.to_string()) }
            }
        }
    }

    /// The texts of the core suite are the reference interpreter's, so only a component's are compared.
    fn assert_refused(&mut self, module: QuoteWat<'a>, message: &str) -> Step<()> {
        let component = matches!(module, QuoteWat::QuoteComponent(..) | QuoteWat::Wat(Wat::Component(_)));
        match self.load(module) {
            Err(Refusal::Invalid(got)) if !component || got.contains(message) => Ok(()),
            Err(Refusal::Invalid(got) | Refusal::Unsupported(got)) => {
                mismatch(format!("an error: {message}"), got)
            }
            Ok(_) => mismatch(format!("an error: {message}"), "it loads"),
        }
    }

    fn assert_unlinkable(&mut self, module: Wat<'a>, message: &str) -> Step<()> {
        let definition = self.load(QuoteWat::Wat(module)).or_else(refused)?;
        match self.instantiate(&definition)? {
            Ok(_) => mismatch(format!("a link error: {message}"), "it links"),
            Err(LoadError::Link(got)) if wording::link_matches(&got, message) => Ok(()),
            Err(LoadError::Link(got)) => mismatch(format!("a link error: {message}"), got),
            Err(LoadError::Fault(fault)) => mismatch(format!("a link error: {message}"), told(&fault)),
        }
    }
}

fn refused<T>(refusal: Refusal) -> Step<T> {
    let (Refusal::Invalid(got) | Refusal::Unsupported(got)) = refusal;
    mismatch("a module that loads", got)
}

fn assert_trap(outcome: Outcome, message: &str) -> Step<()> {
    match outcome {
        Outcome::Fault(fault) if wording::trap_matches(&fault.trap.to_string(), message) => Ok(()),
        outcome => mismatch(format!("a trap: {message}"), outcome.told()),
    }
}

fn core_args(args: &[WastArg<'_>]) -> Step<Vec<CoreValue>> {
    let one = |arg: &WastArg<'_>| match arg {
        WastArg::Core(arg) => CoreValue::from_arg(arg).or_else(|got| mismatch("an argument", got)),
        other => mismatch("a core value", format!("{other:?}")),
    };
    args.iter().map(one).collect()
}

/// What can be a component value: an argument or an expected result.
trait Constant<'a> {
    fn constant(&self) -> Option<&WastVal<'a>>;
}

impl<'a> Constant<'a> for WastArg<'a> {
    fn constant(&self) -> Option<&WastVal<'a>> {
        if let WastArg::Component(value) = self { Some(value) } else { None }
    }
}

impl<'a> Constant<'a> for WastRet<'a> {
    fn constant(&self) -> Option<&WastVal<'a>> {
        if let WastRet::Component(value) = self { Some(value) } else { None }
    }
}

fn component_args<'s, 'a>(args: &'s [impl Constant<'a>]) -> Step<Vec<&'s WastVal<'a>>> {
    let one = |arg: &'s _| Constant::constant(arg);
    match args.iter().map(one).collect() {
        Some(values) => Ok(values),
        None => mismatch("component values", "a core value"),
    }
}

impl Outcome {
    fn told(&self) -> String {
        match self {
            Outcome::Values(values) => values_told(values),
            Outcome::Answer(answer) => answer.to_string(),
            Outcome::Instance => "an instance".to_owned(),
            Outcome::Fault(fault) => told(fault),
        }
    }
}

fn told(fault: &Fault) -> String {
    format!("a trap: {fault}")
}

fn values_told(values: &[CoreValue]) -> String {
    if values.is_empty() {
        return "no value".to_owned();
    }
    values.iter().map(CoreValue::to_string).collect::<Vec<_>>().join(" ")
}

fn expected_results(results: &[WastRet<'_>]) -> String {
    let show = |result: &WastRet<'_>| match result {
        WastRet::Core(expected) => pattern::show(expected),
        WastRet::Component(value) => format!("{value:?}"),
        other => format!("{other:?}"),
    };
    if results.is_empty() {
        "no value".to_owned()
    } else {
        results.iter().map(show).collect::<Vec<_>>().join(" ")
    }
}

/// The first word of a directive.
fn word(directive: &WastDirective<'_>) -> &'static str {
    use WastDirective as D;
    match directive {
        D::Module(_) => "module",
        D::ModuleDefinition(_) => "definition",
        D::ModuleInstance { .. } => "instance",
        D::AssertMalformed { .. } => "assert_malformed",
        D::AssertInvalid { .. } => "assert_invalid",
        D::AssertInvalidCustom { .. } => "assert_invalid_custom",
        D::AssertMalformedCustom { .. } => "assert_malformed_custom",
        D::Register { .. } => "register",
        D::Invoke(_) => "invoke",
        D::AssertTrap { .. } => "assert_trap",
        D::AssertReturn { .. } => "assert_return",
        D::AssertExhaustion { .. } => "assert_exhaustion",
        D::AssertUnlinkable { .. } => "assert_unlinkable",
        D::AssertException { .. } => "assert_exception",
        D::AssertSuspension { .. } => "assert_suspension",
        D::Thread(_) => "thread",
        D::Wait { .. } => "wait",
    }
}
