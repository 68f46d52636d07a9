//! The trees at one moment, and what happens a second between two of them.

use std::collections::HashMap;

use abi::control::edge_row::EdgeRow;
use abi::control::process_row::TreeSummary;

/// A process of any tree: the supervisor's number, and the path.
pub type Key = (u32, String);

/// Everything that runs, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When it was taken; nanoseconds since some moment.
    pub at_ns: u64,
    /// The trees, in the order of their supervisors' numbers.
    pub trees: Vec<TreeSummary>,
    /// The edges of each.
    pub edges: Vec<Vec<EdgeRow>>,
    /// What is to be said of supervisors that do not answer.
    pub silent: Vec<String>,
}

/// What happens a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Processor time: 1 is a whole core.
    pub cores: f64,
    /// Calls.
    pub calls: f64,
}

/// What happened between two samples, a second.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    processes: HashMap<Key, Rate>,
    edges: HashMap<(u32, String, String, String), f64>,
}

impl Rates {
    /// Those between two samples. What is only in one of them has none.
    #[must_use]
    pub fn between(before: &Sample, now: &Sample) -> Rates {
        let seconds = now.at_ns.saturating_sub(before.at_ns) as f64 / 1e9;
        let mut rates = Rates::default();
        if seconds <= 0.0 {
            return rates;
        }
        let old = meters(before);
        for (key, (cpu_ns, calls)) in meters(now) {
            let Some((cpu_before, calls_before)) = old.get(&key) else { continue };
            let cores = cpu_ns.saturating_sub(*cpu_before) as f64 / 1e9 / seconds;
            let calls = calls.saturating_sub(*calls_before) as f64 / seconds;
            rates.processes.insert(key, Rate { cores, calls });
        }
        let old = counters(before);
        for (key, calls) in counters(now) {
            if let Some(before) = old.get(&key) {
                rates.edges.insert(key, calls.saturating_sub(*before) as f64 / seconds);
            }
        }
        rates
    }

    /// Of a process.
    #[must_use]
    pub fn process(&self, key: &Key) -> Rate {
        self.processes.get(key).copied().unwrap_or_default()
    }

    /// Calls over an edge; none if that is not known.
    #[must_use]
    pub fn edge(&self, os_pid: u32, edge: &EdgeRow) -> Option<f64> {
        edge.calls?;
        self.edges.get(&edge_key(os_pid, edge)).copied()
    }
}

fn meters(sample: &Sample) -> HashMap<Key, (u64, u64)> {
    let of_tree = |tree: &TreeSummary| {
        let os_pid = tree.os_pid;
        let rows = tree.processes.iter();
        rows.map(move |row| ((os_pid, row.path.clone()), (row.cpu_ns, row.calls))).collect::<Vec<_>>()
    };
    sample.trees.iter().flat_map(of_tree).collect()
}

fn counters(sample: &Sample) -> HashMap<(u32, String, String, String), u64> {
    let trees = sample.trees.iter().zip(&sample.edges);
    trees
        .flat_map(|(tree, edges)| {
            edges.iter().filter_map(|edge| Some((edge_key(tree.os_pid, edge), edge.calls?)))
        })
        .collect()
}

fn edge_key(os_pid: u32, edge: &EdgeRow) -> (u32, String, String, String) {
    (os_pid, edge.caller.clone(), edge.callee.clone(), edge.function.clone())
}
