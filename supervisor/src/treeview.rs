//! A tree as data: what `atoll tree --json` prints and the text is made of.

use serde::Serialize;

use crate::faultview::FaultView;

/// The instance tree of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeView {
    /// The file it was made from.
    pub file: String,
    /// The outermost component's instance.
    pub root: ProcessView,
    /// The faults that are kept, domain by domain, oldest first; none before it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultView>,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessView {
    /// Its number in the tree.
    pub pid: u32,
    /// How many processes had this number before.
    pub generation: u32,
    /// Names from the root, `/` between them.
    pub path: String,
    /// The name its component gives itself.
    pub component: Option<String>,
    /// What it is doing, in the kernel's words.
    pub state: String,
    /// The domain it faults with.
    pub domain: u32,
    /// Whether that begins with it.
    pub begins_domain: bool,
    /// The libraries it has loaded, in order of first loading.
    pub libs: Vec<LibView>,
    /// Bytes of its linear memories now.
    pub memory_bytes: u64,
    /// Handles that it holds.
    pub handles: u32,
    /// What it imports that runs: functions and instances, no mere types.
    pub imports: Vec<ImportView>,
    /// The processes it instantiated.
    pub children: Vec<ProcessView>,
}

/// A library as one process has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LibView {
    /// The name the module gives itself.
    pub name: Option<String>,
    /// SHA-256 of the module's bytes, as hexadecimal digits.
    pub hash: String,
    /// How many processes of the tree have it loaded.
    pub processes: usize,
    /// How often this process has loaded it: its core instances.
    pub instances: usize,
    /// Bytes of machine code, shared by all of them.
    pub code_bytes: usize,
}

/// An import and who provides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportView {
    /// The name that the component imports it by.
    pub name: String,
    /// Who provides it.
    pub provider: ProviderView,
    /// What holds for calls of it, where they go over a boundary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<BoundaryView>,
}

/// A boundary between domains, as calls over it see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundaryView {
    /// What a caller gets when the callee fails: `trap`, `error` or `retry:N`.
    pub on_fault: String,
    /// How long a caller waits, nanoseconds.
    pub deadline_ns: Option<u64>,
}

/// Who provides an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ProviderView {
    /// A process of the tree.
    Process {
        /// Its path.
        path: String,
    },
    /// A system server.
    Server {
        /// The interface it serves.
        name: String,
    },
    /// Nobody.
    Missing,
}

impl TreeView {
    /// Every process, parents before children.
    #[must_use]
    pub fn processes(&self) -> Vec<&ProcessView> {
        let mut found = Vec::new();
        let mut pending = vec![&self.root];
        while let Some(process) = pending.pop() {
            found.push(process);
            pending.extend(process.children.iter().rev());
        }
        found
    }

    /// As JSON, indented, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("strings and numbers always have a JSON form");
        text + "\n"
    }
}
