//! Edges and traced calls of a tree, as they are sent to a console.

use std::time::{Duration, Instant};

use abi::control::call_line::{self, CallLine};
use abi::control::edge_row::{EdgeRow, Latency};
use ipc::edge_glob::EdgeGlob;
use ipc::edges::{self, End};
use ipc::launched::Launched;
use ipc::traced::{Trace, TracedCall};
use kernel::component::observe::edge_view::Counted;
use kernel::component::observe::feed::Outcome;

use super::patience::Line;
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::{EDGES_AT_ONCE, TRACED_CALLS};

/// How long one step of waiting takes, after which the client may have hung up.
const STEP: Duration = Duration::from_millis(100);
/// The longest that a request may wait for a call.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The edges of a tree; of very many, those that are used most.
#[must_use]
pub fn edges(launched: &Launched) -> Vec<EdgeRow> {
    let mut rows = launched.edges();
    if rows.len() > EDGES_AT_ONCE {
        rows.sort_by_key(|row| std::cmp::Reverse(row.calls));
        rows.truncate(EDGES_AT_ONCE);
    }
    rows.iter().map(edge_row).collect()
}

/// The edges that lead to a process and from it.
#[must_use]
pub fn edges_of(launched: &Launched, path: &str) -> Vec<EdgeRow> {
    launched.edges().iter().filter(|row| touches(row, path)).take(EDGES_AT_ONCE).map(edge_row).collect()
}

fn touches(row: &edges::EdgeRow, wanted: &str) -> bool {
    [&row.caller, &row.callee]
        .into_iter()
        .any(|end| matches!(end, End::Process { path, .. } if path == wanted))
}

fn edge_row(row: &edges::EdgeRow) -> EdgeRow {
    EdgeRow {
        caller: row.caller.to_string(),
        callee: row.callee.to_string(),
        function: row.function.clone(),
        rung: row.rung.to_string(),
        calls: (row.counted != Counted::Unwatched).then_some(row.calls),
        failures: row.failures,
        latency: row.latency.map(|of| Latency {
            samples: of.samples,
            p50_ns: of.p50_ns,
            p90_ns: of.p90_ns,
            p99_ns: of.p99_ns,
            max_ns: of.max_ns,
        }),
    }
}

/// Begins to trace the edges of one process or of all, those that fit a pattern; gives them too.
///
/// # Errors
/// There is no room for the code that reports calls.
pub fn begin(
    launched: &Launched,
    path: Option<&str>,
    edge: Option<&str>,
    only_count: bool,
) -> Result<(Trace, Vec<EdgeRow>), Complaint> {
    let glob = edge.map(EdgeGlob::new);
    let chosen = |row: &edges::EdgeRow| {
        path.is_none_or(|path| touches(row, path)) && glob.as_ref().is_none_or(|glob| glob.matches(row))
    };
    let trace = if only_count { launched.count(chosen) } else { launched.trace(chosen, TRACED_CALLS) };
    let trace =
        trace.map_err(|error| Complaint::new(Exit::Failed, "calls cannot be traced").because(error))?;
    let rows = launched.edges();
    let rows = rows.iter().filter(|row| chosen(row)).take(EDGES_AT_ONCE).map(edge_row).collect();
    Ok((trace, rows))
}

/// The calls that were traced since the last time; waits for the first.
#[must_use]
pub fn read(trace: &Trace, wait: Duration, line: &mut dyn Line) -> Vec<CallLine> {
    let until = Instant::now() + wait.min(LONGEST_WAIT);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let calls = trace.wait(left.min(STEP));
        if !calls.is_empty() || left.is_zero() || line.has_hung_up() {
            return calls.into_iter().map(call_line).collect();
        }
    }
}

fn call_line(call: TracedCall) -> CallLine {
    CallLine {
        began_ns: call.began_unix_ns,
        caller: call.edge.caller.to_string(),
        callee: call.edge.callee.to_string(),
        function: call.edge.function.clone(),
        arguments: call.args.into(),
        outcome: match call.outcome {
            Outcome::Returned(value) => call_line::Outcome::Returned(value.map(Into::into)),
            Outcome::Trapped(why) => call_line::Outcome::Trapped(why.into()),
        },
        took_ns: call.took_ns,
    }
}
