//! `atoll ps`: every process of every tree, a line each.

use abi::control::process_row::{Condition, ProcessRow, TreeSummary};

use super::columns::{Cell, Side, harmless, span, table, thousands, width};
use super::watchargs::Ps;
use crate::complaint::Complaint;
use crate::console::{Paints, Trouble, print};
use crate::control::dialing::{self, Dialed, unreachable};
use crate::control::{addressing, runtime_dir};
use crate::exit_code::Exit;
use crate::jsontext::json;
use crate::paint::{Paint, Role};
use crate::treetext::{bytes, count};

/// Trees that run, and the lines to their supervisors, in the same order.
#[derive(Debug, Default)]
pub struct Running {
    /// What each is.
    pub trees: Vec<TreeSummary>,
    /// A line to each.
    pub lines: Vec<Dialed>,
    /// Supervisors that do not answer, and why; a folder of sockets that is not looked into.
    pub silent: Vec<Complaint>,
}

impl Running {
    /// Those of this user.
    #[must_use]
    pub fn of_user() -> Running {
        let mut running = Running::default();
        for answered in dialing::trees() {
            match answered.tree {
                Ok((tree, line)) => {
                    running.trees.push(tree);
                    running.lines.push(line);
                }
                Err(error) => running.silent.push(unreachable(answered.os_pid, error)),
            }
        }
        let unused = runtime_dir::unused().into_iter();
        let unused =
            unused.map(|error| Complaint::new(Exit::Failed, "sockets are not looked for").because(error));
        running.silent.extend(unused);
        running
    }

    /// The process that a person names, and a line to its supervisor.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn process(mut self, name: &str) -> Result<(TreeSummary, usize, Dialed), Complaint> {
        let (tree, process) =
            addressing::process(&self.trees, name).map_err(|none| self.perhaps_silent(none))?;
        Ok((self.trees.swap_remove(tree), process, self.lines.swap_remove(tree)))
    }

    /// The tree that a person names, and a line to its supervisor.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn tree(mut self, name: Option<&str>) -> Result<(TreeSummary, Dialed), Complaint> {
        let tree = addressing::tree(&self.trees, name).map_err(|none| self.perhaps_silent(none))?;
        Ok((self.trees.swap_remove(tree), self.lines.swap_remove(tree)))
    }

    /// Who is not found may be with somebody who does not answer.
    #[must_use]
    pub fn perhaps_silent(&self, none: Complaint) -> Complaint {
        let said: Vec<String> = self.silent.iter().map(Complaint::in_one_line).collect();
        if said.is_empty() {
            return none;
        }
        if !self.trees.is_empty() {
            return said.into_iter().fold(none, Complaint::advise);
        }
        let silence = Complaint::new(Exit::Failed, "no tree answers").reason(said.join("\n"));
        self.silent.iter().flat_map(Complaint::advice).fold(silence, Complaint::advise)
    }
}

/// Prints them.
///
/// # Errors
/// Nothing has that name.
pub fn ps(args: &Ps, paints: Paints) -> Result<Exit, Trouble> {
    let running = Running::of_user();
    for silent in &running.silent {
        eprintln!("note: {}", silent.in_one_line());
    }
    let trees = match &args.name {
        None => running.trees,
        Some(name) => vec![below(&running.trees, name)?],
    };
    if args.json {
        return print(&json(&trees));
    }
    if trees.is_empty() && running.silent.is_empty() {
        eprintln!(
            "no tree runs: `atoll up` brings one up from a manifest, `atoll run FILE` runs one component"
        );
    }
    print(&render(&trees, width(), paints.out))
}

