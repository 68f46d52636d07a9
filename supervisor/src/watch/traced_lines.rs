//! `atoll trace`: the calls of a tree that runs, as they are made; or how long they take.

use std::io::Write;
use std::time::{Duration, Instant};

use abi::control::call_line::{CallLine, Outcome};
use abi::control::edge_row::EdgeRow;
use abi::control::process_row::last_name;
use abi::control::request::Request;
use abi::control::response::Response;

use super::columns::{Side, harmless, span, table, thousands, width};
use super::listing::Running;
use super::watchargs::Trace;
use crate::complaint::Complaint;
use crate::console::{Paints, Trouble, print};
use crate::control::dialing::{DialError, Dialed, PROMPT, unexpected, unreachable};
use crate::exit_code::Exit;
use crate::jsontext::json;
use crate::paint::{Paint, Role};

/// How long a supervisor waits for the next call before it answers that there is none.
const WAIT_MS: u32 = 500;

/// Prints calls until there have been enough, or the tree ends.
///
/// # Errors
/// There is no such process or tree.
pub fn trace(args: &Trace, paints: Paints) -> Result<Exit, Trouble> {
    let (tree, process, mut line) = Running::of_user().process(&args.name)?;
    // A tree's name is its root's: who says it means everything.
    let path = (process > 0).then(|| tree.processes[process].path.clone());
    let request = Request::Trace { path, edge: args.edge.clone(), only_count: args.latency };
    match line.ask(&request, PROMPT)? {
        Response::Edges(edges) if edges.is_empty() => {
            let what = match &args.edge {
                Some(edge) => format!("no edge of `{}` fits `{edge}`", args.name),
                None => format!("nobody calls `{}`, and it calls nobody", args.name),
            };
            let advice = format!("`atoll inspect {}` lists its edges", args.name);
            return Err(Complaint::new(Exit::NotFound, what).advise(advice).into());
        }
        Response::Edges(_) => {}
        other => return Err(unexpected(&other).into()),
    }
    if args.latency {
        latency(args, tree.os_pid, &mut line, paints.out)
    } else {
        calls(args, tree.os_pid, &mut line, paints.out)
    }
}

fn calls(args: &Trace, os_pid: u32, line: &mut Dialed, paint: Paint) -> Result<Exit, Trouble> {
    let until = args.span.map(|span| Instant::now() + Duration::from_nanos(span.0));
    let (mut left, mut told) = (args.number.unwrap_or(u64::MAX), 0);
    while left > 0 && until.is_none_or(|until| Instant::now() < until) {
        let request = Request::Traced { wait_ms: WAIT_MS };
        let (calls, lost) = match line.exchange(&request, PROMPT + Duration::from_millis(WAIT_MS.into())) {
            Ok(Response::Traced { calls, lost }) => (calls, lost),
            Ok(other) => return Err(unexpected(&other).into()),
            Err(DialError::Gone) => return Ok(Exit::Success),
            Err(error) => return Err(unreachable(os_pid, error).into()),
        };
        let shown = usize::try_from(left).unwrap_or(usize::MAX).min(calls.len());
        let text = calls[..shown]
            .iter()
            .map(|call| if args.json { json_line(call) } else { shown_call(call, paint) });
        print(&text.collect::<String>())?;
        if std::io::stdout().flush().is_err() {
            return Ok(Exit::Success);
        }
        left -= shown as u64;
        if lost > told {
            eprintln!("note: {} calls were too many to be shown", thousands(lost - told));
            told = lost;
        }
    }
    Ok(Exit::Success)
}

fn json_line(call: &CallLine) -> String {
    serde_json::to_string(call).expect("strings and numbers always have a JSON form") + "\n"
}

/// `front → store  shop:kv/store#get("k1") = ok("v")  1.2 µs`
fn shown_call(call: &CallLine, paint: Paint) -> String {
    let end = |end: &str| harmless(if end.starts_with('/') { last_name(end) } else { end });
    // A server's name is in the function's.
    let callee = if call.callee.starts_with('/') { end(&call.callee) } else { "host".to_owned() };
    let outcome = match &call.outcome {
        Outcome::Returned(None) => String::new(),
        Outcome::Returned(Some(value)) => format!(" = {}", harmless(value)),
        Outcome::Trapped(why) => format!(" {} {}", paint.text(Role::Bad, "✗"), harmless(why)),
    };
    format!(
        "{} → {}  {}{}{outcome}  {}\n",
        paint.text(Role::Name, end(&call.caller)),
        paint.text(Role::Name, callee),
        harmless(&call.function),
        harmless(&call.arguments),
        paint.text(Role::Aside, span(call.took_ns))
    )
}

