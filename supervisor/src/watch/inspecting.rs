//! `atoll inspect`: everything about a process that runs; and `atoll tree` of what runs.

use std::fmt::Write;

use abi::control::edge_row::{EdgeRow, Latency};
use abi::control::faultview::FaultView;
use abi::control::inspection::{ConfinementRow, DomainFacts, Inspection, MemoryMap, Quota, ThreadRow};
use abi::control::request::Request;
use abi::control::response::Response;
use abi::control::treeview::{ProcessView, ProviderView, TreeView};
use kernel::sched::account::WEIGHT_ONE;

use super::asking::as_fault;
use super::columns::{Side, harmless, span, table, thousands, width};
use super::listing::Running;
use super::watchargs::Inspect;
use crate::blame;
use crate::complaint::Complaint;
use crate::console::{Trouble, print};
use crate::control::addressing;
use crate::control::dialing::{PROMPT, unexpected};
use crate::exit_code::Exit;
use crate::jsontext::json;
use crate::live::Aftermath;
use crate::paint::{Paint, Role};
use crate::treetext::{bytes, count};

/// How many of the processes that share a domain are named.
const NAMED: usize = 8;

/// The tree that runs under a name, or the part below one of its processes; nothing if nobody has that name.
///
/// # Errors
/// Several have it, or the supervisor does not answer.
pub fn live_tree(name: &str) -> Result<Option<TreeView>, Complaint> {
    let running = Running::of_user();
    let (summary, process, mut line) = match addressing::tree(&running.trees, Some(name)) {
        // A tree's name is its root's too.
        Ok(tree) if running.trees[tree].name == name => {
            let (summary, line) = running.tree(Some(name))?;
            (summary, 0, line)
        }
        _ if addressing::find(&running.trees, name).is_empty() => return Ok(None),
        _ => running.process(name)?,
    };
    let Response::Tree(mut view) = expect(line.ask(&Request::Tree, PROMPT)?)? else {
        return Ok(None);
    };
    let path = summary.processes.get(process).map(|process| process.path.as_str());
    if let Some(part) = path.and_then(|path| take(&mut view.root, path)) {
        view.root = part;
    }
    Ok(Some(view))
}

fn expect(response: Response) -> Result<Response, Complaint> {
    match response {
        Response::Tree(_) | Response::Inspection(_) => Ok(response),
        other => Err(unexpected(&other)),
    }
}

/// Takes the process with this path out of a tree.
fn take(root: &mut ProcessView, path: &str) -> Option<ProcessView> {
    if root.path == path {
        return Some(std::mem::take(root));
    }
    root.children.iter_mut().find_map(|child| take(child, path))
}

/// Shows a process.
///
/// # Errors
/// There is no such process.
pub fn inspect(args: &Inspect, paint: Paint) -> Result<Exit, Trouble> {
    let (tree, process, mut line) = Running::of_user().process(&args.whom.name)?;
    let path = tree.processes[process].path.clone();
    let Response::Inspection(inspection) = expect(line.ask(&Request::Inspect { path }, PROMPT)?)? else {
        return Err(Complaint::new(
            Exit::Failed,
            "the supervisor shows a tree where a process was asked for",
        )
        .into());
    };
    print(&if args.whom.json { json(&inspection) } else { render(&inspection, width(), paint) })
}

/// A process in full, a section a kind of thing; what there is none of is left out.
#[must_use]
pub fn render(inspection: &Inspection, width: Option<usize>, paint: Paint) -> String {
    let mut page = Page { text: head(inspection, paint), width, paint };
    page.confinement(&inspection.domain);
    page.libs(inspection);
    page.memories(&inspection.memories);
    page.handles(inspection);
    page.quotas(&inspection.quotas);
    page.threads(&inspection.threads);
    page.imports(inspection);
    page.edges(&inspection.edges);
    page.faults(inspection);
    page.unknown(&inspection.unknown);
    page.text
}

/// Who it is and how it is.
fn head(inspection: &Inspection, paint: Paint) -> String {
    let process = &inspection.process;
    let mut text = format!(
        "{}  pid {}/gen{}  {}\n",
        paint.text(Role::Name, harmless(&process.path)),
        process.pid,
        process.generation,
        harmless(&process.condition.to_string())
    );
    let mut fact = |name: &str, value: String| push(&mut text, format_args!("  {name:<10}  {value}\n"));
    if let Some(component) = &inspection.component {
        fact("component", harmless(component));
    }
    fact("domain", domain(&inspection.domain));
    if let Some(known) = &process.supervised {
        fact("supervisor", harmless(&format!("{}, {}: {known}", known.supervisor, known.strategy)));
    }
    let (calls, out) = (thousands(process.calls), thousands(process.calls_out));
    fact("calls", format!("{calls} in, {out} out, {}", count(process.faults as usize, "fault")));
    let lives = match process.generation {
        0 => format!(" in {}", span(process.age_ns)),
        before => format!(" in {} lives, the last of which began {} ago", before + 1, span(process.age_ns)),
    };
    fact("cpu", span(process.cpu_ns) + &lives);
    text
}