/// One tree, or the part of it that is a process and those below it.
fn below(trees: &[TreeSummary], name: &str) -> Result<TreeSummary, Complaint> {
    if let Ok(tree) = addressing::tree(trees, Some(name))
        && trees[tree].name == name
    {
        return Ok(trees[tree].clone());
    }
    let (tree, process) = addressing::process(trees, name)?;
    let mut tree = trees[tree].clone();
    let top = tree.processes[process].path.clone();
    tree.processes.retain(|process| {
        process.path.strip_prefix(&top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    Ok(tree)
}

const HEADINGS: [(&str, Side); 8] = [
    ("PID", Side::Right),
    ("GEN", Side::Right),
    ("NAME", Side::Left),
    ("CPU", Side::Right),
    ("MEMORY", Side::Right),
    ("CALLS", Side::Right),
    ("AGE", Side::Right),
    ("STATE", Side::Left),
];

/// Trees below each other, each with a headline.
#[must_use]
pub fn render(trees: &[TreeSummary], width: Option<usize>, paint: Paint) -> String {
    let mut text = String::new();
    for tree in trees {
        if !text.is_empty() {
            text.push('\n');
        }
        let counts = format!(
            "{}, {}, up {}",
            count(tree.processes.len(), "process"),
            count(tree.domains.len(), "domain"),
            span(tree.age_ns)
        );
        text.push_str(&format!(
            "{}  {}  {}  {}\n",
            paint.text(Role::Name, harmless(&tree.name)),
            tree.os_pid,
            harmless(&tree.file),
            paint.text(Role::Aside, counts)
        ));
        let rows: Vec<Vec<Cell>> = tree.processes.iter().map(row).collect();
        text.push_str(&table(&HEADINGS, &rows, width, paint));
    }
    text
}

fn row(process: &ProcessRow) -> Vec<Cell> {
    let path = process.path.strip_prefix('/').unwrap_or(&process.path);
    vec![
        (process.pid.to_string(), None),
        (process.generation.to_string(), None),
        (harmless(path), Some(Role::Name)),
        (span(process.cpu_ns), None),
        (bytes(process.memory_bytes), None),
        (thousands(process.calls), None),
        (span(process.age_ns), None),
        (harmless(&process.story()), role(&process.condition)),
    ]
}

/// How a state looks.
#[must_use]
pub fn role(condition: &Condition) -> Option<Role> {
    match condition {
        Condition::Faulted { .. } => Some(Role::Bad),
        Condition::Running => Some(Role::Good),
        Condition::Waiting { .. } | Condition::WaitingForHost => Some(Role::Note),
        Condition::Exited { .. } => Some(Role::Aside),
        Condition::Starting | Condition::Ready => None,
    }
}

#[cfg(test)]
mod tests {
    use abi::control::process_row::{Condition, ProcessRow, Supervision, TreeSummary};

    use super::{below, render};
    use crate::paint::Paint;

    fn tree() -> TreeSummary {
        let row = |pid, path: &str, condition| ProcessRow {
            pid,
            path: path.to_owned(),
            condition,
            memory_bytes: 65536 * u64::from(pid),
            calls: 1234 * u64::from(pid),
            cpu_ns: 1_200_000,
            age_ns: 12_000_000_000,
            ..ProcessRow::default()
        };
        let waiting = Condition::Waiting { path: "/shop/store".to_owned(), generation: 2, mailbox: 3 };
        let (trap, place) = ("out of bounds memory access".to_owned(), Some("store#get".to_owned()));
        let supervised =
            Supervision { restart: "permanent".to_owned(), restarts: 2, ..Supervision::default() };
        let mut store = row(3, "/shop/store", Condition::Faulted { trap, place });
        (store.generation, store.supervised) = (2, Some(supervised));
        let processes = vec![
            row(1, "/shop", Condition::Ready),
            row(2, "/shop/cart", waiting),
            store,
            row(4, "/shop/bell\x1b[2J", Condition::WaitingForHost),
        ];
        TreeSummary {
            name: "shop".to_owned(),
            file: "examples/shop/atoll.toml".to_owned(),
            os_pid: 4711,
            age_ns: 12_300_000_000,
            processes,
            domains: vec![Default::default()],
        }
    }

    #[test]
    fn lists_what_runs() {
        insta::assert_snapshot!(render(&[tree()], None, Paint::PLAIN));
        insta::assert_snapshot!(render(&[tree()], Some(72), Paint::PLAIN));
    }

    #[test]
    fn a_part_of_a_tree_is_a_process_with_those_below_it() {
        let trees = [tree()];
        let paths = |name: &str| {
            let part = below(&trees, name).unwrap();
            part.processes.into_iter().map(|process| process.pid).collect::<Vec<u32>>()
        };
        assert_eq!(paths("shop"), [1, 2, 3, 4]);
        assert_eq!(paths("cart"), [2]);
        assert!(below(&trees, "nobody").is_err());
    }
}
