//! Keys that are right by themselves, and of which one has no effect beside the other: they are refused, with why.

use std::collections::HashMap;
use std::ops::Range;

use kernel::component::linked::{Linked, ProcessInfo, Provider};

use super::entries::Entry;
use super::keys::{EdgeKeys, ProcessKeys};
use super::said::{PlacementWord, Said, StdoutTo};
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::limits::LOG_LINES_MOST;

/// Checks what can be seen without the components.
///
/// # Errors
/// Keys that cannot be together, or a key that says nothing.
pub fn check(sheet: &Sheet, entries: &[Entry]) -> Result<(), Complaint> {
    for entry in entries {
        logs(sheet, entry)?;
        dirs(sheet, entry)?;
        variables(sheet, entry)?;
        worker(sheet, entry)?;
    }
    edges(sheet)?;
    supervisors(sheet)
}

/// Checks what depends on who calls whom, and in which domains they are.
///
/// # Errors
/// As [`check`].
pub fn check_linked(sheet: &Sheet, tree: &str, entries: &[Entry], linked: &Linked) -> Result<(), Complaint> {
    for entry in entries {
        let path = entry.path(tree);
        reactions(sheet, entry, &path, linked)?;
        dump(sheet, tree, entries, entry, linked)?;
    }
    Ok(())
}

fn logs(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    let ProcessKeys { grants, logs, .. } = &entry.keys;
    let logged = |to: Option<Said<StdoutTo>>| to.is_none_or(|to| to.0 == StdoutTo::Log);
    if let Some(file) = logs.file.as_ref().filter(|_| !logged(grants.stdout) && !logged(grants.stderr)) {
        let what =
            format!("nothing that `{}` prints is logged: its `logs` have no use for a file", entry.name);
        let complaint = sheet.complain(file.span(), what, "stays empty");
        return Err(
            complaint.advise("let `stdout` or `stderr` in its grants be \"log\", or take the file away")
        );
    }
    match &logs.lines {
        Some(lines) if lines.get_ref().0.0 as usize > LOG_LINES_MOST => {
            let what = format!("{} lines are too many to be kept", lines.get_ref().0.0);
            let complaint = sheet.complain(lines.span(), what, format!("at most {LOG_LINES_MOST}"));
            Err(complaint.advise("`logs = { file = \"FILE\" }` keeps everything"))
        }
        _ => Ok(()),
    }
}

/// A guest finds a folder by its name there: of two with one name it would find the first.
fn dirs(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    let mut known: HashMap<&str, Range<usize>> = HashMap::new();
    for dir in &entry.keys.grants.dirs {
        let guest = dir.get_ref().0.guest.as_str();
        if let Some(before) = known.insert(guest, dir.span()) {
            let what = format!("`{}` would have two folders called `{guest}`", entry.name);
            let complaint = sheet.complain(dir.span(), what, "the second");
            return Err(sheet.point(complaint, before, "the first").advise("give each a name of its own"));
        }
    }
    Ok(())
}

fn variables(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    let wrong = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    match entry.keys.grants.env.iter().find(|(name, _)| wrong(name.get_ref())) {
        Some((name, _)) => {
            let what = format!("`{}` is no name of an environment variable", name.get_ref());
            let complaint = sheet.complain(name.span(), what, "here");
            Err(complaint.advise("a name is not empty and has no `=` in it"))
        }
        None => Ok(()),
    }
}

fn worker(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    let (Some(place), Some(workers)) = (&entry.keys.placement, &sheet.keys.machine.workers) else {
        return Ok(());
    };
    let count = workers.get_ref().0.0 as usize;
    match place.get_ref().0 {
        PlacementWord::Worker(number) if number >= count => {
            let what = format!(
                "`{}` is to run at worker {number}, and the machine has {count}, counted from 0",
                entry.name
            );
            let complaint = sheet.complain(place.span(), what, "there is no such worker");
            let complaint = sheet.point(complaint, workers.span(), "so many");
            Err(complaint.advise("choose another worker, or give the machine more"))
        }
        _ => Ok(()),
    }
}

