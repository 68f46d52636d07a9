//! How to link.

use super::linked::OnFault;

/// How to link.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The name of the root process.
    pub name: String,
    /// Whether an import that nobody offers is an error now, or a fault when it is called.
    pub missing_is_fault: bool,
    /// Which processes begin a domain of their own.
    pub isolate: Isolate,
    /// What callers get when a domain that they called faults.
    pub on_fault: OnFault,
}

impl LinkOptions {
    /// Links with a root process of this name; everything in one domain, nothing missing.
    #[must_use]
    pub fn new(name: impl Into<String>) -> LinkOptions {
        LinkOptions {
            name: name.into(),
            missing_is_fault: false,
            isolate: Isolate::default(),
            on_fault: OnFault::default(),
        }
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
    /// Every one.
    All,
}

impl Isolate {
    pub(super) fn begins(&self, process: &str, path: &str) -> bool {
        match self {
            Isolate::Nothing => false,
            Isolate::Named(names) => names.iter().any(|name| name == process || name == path),
            Isolate::All => true,
        }
    }
}