/// Which domain it is, who else is in it, and where it runs if that is not just anywhere.
fn domain(facts: &DomainFacts) -> String {
    let mut text = facts.row.domain.to_string();
    let (named, more) = facts.shared_with.split_at(facts.shared_with.len().min(NAMED));
    if !named.is_empty() {
        push(&mut text, format_args!(", with {}", harmless(&named.join(", "))));
    }
    if !more.is_empty() {
        push(&mut text, format_args!(" and {} more", more.len()));
    }
    match (&*facts.placement, &facts.confinement) {
        (_, Some(ConfinementRow { os_pid: Some(os_pid), .. })) => {
            push(&mut text, format_args!(", in OS process {os_pid}"));
        }
        ("process", _) => text.push_str(", in an OS process of its own"),
        ("anywhere" | "", _) => {}
        (place, _) => push(&mut text, format_args!(", at {}", harmless(place))),
    }
    if facts.cpu_weight != WEIGHT_ONE {
        push(&mut text, format_args!(", cpu weight {}", facts.cpu_weight));
    }
    text
}

/// What is written so far.
struct Page {
    text: String,
    width: Option<usize>,
    paint: Paint,
}

impl Page {
    fn section(&mut self, title: &str, headings: &[(&str, Side)], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        self.title(title);
        let width = self.width.map(|width| width.saturating_sub(2));
        let rows: Vec<_> =
            rows.iter().map(|row| row.iter().map(|cell| (harmless(cell), None)).collect()).collect();
        for line in table(headings, &rows, width, self.paint).lines() {
            push(&mut self.text, format_args!("  {line}\n"));
        }
    }

    fn title(&mut self, title: &str) {
        push(&mut self.text, format_args!("\n{}\n", self.paint.text(Role::Name, title)));
    }

    fn confinement(&mut self, domain: &DomainFacts) {
        if let Some(confinement) = &domain.confinement {
            self.list("what keeps its OS process from harm", &confinement.held);
        }
    }

    fn unknown(&mut self, unknown: &[String]) {
        self.list("not known", unknown);
    }

    fn list(&mut self, title: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.title(title);
        for line in lines {
            push(&mut self.text, format_args!("  {}\n", harmless(line)));
        }
    }

    fn libs(&mut self, inspection: &Inspection) {
        let headings = [
            ("LIBRARY", Side::Left),
            ("HASH", Side::Left),
            ("CODE", Side::Right),
            ("SHARED WITH", Side::Left),
        ];
        let rows = inspection.libs.iter().map(|row| {
            let name = row.lib.name.clone().unwrap_or_else(|| "(unnamed)".to_owned());
            let hash = row.lib.hash.get(..8).unwrap_or(&row.lib.hash).to_owned();
            let shared =
                if row.shared_with.is_empty() { "nobody".to_owned() } else { row.shared_with.join(", ") };
            vec![name, hash, bytes(row.lib.code_bytes as u64), shared]
        });
        self.section("libraries", &headings, &rows.collect::<Vec<_>>());
    }

