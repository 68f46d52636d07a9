//! Taps: what is done when a call over a watched edge begins and when it ends.
//!
//! An adapter that reports its calls tells where they begin and where they return. Those that do not return are found
//! where the kernel called the guest: what was begun since then has ended with the fault.

use abi::fault::Fault;
use abi::peek;
use abi::plan::{Endpoint, Passing};
use abi::types::FuncType;
use abi::value::Value;

use super::super::linked::{ExportedFunc, LinkedDomain};
use super::super::running::Running;
use super::edge_tally::Begun;
use super::feed::{CallEvent, Outcome};
use super::known_edge::Way;
use super::peeking::Peeking;
use super::watcher::mode;
use crate::domain::Domain;
use crate::jit::fuse::spec::AdapterSpec;
use crate::limits::TRACED_CHARS;
use crate::sched::park::now_ns;

/// A call over a watched edge that has not ended.
#[derive(Debug)]
pub(in super::super) struct OpenTap {
    edge: Option<u32>,
    /// Where it is counted here: the kernel counts the calls that it carries by itself.
    counted: Option<Begun>,
    traced: Option<Traced>,
}

/// A call that is going to be told.
#[derive(Debug)]
struct Traced {
    began_ns: u64,
    args: String,
}

/// What is known of an adapter's call.
struct Known<'p> {
    caller: &'p Endpoint,
    ty: &'p FuncType,
    params: &'p Passing,
    results: &'p Passing,
}

fn known(program: &LinkedDomain, adapter: u32) -> Option<Known<'_>> {
    match program.specs.get(adapter as usize)? {
        AdapterSpec::Call { plan, .. } => {
            let abi::plan::Plan { caller, ty, params, results, .. } = plan;
            Some(Known { caller, ty, params, results })
        }
        AdapterSpec::Host { import, .. } => {
            let import = program.imports.get(*import as usize)?;
            let (params, results) = (&import.params, &import.results);
            Some(Known { caller: &import.caller, ty: &import.ty, params, results })
        }
        _ => None,
    }
}

/// A call of an adapter begins; `params` are its core parameters.
pub(in super::super) fn begin(domain: &mut Domain, adapter: u32, params: &[u64]) {
    let running = Running::of(domain);
    let program = running.program();
    let edge = program.edges.get(adapter as usize).copied().flatten();
    let open = edge.map(|edge| {
        let fused = running.linked.edges.get(edge as usize).is_some_and(|known| known.way == Way::Fused);
        let traced = (running.tallies[edge as usize].mode() & mode::TRACE != 0).then(|| {
            let look = |known: Known<'_>| {
                let mut side = Peeking { domain, endpoint: known.caller };
                peek::params(&mut side, known.ty, known.params, params, TRACED_CHARS)
            };
            let args = known(program, adapter).map_or_else(String::new, look);
            // Last, so that looking at the arguments is not in it.
            Traced { began_ns: now_ns(), args }
        });
        let counted = fused.then(|| running.tallies[edge as usize].begin());
        OpenTap { edge: Some(edge), counted, traced }
    });
    let open = open.unwrap_or(OpenTap { edge: None, counted: None, traced: None });
    Running::of_mut(domain).taps.push(open);
}

/// It returns; `results` are its core results.
pub(in super::super) fn end(domain: &mut Domain, adapter: u32, params: &[u64], results: &[u64]) {
    let Some(open) = Running::of_mut(domain).taps.pop() else { return };
    // First, so that looking at the result is not in it; a call that is only counted needs no time.
    let now_ns = open.traced.as_ref().map_or(0, |_| now_ns());
    let running = Running::of(domain);
    let outcome = || {
        let known = known(running.program(), adapter)?;
        let core = match known.results {
            Passing::Flat(_) => results,
            // The pointer to where the caller wants its result is behind its parameters.
            Passing::Memory(_) => match known.params {
                Passing::Flat(flat) => params.get(flat.len()..).unwrap_or_default(),
                Passing::Memory(_) => params.get(1..).unwrap_or_default(),
            },
        };
        let mut side = Peeking { domain, endpoint: known.caller };
        peek::result(&mut side, known.ty, known.results, core, TRACED_CHARS)
    };
    close(running, open, now_ns, false, || Outcome::Returned(outcome().map(String::into_boxed_str)));
}

/// A fault has ended all calls but the outer `depth` ones.
#[inline]
pub(in super::super) fn unwind(domain: &mut Domain, depth: usize, fault: &Fault) {
    if Running::of(domain).taps.len() > depth {
        unwind_some(domain, depth, fault);
    }
}

#[cold]
fn unwind_some(domain: &mut Domain, depth: usize, fault: &Fault) {
    let now_ns = now_ns();
    for open in Running::of_mut(domain).taps.split_off(depth).into_iter().rev() {
        close(Running::of(domain), open, now_ns, true, || trapped(fault));
    }
}

fn close(running: &Running, open: OpenTap, now_ns: u64, failed: bool, outcome: impl FnOnce() -> Outcome) {
    let Some(edge) = open.edge else { return };
    if let Some(begun) = open.counted {
        running.tallies[edge as usize].end(begun, failed);
    }
    if let Some(Traced { began_ns, args }) = open.traced {
        let took_ns = now_ns.saturating_sub(began_ns);
        let (args, outcome) = (args.into_boxed_str(), outcome());
        running.watch.tell(CallEvent { edge, began_ns, took_ns, args, outcome });
    }
}

fn trapped(fault: &Fault) -> Outcome {
    Outcome::Trapped(peek::cut(&fault.trap.to_string(), TRACED_CHARS).into())
}

/// Runs a call from the host, and tells it if somebody wants to know.
pub(in super::super) fn entered(
    domain: &mut Domain,
    func: &ExportedFunc,
    args: &[Value],
    work: impl FnOnce(&mut Domain) -> Result<Option<Value>, Fault>,
) -> Result<Option<Value>, Fault> {
    let traced =
        func.edge.filter(|edge| Running::of(domain).tallies[*edge as usize].mode() & mode::TRACE != 0);
    let Some(edge) = traced else { return work(domain) };
    let args = peek::given(&func.ty, args, TRACED_CHARS).into_boxed_str();
    let began_ns = now_ns();
    let result = work(domain);
    let took_ns = now_ns().saturating_sub(began_ns);
    let outcome = match &result {
        Ok(value) => {
            let text = peek::returned(&func.ty, value.as_ref(), TRACED_CHARS);
            Outcome::Returned(text.map(String::into_boxed_str))
        }
        Err(fault) => trapped(fault),
    };
    Running::of(domain).watch.tell(CallEvent { edge, began_ns, took_ns, args, outcome });
    result
}
