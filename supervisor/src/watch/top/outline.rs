//! Which rows there are: trees below each other, folded and sorted as the person wants them.

use std::collections::HashSet;

use abi::control::process_row::{Condition, ProcessRow, TreeSummary};

use super::moment::{Key, Rate, Rates, Sample};

/// What siblings are sorted by; the greatest comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As the tree has them.
    #[default]
    Tree,
    /// Processor time a second.
    Cpu,
    /// Memory.
    Memory,
    /// Calls a second.
    Calls,
}

impl Sort {
    /// The next one, around.
    #[must_use]
    pub fn next(self) -> Sort {
        match self {
            Sort::Tree => Sort::Cpu,
            Sort::Cpu => Sort::Memory,
            Sort::Memory => Sort::Calls,
            Sort::Calls => Sort::Tree,
        }
    }

    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sort::Tree => "tree",
            Sort::Cpu => "cpu",
            Sort::Memory => "memory",
            Sort::Calls => "calls",
        }
    }
}

/// A row: a process, or one with all below it that is folded.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which process.
    pub key: Key,
    /// How deep it is; the root of a tree is at 0.
    pub depth: usize,
    /// Whether what is below it is hidden; none if there is nothing below it.
    pub folded: Option<bool>,
    /// The process.
    pub process: ProcessRow,
    /// What happens a second; with all that is hidden below it.
    pub rate: Rate,
    /// Bytes of memories; with all that is hidden below it.
    pub memory_bytes: u64,
}

/// The rows of a sample.
#[must_use]
pub fn rows(sample: &Sample, rates: &Rates, folded: &HashSet<Key>, sort: Sort) -> Vec<Row> {
    let mut rows = Vec::new();
    for tree in &sample.trees {
        Outline::of(tree, rates, sort).write(folded, &mut rows);
    }
    rows
}

/// One tree, with sums over everything below each process.
struct Outline<'s> {
    tree: &'s TreeSummary,
    children: Vec<Vec<usize>>,
    own: Vec<Rate>,
    rates: Vec<Rate>,
    memories: Vec<u64>,
}

impl Outline<'_> {
    fn of<'s>(tree: &'s TreeSummary, rates: &Rates, sort: Sort) -> Outline<'s> {
        let count = tree.processes.len();
        let own: Vec<Rate> =
            tree.processes.iter().map(|row| rates.process(&(tree.os_pid, row.path.clone()))).collect();
        let mut outline = Outline {
            tree,
            children: vec![Vec::new(); count],
            rates: own.clone(),
            own,
            memories: tree.processes.iter().map(|row| row.memory_bytes).collect(),
        };
        // Parents come before their children, so sums go up from the back. Who says otherwise is a child of nobody.
        for index in (1..count).rev() {
            let parent =
                tree.processes[index].parent.map(|parent| parent as usize).filter(|parent| *parent < index);
            if let Some(parent) = parent {
                outline.children[parent].push(index);
                outline.rates[parent].cores += outline.rates[index].cores;
                outline.rates[parent].calls += outline.rates[index].calls;
                outline.memories[parent] = outline.memories[parent].saturating_add(outline.memories[index]);
            }
        }
        let (rates, memories) = (&outline.rates, &outline.memories);
        for children in &mut outline.children {
            children.reverse();
            match sort {
                Sort::Tree => {}
                Sort::Cpu => children.sort_by(|a, b| rates[*b].cores.total_cmp(&rates[*a].cores)),
                Sort::Memory => children.sort_by_key(|child| std::cmp::Reverse(memories[*child])),
                Sort::Calls => children.sort_by(|a, b| rates[*b].calls.total_cmp(&rates[*a].calls)),
            }
        }
        outline
    }

    fn write(&self, folded: &HashSet<Key>, rows: &mut Vec<Row>) {
        let mut pending = if self.tree.processes.is_empty() { Vec::new() } else { vec![(0, 0)] };
        while let Some((index, depth)) = pending.pop() {
            let process = &self.tree.processes[index];
            let key = (self.tree.os_pid, process.path.clone());
            let is_folded = folded.contains(&key);
            let has_children = !self.children[index].is_empty();
            if !is_folded {
                pending.extend(self.children[index].iter().rev().map(|child| (*child, depth + 1)));
            }
            let hides = is_folded && has_children;
            rows.push(Row {
                key,
                depth,
                folded: has_children.then_some(is_folded),
                process: process.clone(),
                rate: if hides { self.rates[index] } else { self.own[index] },
                memory_bytes: if hides { self.memories[index] } else { process.memory_bytes },
            });
        }
    }
}

/// Whether a process is as nobody wants it.
#[must_use]
pub fn is_bad(process: &ProcessRow) -> bool {
    matches!(process.condition, Condition::Faulted { .. })
}