    fn memories(&mut self, memories: &[MemoryMap]) {
        let headings = [
            ("MEMORY", Side::Left),
            ("LIBRARY", Side::Left),
            ("BYTES", Side::Right),
            ("MAXIMUM", Side::Right),
            ("RESIDENT", Side::Right),
        ];
        let size = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), bytes);
        let rows = memories.iter().map(|map| {
            let library = map.library.clone().unwrap_or_else(|| "(unnamed)".to_owned());
            vec![
                map.name.clone(),
                library,
                bytes(map.bytes),
                size(map.maximum_bytes),
                size(map.resident_bytes),
            ]
        });
        self.section("memories", &headings, &rows.collect::<Vec<_>>());
        let parts = memories.iter().flat_map(|map| map.parts.iter().map(move |part| (map, part)));
        let rows = parts.map(|(map, part)| {
            let (from, to) = (part.from, part.from.saturating_add(part.bytes));
            vec![map.name.clone(), format!("{from:#010x}–{to:#010x}"), bytes(part.bytes), part.what.clone()]
        });
        let headings =
            [("MEMORY", Side::Left), ("ADDRESSES", Side::Left), ("BYTES", Side::Right), ("WHAT", Side::Left)];
        self.section("memory map", &headings, &rows.collect::<Vec<_>>());
    }

    fn handles(&mut self, inspection: &Inspection) {
        let headings = [
            ("HANDLE", Side::Right),
            ("MODE", Side::Left),
            ("LENT", Side::Right),
            ("TYPE", Side::Left),
            ("OF", Side::Left),
        ];
        let rows = inspection.handles.iter().map(|row| {
            vec![
                row.index.to_string(),
                row.mode.clone(),
                row.lent.to_string(),
                row.ty.clone(),
                row.of.clone(),
            ]
        });
        self.section("handles", &headings, &rows.collect::<Vec<_>>());
        if inspection.more_handles > 0 {
            push(&mut self.text, format_args!("  and {} more\n", inspection.more_handles));
        }
    }

    fn quotas(&mut self, quotas: &[Quota]) {
        let headings = [
            ("QUOTA", Side::Left),
            ("OF", Side::Left),
            ("USED", Side::Right),
            ("PEAK", Side::Right),
            ("ALLOWED", Side::Right),
        ];
        let rows = quotas.iter().map(|quota| {
            let amount = |amount: u64| match &*quota.unit {
                "bytes" => bytes(amount),
                "ns" => span(amount),
                "per mille" => format!("{}.{} %", amount / 10, amount % 10),
                _ => thousands(amount),
            };
            let known = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), amount);
            let allowed = quota.allowed.map_or_else(|| "no limit".to_owned(), amount);
            vec![quota.name.clone(), quota.of.clone(), known(quota.used), known(quota.peak), allowed]
        });
        self.section("quotas", &headings, &rows.collect::<Vec<_>>());
    }

    fn threads(&mut self, threads: &[ThreadRow]) {
        if threads.is_empty() {
            return;
        }
        self.title("threads");
        for thread in threads {
            push(&mut self.text, format_args!("  {}\n", harmless(&thread.state)));
            let fault = as_fault(&FaultView { backtrace: thread.backtrace.clone(), ..FaultView::default() });
            self.text.push_str(&blame::chain_text(&fault.frames, self.paint));
        }
    }

    fn imports(&mut self, inspection: &Inspection) {
        let headings = [("IMPORT", Side::Left), ("PROVIDED BY", Side::Left)];
        let rows = inspection.imports.iter().map(|import| {
            let provider = match &import.provider {
                ProviderView::Process { path } => format!("✓ {path}"),
                ProviderView::Server { name } => format!("✓ server {name}"),
                ProviderView::Missing => "✗ missing".to_owned(),
            };
            vec![import.name.clone(), provider]
        });
        self.section("imports", &headings, &rows.collect::<Vec<_>>());
    }

    fn edges(&mut self, edges: &[EdgeRow]) {
        let headings = [
            ("EDGE", Side::Left),
            ("RUNG", Side::Left),
            ("CALLS", Side::Right),
            ("FAILED", Side::Right),
            ("P50", Side::Right),
            ("P99", Side::Right),
            ("MAX", Side::Right),
            ("FUNCTION", Side::Left),
        ];
        let rows = edges.iter().map(|edge| {
            let time = |of: fn(&Latency) -> u64| {
                edge.latency.as_ref().map_or_else(|| "-".to_owned(), |latency| span(of(latency)))
            };
            vec![
                edge.shown(),
                edge.rung.clone(),
                edge.calls.map_or_else(|| "-".to_owned(), thousands),
                thousands(edge.failures),
                time(|latency| latency.p50_ns),
                time(|latency| latency.p99_ns),
                time(|latency| latency.max_ns),
                edge.function.clone(),
            ]
        });
        self.section("edges", &headings, &rows.collect::<Vec<_>>());
    }

    fn faults(&mut self, inspection: &Inspection) {
        if inspection.faults.is_empty() {
            return;
        }
        self.title("faults, oldest first");
        for fault in &inspection.faults {
            if let Some(life) = fault.process.as_ref().and_then(|process| process.generation) {
                push(&mut self.text, format_args!("  gen{life}\n"));
            }
            let text = blame::render(&as_fault(fault), &Aftermath::default(), self.paint);
            for line in text.lines() {
                push(&mut self.text, format_args!("  {line}\n"));
            }
        }
    }
}

fn push(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}

#[cfg(test)]
mod tests {
    use abi::control::domain_row::DomainRow;
    use abi::control::edge_row::{EdgeRow, Latency};
    use abi::control::faultview::{FaultView, FrameView, ProcessName};
    use abi::control::inspection::{
        ConfinementRow, DomainFacts, HandleRow, Inspection, LibRow, MemoryMap, MemoryPart, Quota, ThreadRow,
    };
    use abi::control::process_row::{ProcessRow, Supervision};
    use abi::control::treeview::{ImportView, LibView, ProviderView};