/// Counts for a while, then says how long calls took.
fn latency(args: &Trace, os_pid: u32, line: &mut Dialed, paint: Paint) -> Result<Exit, Trouble> {
    let window = Duration::from_nanos(args.span.map_or(1_000_000_000, |span| span.0));
    let ask = |line: &mut Dialed| match line.exchange(&Request::Edges, PROMPT) {
        Ok(Response::Edges(edges)) => Ok(edges),
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(unreachable(os_pid, error)),
    };
    let before = ask(line)?;
    std::thread::sleep(window);
    let mut after = ask(line)?;
    let calls = |edges: &[EdgeRow], edge: &EdgeRow| {
        let same = |other: &&EdgeRow| {
            (&other.caller, &other.callee, &other.function) == (&edge.caller, &edge.callee, &edge.function)
        };
        edges.iter().find(same).and_then(|edge| edge.calls).unwrap_or(0)
    };
    for edge in &mut after {
        edge.calls = edge.calls.map(|now| now.saturating_sub(calls(&before, edge)));
    }
    after.retain(|edge| edge.calls.is_some_and(|calls| calls > 0));
    after.sort_by_key(|edge| std::cmp::Reverse(edge.calls));
    if args.json {
        return print(&json(&after));
    }
    if after.is_empty() {
        eprintln!("no calls in {}", span(u64::try_from(window.as_nanos()).unwrap_or(u64::MAX)));
        return Ok(Exit::Success);
    }
    print(&latency_table(&after, window, width(), paint))
}

fn latency_table(edges: &[EdgeRow], window: Duration, width: Option<usize>, paint: Paint) -> String {
    let headings = [
        ("EDGE", Side::Left),
        ("RUNG", Side::Left),
        ("CALLS/S", Side::Right),
        ("P50", Side::Right),
        ("P90", Side::Right),
        ("P99", Side::Right),
        ("MAX", Side::Right),
        ("FUNCTION", Side::Left),
    ];
    let rows: Vec<Vec<_>> = edges
        .iter()
        .map(|edge| {
            let a_second = edge.calls.unwrap_or(0) as f64 / window.as_secs_f64();
            let latency = edge.latency.unwrap_or_default();
            let time = |ns| if latency.samples == 0 { "-".to_owned() } else { span(ns) };
            let cells = [
                harmless(&edge.shown()),
                edge.rung.clone(),
                thousands(a_second.round() as u64),
                time(latency.p50_ns),
                time(latency.p90_ns),
                time(latency.p99_ns),
                time(latency.max_ns),
                harmless(&edge.function),
            ];
            cells.into_iter().map(|cell| (cell, None)).collect()
        })
        .collect();
    table(&headings, &rows, width, paint)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use abi::control::call_line::{CallLine, Outcome};
    use abi::control::edge_row::{EdgeRow, Latency};

    use super::{latency_table, shown_call};
    use crate::paint::Paint;

    #[test]
    fn a_call_is_a_line() {
        let call = |callee: &str, outcome| CallLine {
            caller: "/shop/front".to_owned(),
            callee: callee.to_owned(),
            function: "shop:kv/store#get".to_owned(),
            arguments: "(\"k1\")".to_owned(),
            outcome,
            took_ns: 1_234,
            ..CallLine::default()
        };
        let calls = [
            call("/shop/store", Outcome::Returned(Some("ok(\"v\")".to_owned()))),
            call("wasi:cli/stdout", Outcome::Returned(None)),
            call("/shop/store\x1b", Outcome::Trapped("wasm `unreachable` instruction executed".to_owned())),
        ];
        let text: String = calls.iter().map(|call| shown_call(call, Paint::PLAIN)).collect();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn latencies_are_a_table() {
        let latency = Latency { samples: 9, p50_ns: 1_200, p90_ns: 2_000, p99_ns: 15_000, max_ns: 1_250_000 };
        let edge = |latency| EdgeRow {
            caller: "/shop/front".to_owned(),
            callee: "/shop/store".to_owned(),
            function: "shop:kv/store#get".to_owned(),
            rung: "channel".to_owned(),
            calls: Some(24_690),
            failures: 0,
            latency,
        };
        let edges = [edge(Some(latency)), edge(None)];
        insta::assert_snapshot!(latency_table(&edges, Duration::from_secs(2), None, Paint::PLAIN));
    }
}