fn edges(sheet: &Sheet) -> Result<(), Complaint> {
    let mut known: HashMap<[&str; 2], Range<usize>> = HashMap::new();
    for edge in &sheet.keys.edge {
        let EdgeKeys { from, to, on_fault, deadline } = edge.get_ref();
        // An edge without an end is complained of elsewhere.
        let (Some(from), Some(to)) = (from, to) else { continue };
        let (from, to) = (from.get_ref().as_str(), to.get_ref().as_str());
        if on_fault.is_none() && deadline.is_none() {
            let what = format!("nothing is said of the edge from `{from}` to `{to}`");
            let complaint = sheet.complain(edge.span(), what, "this edge");
            return Err(complaint.advise("say what holds for its calls: `on-fault`, `deadline`"));
        }
        if let Some(before) = known.insert([from, to], edge.span()) {
            let what = format!("the edge from `{from}` to `{to}` is there twice");
            let complaint = sheet.complain(edge.span(), what, "the second");
            return Err(sheet
                .point(complaint, before, "the first")
                .advise("say all of an edge in one place"));
        }
    }
    Ok(())
}

fn supervisors(sheet: &Sheet) -> Result<(), Complaint> {
    let named = sheet.keys.supervisor.iter().flat_map(|keys| &keys.named);
    for (name, table) in named {
        if table.children.as_ref().is_none_or(Vec::is_empty) {
            let what = format!("supervisor `{}` has no children: it has nothing to do", name.get_ref());
            let complaint = sheet.complain(name.span(), what, "this supervisor");
            return Err(complaint.advise("name them: children = [\"PROCESS\", \"SUPERVISOR\"]"));
        }
    }
    Ok(())
}

/// Somebody in another domain calls a process of which it is said what its callers get.
fn reactions(sheet: &Sheet, entry: &Entry, path: &str, linked: &Linked) -> Result<(), Complaint> {
    let ProcessKeys { on_fault, deadline, .. } = &entry.keys;
    let on_fault = on_fault.as_ref().map(|said| ("on-fault", said.span()));
    let Some((key, span)) = on_fault.or(deadline.as_ref().map(|said| ("deadline", said.span()))) else {
        return Ok(());
    };
    let calls = |process: &ProcessInfo| {
        process.imports.iter().any(|(_, provider, _)| {
            let Provider::Process(provider) = provider else { return false };
            let provider = &linked.processes()[*provider as usize];
            is_within(&provider.path, path) && provider.place.domain != process.place.domain
        })
    };
    if linked.processes().iter().any(calls) {
        return Ok(());
    }
    let what =
        format!("no process of another domain calls `{}`, and `{key}` is for those who do", entry.name);
    let complaint = sheet.complain(span, what, "is for nobody");
    Err(complaint
        .advise("take it away; who calls from outside, as `atoll call` does, says how long it waits"))
}

/// What is in an operating-system process of its own ends with that, and nothing is left to dump.
fn dump(
    sheet: &Sheet,
    tree: &str,
    entries: &[Entry],
    entry: &Entry,
    linked: &Linked,
) -> Result<(), Complaint> {
    let Some(dump) = entry.keys.dump.as_ref().filter(|dump| *dump.get_ref()) else { return Ok(()) };
    let domain = |entry: &Entry| {
        let path = entry.path(tree);
        linked.processes().iter().find(|process| process.path == path).map(|process| process.place.domain)
    };
    let apart = entries.iter().filter(|other| domain(other) == domain(entry));
    let mut apart = apart.filter_map(|other| other.keys.placement.as_ref());
    match apart.find(|place| place.get_ref().0 == PlacementWord::Process) {
        Some(place) => {
            let what = format!(
                "`{}` leaves no core dump: its memory ends with the operating-system process that it is in",
                entry.name
            );
            let complaint = sheet.complain(dump.span(), what, "has no effect");
            let complaint = sheet.point(complaint, place.span(), "it is placed here");
            Err(complaint.advise("place it elsewhere while you look for its fault, or take `dump` away"))
        }
        None => Ok(()),
    }
}

/// Whether a process is the one with this path, or below it.
pub fn is_within(process: &str, path: &str) -> bool {
    process.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