    use kernel::sched::account::WEIGHT_ONE;

    use super::render;
    use crate::paint::Paint;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn frame(function: &str) -> FrameView {
        FrameView {
            process: text("/shop/store"),
            what: text("function"),
            module: Some(text("store")),
            function_index: Some(3),
            function: Some(text(function)),
            pc: Some(0x36),
        }
    }

    fn process() -> ProcessRow {
        let [supervisor, strategy, restart] = ["shop", "one-for-one", "permanent"].map(text);
        ProcessRow {
            pid: 2,
            generation: 1,
            path: text("/shop/store"),
            domain: 1,
            supervised: Some(Supervision { supervisor, strategy, restart, restarts: 1, given_up: false }),
            calls: 1234,
            calls_out: 5,
            faults: 1,
            cpu_ns: 4_100_000,
            age_ns: 3_000_000_000,
            ..ProcessRow::default()
        }
    }

    fn domain() -> DomainFacts {
        let held = vec![text("no new privileges"), text("12 system calls")];
        DomainFacts {
            row: DomainRow { domain: 1, ..DomainRow::default() },
            shared_with: (0..10).map(|number| format!("/shop/{number}")).collect(),
            placement: text("process"),
            cpu_weight: 300,
            confinement: Some(ConfinementRow { os_pid: Some(4711), held }),
        }
    }

    fn edge() -> EdgeRow {
        let latency = Latency { samples: 5, p50_ns: 1_200, p90_ns: 2_000, p99_ns: 15_000, max_ns: 1_250_000 };
        EdgeRow {
            caller: text("/shop/cart"),
            callee: text("/shop/store"),
            function: text("demo:shop/kv#get"),
            rung: text("channel"),
            calls: Some(1234),
            failures: 1,
            latency: Some(latency),
        }
    }

    fn store() -> Inspection {
        let name = Some(text("heap"));
        let lib = LibView { name, hash: text("f47bff23aa"), processes: 2, instances: 1, code_bytes: 14 };
        let quota = |[of, name, unit]: [&str; 3], used, peak, allowed| {
            let [of, name, unit] = [of, name, unit].map(text);
            Quota { name, of, unit, used, peak, allowed }
        };
        Inspection {
            process: process(),
            component: Some(text("store")),
            domain: domain(),
            libs: vec![LibRow { lib, shared_with: vec![text("/shop/cart")] }],
            memories: vec![MemoryMap {
                library: Some(text("heap")),
                name: text("memory"),
                bytes: 131_072,
                maximum_bytes: None,
                resident_bytes: Some(4096),
                parts: vec![MemoryPart { from: 0, bytes: 65536, what: text("image") }],
            }],
            handles: vec![HandleRow {
                index: 1,
                mode: text("own"),
                ty: text("item"),
                of: text("/shop/cart"),
                lent: 2,
            }],
            more_handles: 7,
            quotas: vec![
                quota(["process", "memory", "bytes"], Some(65536), Some(131_072), Some(1 << 20)),
                quota(["process", "stack", "bytes"], None, None, Some(1 << 20)),
                quota(["domain", "cpu", "per mille"], Some(125), None, Some(300)),
                quota(["domain", "call time", "ns"], None, None, None),
            ],
            threads: vec![ThreadRow {
                state: text("running"),
                backtrace: vec![frame("take"), frame("step")],
            }],
            imports: vec![ImportView {
                name: text("demo:shop/log"),
                provider: ProviderView::Process { path: text("/shop/log") },
                boundary: None,
            }],
            edges: vec![edge()],
            faults: vec![FaultView {
                message: text("wasm `unreachable` instruction executed"),
                process: Some(ProcessName {
                    pid: Some(2),
                    generation: Some(0),
                    path: text("/shop/store\x1b[2J"),
                }),
                backtrace: vec![frame("take")],
                ..FaultView::default()
            }],
            unknown: vec![text("its handles, as it is in a function of the host that takes long")],
        }
    }

    #[test]
    fn shows_all_there_is() {
        insta::assert_snapshot!(render(&store(), None, Paint::PLAIN));
        let narrow = render(&store(), Some(60), Paint::PLAIN);
        let (_, tables) = narrow.split("\nfaults").next().unwrap().split_once("\nlibraries").unwrap();
        assert!(tables.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    }

    #[test]
    fn what_there_is_none_of_is_left_out() {
        let domain = DomainFacts { cpu_weight: WEIGHT_ONE, ..DomainFacts::default() };
        insta::assert_snapshot!(render(&Inspection { domain, ..Inspection::default() }, None, Paint::PLAIN));
    }
}
