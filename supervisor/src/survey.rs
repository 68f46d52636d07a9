//! `atoll tree`: instantiates a component without running it, and shows what it became.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use kernel::component::link::LinkOptions;
use kernel::component::linked::{Linked, ProcessInfo, Provider};
use kernel::component::tree::{self, Tree};
use kernel::jit::library::Library;
use servers::Wasi;

use crate::args;
use crate::complaint::Complaint;
use crate::confine::{Reaction, begins_domain};
use crate::console::{Trouble, print, tree_name};
use crate::exit_code::Exit;
use crate::faultview::FaultView;
use crate::jsontext::json;
use crate::launch;
use crate::live;
use crate::paint::Paint;
use crate::program::Program;
use crate::treetext;
use crate::treeview::{BoundaryView, ImportView, LibView, ProcessView, ProviderView, TreeView};
use crate::watch::inspecting;

/// Prints the tree of a file.
///
/// # Errors
/// The file cannot be run, or a start function trapped.
pub fn tree(args: &args::Tree, paint: Paint) -> Result<Exit, Trouble> {
    if let Some(name) = args.file.to_str().filter(|_| !args.file.exists()) {
        let view = inspecting::live_tree(name)?.ok_or_else(|| nobody(name))?;
        return print(&if args.json { json(&view) } else { treetext::render(&view, paint) });
    }
    let source = Program::read(&args.file)?;
    let engine = launch::engine()?;
    let executable = launch::executable(&engine, &source)?;
    // What nobody provides is shown, not refused.
    let boundaries = args.boundaries.link_options(tree_name(&source.path));
    let options = LinkOptions { missing_is_fault: true, ..boundaries };
    let linked = executable.link(&launch::offers(), &options);
    let linked = linked
        .map_err(|error| Complaint::refused(format!("{}: cannot be linked", source.path)).because(error))?;
    let wasi = Wasi::builder().build();
    let wasi = wasi.map_err(|error| Complaint::new(Exit::Failed, "no system servers").because(error))?;
    args.boundaries.check(&linked)?;
    let tree = Tree::launch(&engine, Arc::new(linked), Box::new(wasi));
    let tree = tree.map_err(|error| live::unlaunched(&source.path, error))?;
    let view = view(&source.path, &tree);
    print(&if args.json { json(&view) } else { treetext::render(&view, paint) })
}

fn nobody(name: &str) -> Complaint {
    let what = format!("{name}: no such file, and no tree or process that runs has that name");
    Complaint::new(Exit::NotFound, what).advise("`atoll ps` shows who runs")
}

/// The tree as data.
#[must_use]
pub fn view(file: &str, tree: &Tree) -> TreeView {
    let processes = tree.processes();
    let shares = shares(&processes);
    let linked = tree.linked();
    let mut views: Vec<Option<ProcessView>> =
        processes.iter().map(|process| Some(process_view(process, &shares, linked))).collect();
    // Parents come before their children: from the back, each is complete when it is handed to its parent.
    for index in (1..views.len()).rev() {
        let parent = processes[index].info.parent.expect("only the root has no parent") as usize;
        let child = views[index].take().expect("each process has one parent");
        if let Some(parent) = &mut views[parent] {
            parent.children.insert(0, child);
        }
    }
    let root = views.swap_remove(0).expect("a tree has a root");
    TreeView { file: file.to_string(), root, faults: tree.faults().iter().map(FaultView::from).collect() }
}

/// One process of a tree as data, without its children.
#[must_use]
pub fn process(
    process: &tree::ProcessView<'_>,
    all: &[tree::ProcessView<'_>],
    linked: &Linked,
) -> ProcessView {
    process_view(process, &shares(all), linked)
}

/// In how many processes each library is loaded.
fn shares(processes: &[tree::ProcessView<'_>]) -> HashMap<[u8; 32], usize> {
    let mut shares = HashMap::new();
    for process in processes {
        let hashes: HashSet<[u8; 32]> = process.libs.iter().map(|library| library.hash).collect();
        for hash in hashes {
            *shares.entry(hash).or_default() += 1;
        }
    }
    shares
}

fn process_view(
    process: &tree::ProcessView<'_>,
    shares: &HashMap<[u8; 32], usize>,
    linked: &Linked,
) -> ProcessView {
    let mut libs: Vec<LibView> = Vec::new();
    for library in &process.libs {
        let hash = hex(&library.hash);
        match libs.iter_mut().find(|lib| lib.hash == hash) {
            Some(lib) => lib.instances += 1,
            None => libs.push(lib_view(library, hash, shares)),
        }
    }
    ProcessView {
        pid: process.id.index,
        generation: process.id.generation,
        path: process.info.path.clone(),
        component: process.info.component.clone(),
        state: process.state.to_string(),
        domain: process.info.place.domain,
        begins_domain: begins_domain(linked, process.info),
        libs,
        memory_bytes: process.memory_bytes,
        handles: process.handles,
        imports: imports(process.info, linked),
        children: Vec::new(),
    }
}

fn lib_view(library: &Library, hash: String, shares: &HashMap<[u8; 32], usize>) -> LibView {
    LibView {
        name: library.module.name.clone(),
        processes: shares.get(&library.hash).copied().unwrap_or(1),
        hash,
        instances: 1,
        code_bytes: library.code_bytes(),
    }
}

/// Imports that run; mere types have nobody who provides them.
fn imports(info: &ProcessInfo, linked: &Linked) -> Vec<ImportView> {
    let provided = info.imports.iter().filter_map(|(name, provider, known_as)| {
        let mut boundary = None;
        let provider = match provider {
            Provider::Static => return None,
            Provider::Missing => ProviderView::Missing,
            Provider::Host => ProviderView::Server { name: unversioned(known_as) },
            Provider::Process(index) => {
                let callee = &linked.processes()[*index as usize];
                boundary = linked.boundary(info, callee).map(|policy| BoundaryView {
                    on_fault: Reaction(policy.on_fault).to_string(),
                    deadline_ns: policy.deadline_ns,
                });
                ProviderView::Process { path: callee.path.clone() }
            }
        };
        Some(ImportView { name: name.clone(), provider, boundary })
    });
    provided.collect()
}

fn unversioned(name: &str) -> String {
    name.split(['@', '#']).next().unwrap_or_default().to_string()
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string never fails");
    }
    text
}
