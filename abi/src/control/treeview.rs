//! A tree as data: what `atoll tree --json` prints and the text is made of.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use serde::Serialize;

use super::faultview::FaultView;
use crate::limits::MAX_TREE_DEPTH;

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
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct BoundaryView {
    /// What a caller gets when the callee fails: `trap`, `error` or `retry:N`.
    pub on_fault: String,
    /// How long a caller waits, nanoseconds.
    pub deadline_ns: Option<u64>,
}

/// Who provides an import.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
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
}

/// What crosses of a process, field by field, in this order. Its children do not: a tree crosses as the list of its
/// processes, each with how deep it is, so that whoever reads it is not led as deep as somebody likes.
macro_rules! crossing {
    ($($field:ident),* $(,)?) => {
        impl ProcessView {
            fn put<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                $(self.$field.encode(encoder)?;)*
                Ok(())
            }

            fn take<Context, D: Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<ProcessView, DecodeError> {
                Ok(ProcessView { $($field: Decode::decode(decoder)?,)* children: Vec::new() })
            }
        }
    };
}

crossing! {
    pid, generation, path, component, state, domain, begins_domain, libs, memory_bytes, handles, imports,
}

impl Encode for TreeView {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.file.encode(encoder)?;
        self.faults.encode(encoder)?;
        let mut pending = vec![(1_u32, &self.root)];
        while let Some((depth, view)) = pending.pop() {
            depth.encode(encoder)?;
            view.put(encoder)?;
            pending.extend(view.children.iter().rev().map(|child| (depth + 1, child)));
        }
        // No process is at depth 0: the end.
        0_u32.encode(encoder)
    }
}

impl<Context> Decode<Context> for TreeView {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<TreeView, DecodeError> {
        let (file, faults) = (String::decode(decoder)?, Vec::decode(decoder)?);
        // The way from the root to the process that was read last.
        let mut way: Vec<ProcessView> = Vec::new();
        loop {
            let depth = u32::decode(decoder)? as usize;
            let fits = if way.is_empty() { depth == 1 } else { depth != 1 && depth <= way.len() + 1 };
            if !fits || depth > MAX_TREE_DEPTH {
                return Err(DecodeError::OtherString(format!(
                    "a process at depth {depth} below {}",
                    way.len()
                )));
            }
            while way.len() > depth.max(2) - 1 {
                let child = way.pop().expect("it has more than one");
                way.last_mut().expect("it had more than one").children.push(child);
            }
            if depth == 0 {
                let root = way.pop().expect("the end comes after a root");
                return Ok(TreeView { file, root, faults });
            }
            way.push(ProcessView::take(decoder)?);
        }
    }
}

bincode::impl_borrow_decode!(TreeView);

#[cfg(test)]
mod tests {
    use super::{ProcessView, TreeView};
    use crate::control::control_codec::{decode, encode};

    fn process(path: &str, children: Vec<ProcessView>) -> ProcessView {
        ProcessView { path: path.to_owned(), children, ..ProcessView::default() }
    }

    #[test]
    fn a_tree_comes_through() {
        let deep = process("/a/b", vec![process("/a/b/c", vec![process("/a/b/c/d", Vec::new())])]);
        let root = process("/a", vec![deep, process("/a/e", Vec::new()), process("/a/f", Vec::new())]);
        let tree = TreeView { file: "a.wasm".to_owned(), root, faults: Vec::new() };
        let bytes = encode(&tree, "a tree", 1000).unwrap();
        assert_eq!(decode(&bytes, "a tree"), Ok(tree));
        let alone = TreeView { file: String::new(), root: process("/x", Vec::new()), faults: Vec::new() };
        let bytes = encode(&alone, "a tree", 1000).unwrap();
        assert_eq!(decode(&bytes, "a tree"), Ok(alone));
    }

    #[test]
    fn depths_are_checked() {
        let mut chain = process("/x", Vec::new());
        for _ in 0..200 {
            chain = process("/x", vec![chain]);
        }
        let tree = TreeView { file: String::new(), root: chain, faults: Vec::new() };
        let bytes = encode(&tree, "a tree", 100_000).unwrap();
        let error = decode::<TreeView>(&bytes, "a tree").unwrap_err().to_string();
        assert!(error.contains("a process at depth 129 below 128"), "{error}");
        // Depths of the first and the second process: no root, a second root, a leap.
        let facts = [0; 11];
        let bytes = |depths: &[u8]| {
            let processes = depths.iter().flat_map(|depth| [&[*depth][..], &facts].concat());
            [&[0, 0][..], &processes.collect::<Vec<u8>>(), &[0]].concat()
        };
        assert!(decode::<TreeView>(&bytes(&[1, 2, 2]), "a tree").is_ok());
        for wrong in [&[][..], &[2], &[1, 1], &[1, 3], &[1, 2, 4]] {
            assert!(decode::<TreeView>(&bytes(wrong), "a tree").is_err(), "{wrong:?}");
        }
    }
}
