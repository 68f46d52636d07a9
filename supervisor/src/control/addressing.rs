//! Which process, or which tree, a person means.
//!
//! ```text
//! 3                  the process with this pid         store            the process with this name
//! shop/store         the process with this path, or with the end of a path
//! 4711:3  4711:store shop:3                            the same in one tree, by the supervisor's number or the tree's name
//! shop  4711         a tree; where a process is meant, its root
//! ```
//!
//! What fits one thing is taken for that; what fits several is refused, and all of them are listed.

use abi::control::process_row::{ProcessRow, TreeSummary};

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::nearest::nearest;

/// How many candidates a complaint lists.
const LISTED: usize = 12;

/// A process of one of several trees: the tree's index, and the process's in it.
pub type Found = (usize, usize);

/// The processes that `text` can mean.
#[must_use]
pub fn find(trees: &[TreeSummary], text: &str) -> Vec<Found> {
    let mut found = matching(trees, text, |_| true);
    if found.is_empty()
        && let Some((of, rest)) = text.split_once(':')
    {
        found = matching(trees, rest, |tree| is_called(tree, of));
    }
    if found.is_empty() {
        // A tree stands for its root.
        let named = trees.iter().enumerate().filter(|(_, tree)| is_called(tree, text));
        found = named.map(|(index, _)| (index, 0)).collect();
    }
    found
}

/// The process that `text` names.
///
/// # Errors
/// There is none, or more than one.
pub fn process(trees: &[TreeSummary], text: &str) -> Result<Found, Complaint> {
    let found = find(trees, text);
    let list = |found: &[Found]| list(found.iter().map(|at| spelled(trees, *at)));
    match found[..] {
        [only] => Ok(only),
        [] => Err(unknown(trees, "process", text)),
        [first, ..] => Err(Complaint::new(Exit::NotFound, format!("`{text}` is {} processes", found.len()))
            .reason(list(&found))
            .advise(format!("say which, as one of these: `{}`", spelled(trees, first)))),
    }
}

/// The tree that `text` names: its name, the number of its supervisor, or one of its processes if no other has it. No text
/// names the only tree.
///
/// # Errors
/// There is none, or more than one.
pub fn tree(trees: &[TreeSummary], text: Option<&str>) -> Result<usize, Complaint> {
    let found: Vec<usize> =
        (0..trees.len()).filter(|index| text.is_none_or(|text| is_called(&trees[*index], text))).collect();
    match (&found[..], text) {
        ([only], _) => Ok(*only),
        ([], None) => Err(nothing()),
        ([], Some(text)) => {
            let text = text.strip_suffix(':').unwrap_or(text);
            match find(trees, text)[..] {
                [] => Err(unknown(trees, "tree", text)),
                _ => process(trees, text).map(|(tree, _)| tree),
            }
        }
        (several, text) => {
            let what = match text {
                Some(text) => format!("`{text}` is {} trees", several.len()),
                None => format!("{} trees run", several.len()),
            };
            let names = several.iter().map(|index| {
                let tree = &trees[*index];
                format!("{}  {}  {}", tree.os_pid, tree.name, tree.file)
            });
            let advice = format!("say which by its number: `{}`", trees[several[0]].os_pid);
            Err(Complaint::new(Exit::NotFound, what).reason(list(names)).advise(advice))
        }
    }
}

/// A process as it can be said without being mistaken.
#[must_use]
pub fn spelled(trees: &[TreeSummary], (tree, process): Found) -> String {
    let tree = &trees[tree];
    format!("{}:{}", tree.os_pid, tree.processes.get(process).map_or("", |process| &process.path))
}

/// What is said if nothing runs.
#[must_use]
pub fn nothing() -> Complaint {
    Complaint::new(Exit::NotFound, "no tree runs")
        .advise("`atoll up` brings one up from a manifest, `atoll run FILE` runs one component")
}

fn matching(trees: &[TreeSummary], text: &str, of: impl Fn(&TreeSummary) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, tree) in trees.iter().enumerate().filter(|(_, tree)| of(tree)) {
        let fitting = tree.processes.iter().enumerate().filter(|(_, process)| fits(process, text));
        let fitting: Vec<Found> = fitting.map(|(process, _)| (index, process)).collect();
        // A whole path is not mistaken for the end of another.
        let exact = fitting.iter().find(|(_, process)| is_path(&tree.processes[*process].path, text));
        match exact {
            Some(exact) => found.push(*exact),
            None => found.extend(fitting),
        }
    }
    found
}

