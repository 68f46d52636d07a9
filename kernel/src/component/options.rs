//! How to link.

use std::collections::BTreeMap;

use super::port::EdgePolicy;

/// How to link.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The name of the root process.
    pub name: String,
    /// Whether an import that nobody offers is an error now, or a fault when it is called.
    pub missing_is_fault: bool,
    /// Which processes begin a domain of their own.
    pub isolate: Isolate,
    /// What holds for calls over a boundary.
    pub edge: EdgePolicy,
    /// Edges for which something else holds. The first rule that fits counts.
    pub edges: Vec<EdgeRule>,
}

/// What holds for some edges over boundaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeRule {
    /// Name or path of the process that calls, or of one that it is below; `None` for any.
    pub caller: Option<String>,
    /// Name or path of the process that is called, or of one that it is below.
    pub callee: String,
    /// What holds.
    pub policy: EdgePolicy,
}

impl LinkOptions {
    /// Links with a root process of this name; everything in one domain, nothing missing.
    #[must_use]
    pub fn new(name: impl Into<String>) -> LinkOptions {
        LinkOptions {
            name: name.into(),
            missing_is_fault: false,
            isolate: Isolate::default(),
            edge: EdgePolicy::default(),
            edges: Vec::new(),
        }
    }
}

impl LinkOptions {
    /// What holds for an edge over a boundary, between processes given as name and path.
    #[must_use]
    pub fn policy(&self, caller: (&str, &str), callee: (&str, &str)) -> EdgePolicy {
        let names = |wanted: &str, (name, path): (&str, &str)| {
            wanted == name
                || path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let rule = self.edges.iter().find(|rule| {
            names(&rule.callee, callee) && rule.caller.as_deref().is_none_or(|wanted| names(wanted, caller))
        });
        rule.map_or(self.edge, |rule| rule.policy)
    }
}

/// Which processes begin a domain of their own; their children are in it too, unless they begin one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Isolate {
    /// None: the tree is one domain.
    #[default]
    Nothing,
    /// Those with one of these names or paths.
    Named(Vec<String>),
    /// Those with these paths. Those with the same word beside their path are in one domain, which the first begins.
    Grouped(BTreeMap<String, String>),
    /// Every one.
    All,
}

impl Isolate {
    pub(super) fn begins(&self, process: &str, path: &str) -> bool {
        match self {
            Isolate::Nothing => false,
            Isolate::Named(names) => names.iter().any(|name| name == process || name == path),
            Isolate::Grouped(groups) => groups.contains_key(path),
            Isolate::All => true,
        }
    }

    /// Whom a process that begins a domain shares it with.
    pub(super) fn group(&self, path: &str) -> Option<&str> {
        match self {
            Isolate::Grouped(groups) => groups.get(path).map(String::as_str),
            _ => None,
        }
    }
}
