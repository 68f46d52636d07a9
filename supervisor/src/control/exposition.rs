//! Meters of a tree in Prometheus' text format.

use std::fmt::Write;

use abi::control::edge_row::EdgeRow;
use abi::control::process_row::{Condition, TreeSummary};

/// The page that is scraped.
#[must_use]
pub fn exposition(tree: &TreeSummary, edges: &[EdgeRow]) -> String {
    let mut page = Page { text: String::new(), tree: &tree.name };
    processes(&mut page, tree);
    domains(&mut page, tree);
    calls(&mut page, edges);
    page.text
}

fn processes(page: &mut Page<'_>, tree: &TreeSummary) {
    let of = |value: fn(&abi::control::process_row::ProcessRow) -> f64| {
        tree.processes.iter().map(move |row| (vec![("process", row.path.as_str())], value(row)))
    };
    let is_up = |row: &abi::control::process_row::ProcessRow| {
        f64::from(u8::from(!matches!(row.condition, Condition::Faulted { .. } | Condition::Exited { .. })))
    };
    page.family("process_up", "gauge", "Whether a process can be called.", of(is_up));
    page.family(
        "process_generation",
        "gauge",
        "Lives that a process had before.",
        of(|row| row.generation.into()),
    );
    let help = "Processor time of a process; a sample where it shares its domain.";
    page.family("process_cpu_seconds_total", "counter", help, of(|row| seconds(row.cpu_ns)));
    page.family("process_memory_bytes", "gauge", "Bytes of its memories.", of(|row| row.memory_bytes as f64));
    let help = "The most that its memories ever were.";
    page.family("process_memory_peak_bytes", "gauge", help, of(|row| row.peak_memory_bytes as f64));
    page.family("process_handles", "gauge", "Handles that it holds.", of(|row| row.handles.into()));
    page.family(
        "process_calls_total",
        "counter",
        "Calls from outside its domain.",
        of(|row| row.calls as f64),
    );
    let help = "Calls of system servers and over boundaries.";
    page.family("process_calls_out_total", "counter", help, of(|row| row.calls_out as f64));
    page.family("process_faults_total", "counter", "Faults that ended it.", of(|row| row.faults as f64));
    let restarts = tree.processes.iter().filter_map(|row| {
        let known = row.supervised.as_ref()?;
        Some((vec![("process", row.path.as_str())], known.restarts as f64))
    });
    page.family(
        "process_restarts_total",
        "counter",
        "How often its supervisor has started it again.",
        restarts,
    );
}

fn domains(page: &mut Page<'_>, tree: &TreeSummary) {
    let of = |value: fn(&abi::control::domain_row::DomainRow) -> f64| {
        tree.domains.iter().map(move |row| (vec![("domain", row.begins_with.as_str())], value(row)))
    };
    let help = "Processor time of a domain in all its lives.";
    page.family("domain_cpu_seconds_total", "counter", help, of(|row| seconds(row.cpu_ns)));
    page.family("domain_mailbox", "gauge", "Calls that wait for a domain.", of(|row| row.waiting.into()));
    let help = "Calls and messages that a domain was given in this life.";
    page.family("domain_calls_total", "counter", help, of(|row| row.calls as f64));
}

fn calls(page: &mut Page<'_>, edges: &[EdgeRow]) {
    fn labels(edge: &EdgeRow) -> Vec<(&'static str, &str)> {
        vec![
            ("caller", &*edge.caller),
            ("callee", &edge.callee),
            ("function", &edge.function),
            ("rung", &edge.rung),
        ]
    }
    let counted = edges.iter().filter_map(|edge| Some((labels(edge), edge.calls? as f64)));
    page.family("edge_calls_total", "counter", "Calls over an edge, where they are counted.", counted);
    let failed = edges.iter().map(|edge| (labels(edge), edge.failures as f64));
    page.family("edge_failures_total", "counter", "Calls over an edge that failed.", failed);
    let quantiles =
        edges.iter().filter_map(|edge| Some((edge, edge.latency?))).flat_map(|(edge, latency)| {
            [
                ("0.5", latency.p50_ns),
                ("0.9", latency.p90_ns),
                ("0.99", latency.p99_ns),
                ("1", latency.max_ns),
            ]
            .map(|(quantile, ns)| {
                let mut labels = labels(edge);
                labels.push(("quantile", quantile));
                (labels, seconds(ns))
            })
        });
    page.family("edge_latency_seconds", "gauge", "How long the calls took that were timed.", quantiles);
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

struct Page<'t> {
    text: String,
    tree: &'t str,
}

impl Page<'_> {
    /// Every value of one name; nothing if there is none.
    fn family<'l>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl Iterator<Item = (Vec<(&'static str, &'l str)>, f64)>,
    ) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return;
        }
        self.push(format_args!("# HELP atoll_{name} {help}\n# TYPE atoll_{name} {kind}\n"));
        for (labels, value) in values {
            self.push(format_args!("atoll_{name}{{tree=\"{}\"", escaped(self.tree)));
            for (label, text) in labels {
                self.push(format_args!(",{label}=\"{}\"", escaped(text)));
            }
            self.push(format_args!("}} {value}\n"));
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string never fails");
    }
}

/// A label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use abi::control::domain_row::DomainRow;
    use abi::control::edge_row::{EdgeRow, Latency};
    use abi::control::process_row::{Condition, ProcessRow, Supervision, TreeSummary};

    use super::exposition;

    #[test]
    fn a_page_has_every_meter() {
        let faulted = Condition::Faulted { trap: "x".to_owned(), place: None };
        let store = ProcessRow {
            path: "/shop/st\"o\\re\n".to_owned(),
            condition: faulted,
            generation: 2,
            cpu_ns: 1_500_000_000,
            memory_bytes: 65536,
            peak_memory_bytes: 131_072,
            calls: 7,
            faults: 1,
            supervised: Some(Supervision { restarts: 2, ..Supervision::default() }),
            ..ProcessRow::default()
        };
        let tree = TreeSummary {
            name: "shop".to_owned(),
            processes: vec![ProcessRow { path: "/shop".to_owned(), ..ProcessRow::default() }, store],
            domains: vec![DomainRow { begins_with: "/shop".to_owned(), waiting: 3, ..DomainRow::default() }],
            ..TreeSummary::default()
        };
        let latency = Latency { samples: 2, p50_ns: 1_000, p90_ns: 2_000, p99_ns: 2_000, max_ns: 2_500 };
        let edge = |calls| EdgeRow {
            caller: "/shop".to_owned(),
            callee: "/shop/store".to_owned(),
            function: "kv#get".to_owned(),
            rung: "channel".to_owned(),
            calls,
            failures: 1,
            latency: calls.map(|_| latency),
        };
        insta::assert_snapshot!(exposition(&tree, &[edge(Some(5)), edge(None)]));
    }
}