fn is_path(path: &str, text: &str) -> bool {
    path == text || path.strip_prefix('/') == Some(text)
}

/// Whether text names a process: its pid, or the end of its path.
fn fits(process: &ProcessRow, text: &str) -> bool {
    if let Ok(pid) = text.parse::<u32>() {
        return process.pid == pid;
    }
    let end = text.strip_prefix('/').unwrap_or(text);
    let before = process.path.strip_suffix(end);
    !end.is_empty()
        && before.is_some_and(|before| before.ends_with('/') && (!text.starts_with('/') || before == "/"))
}

fn is_called(tree: &TreeSummary, text: &str) -> bool {
    tree.name == text || text.parse() == Ok(tree.os_pid)
}

fn unknown(trees: &[TreeSummary], what: &str, text: &str) -> Complaint {
    if trees.is_empty() {
        return nothing();
    }
    let said = match text.parse::<u32>() {
        Ok(number) if what == "process" => {
            format!("no process has the pid {number}, and no supervisor that number")
        }
        Ok(number) => format!("no supervisor has the number {number}, and no process that pid"),
        Err(_) => format!("no {what} is called `{text}`"),
    };
    let complaint = Complaint::new(Exit::NotFound, said);
    let processes = trees.iter().flat_map(|tree| &tree.processes);
    let names = processes.flat_map(|process| [process.name(), process.path.as_str()]);
    let complaint = match nearest(text, names.chain(trees.iter().map(|tree| &*tree.name))) {
        Some(near) => complaint.advise(format!("did you mean `{near}`?")),
        None => complaint,
    };
    complaint.advise("`atoll ps` shows who runs")
}

fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut lines: Vec<String> = names.take(LISTED).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use abi::control::process_row::{ProcessRow, TreeSummary};

    use super::{process, spelled, tree};
    use crate::paint::Paint;

    fn running(os_pid: u32, name: &str, processes: &[&str]) -> TreeSummary {
        let row =
            |(path, pid): (&&str, u32)| ProcessRow { pid, path: (*path).to_owned(), ..ProcessRow::default() };
        let file = format!("{name}.wasm");
        let processes = processes.iter().zip(1..).map(row).collect();
        TreeSummary { name: name.to_owned(), file, os_pid, processes, ..TreeSummary::default() }
    }

    #[test]
    fn names_find_what_they_name() {
        let shop = running(4711, "shop", &["/shop", "/shop/store", "/shop/cart", "/shop/cart/store"]);
        let blog = running(4802, "blog", &["/blog", "/blog/posts"]);
        let trees = [shop, blog];
        let found = |text: &str| process(&trees, text).ok().map(|at| spelled(&trees, at));
        for (text, path) in [
            ("3", "4711:/shop/cart"),
            ("cart", "4711:/shop/cart"),
            ("/shop/store", "4711:/shop/store"),
            ("shop/store", "4711:/shop/store"),
            ("cart/store", "4711:/shop/cart/store"),
            ("posts", "4802:/blog/posts"),
            ("4802:2", "4802:/blog/posts"),
            ("blog:1", "4802:/blog"),
            ("shop:cart", "4711:/shop/cart"),
            ("blog", "4802:/blog"),
            ("4711", "4711:/shop"),
        ] {
            assert_eq!(found(text).as_deref(), Some(path), "{text}");
        }
        for text in ["1", "store", "", "/store", "op/store", "5", "blog:store", "x:1", ":", "4711:"] {
            assert_eq!(found(text), None, "{text}");
        }
        let at = |text: Option<&str>| tree(&trees, text).ok();
        assert_eq!([at(Some("shop")), at(Some("4802")), at(Some("posts"))], [Some(0), Some(1), Some(1)]);
        assert_eq!([at(None), at(Some("nobody"))], [None, None]);
        assert_eq!(tree(&trees[..1], None).ok(), Some(0));
    }

    #[test]
    fn what_is_not_clear_is_listed() {
        let trees = [running(7, "a", &["/a", "/a/store"]), running(8, "a", &["/a", "/a/store"])];
        let said = |text: &str| process(&trees, text).unwrap_err().render(Paint::PLAIN);
        insta::assert_snapshot!(said("store"));
        insta::assert_snapshot!(said("stor"));
        insta::assert_snapshot!(tree(&trees, Some("a")).unwrap_err().render(Paint::PLAIN));
        insta::assert_snapshot!(tree(&[], None).unwrap_err().render(Paint::PLAIN));
    }
}
