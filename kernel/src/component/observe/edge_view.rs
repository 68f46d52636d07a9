//! An edge with its figures.

use super::super::peers::Peers;
use super::super::tree::Tree;
use super::known_edge::{KnownEdge, Way};
use super::latency::Percentiles;

/// An edge as it stands. Calls are counted over all lives of its domains.
#[derive(Clone, Copy, Debug)]
pub struct EdgeView<'t> {
    /// Its place in the list of edges.
    pub number: u32,
    /// What linking knows of it.
    pub edge: &'t KnownEdge,
    /// Whether calls are counted now.
    pub counted: Counted,
    /// Calls that were counted.
    pub calls: u64,
    /// Those of them that ended with a fault.
    pub failures: u64,
    /// How long calls took, of those that were timed: the first ones, and then one of 64.
    pub latency: Option<Percentiles>,
}

/// Whether an edge's calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All of them, always.
    Always,
    /// Those that are made while somebody watches, which is the case now.
    Watched,
    /// The same, and nobody watches: calls are made that are not counted.
    Unwatched,
}

impl Tree {
    /// The edges: who calls whom, and how that goes. Waits for nobody.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeView<'_>> {
        let edges = (0..).zip(&self.linked().edges);
        edges.map(|(number, edge)| view(self.peers(), number, edge)).collect()
    }
}

fn view<'t>(peers: &Peers, number: u32, edge: &'t KnownEdge) -> EdgeView<'t> {
    let tally = &peers.tallies[number as usize];
    let (calls, failures) = tally.counts();
    let counted = match edge.way.is_counted() {
        true => Counted::Always,
        false if tally.mode() != 0 => Counted::Watched,
        false => Counted::Unwatched,
    };
    EdgeView { number, edge, counted, calls, failures, latency: tally.percentiles() }
}

/// How many calls each process made of the host and over boundaries.
pub(in super::super) fn calls_out(peers: &Peers) -> Vec<u64> {
    let mut calls = vec![0; peers.linked.processes.len()];
    for (edge, tally) in peers.linked.edges.iter().zip(&*peers.tallies) {
        if let (Some(caller), Way::Boundary(_) | Way::Server) = (edge.caller, edge.way) {
            calls[caller as usize] += tally.counts().0;
        }
    }
    calls
}
