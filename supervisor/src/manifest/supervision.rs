//! Who starts whom again: the supervisors of a manifest as one specification.

use std::collections::{BTreeMap, BTreeSet};

use kernel::component::linked::Linked;
use toml::Spanned;

use super::entries::Entry;
use super::keys::SupervisorTable;
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::limits::SUPERVISOR_DEPTH;
use crate::nearest::nearest;
use crate::tend::spec::{Child, Restart, Spec};

/// How many restarts a supervisor makes within its period if nothing is said: as OTP has it.
const INTENSITY: u32 = 1;
/// The period if nothing is said: as OTP has it.
const PERIOD_NS: u64 = 5_000_000_000;
/// How long a process may take to end if nothing is said: as OTP has it.
const SHUTDOWN_NS: u64 = 5_000_000_000;

/// A domain that is supervised: the process that it begins with stands for it.
struct Unit {
    path: String,
    restart: Restart,
    shutdown_ns: u64,
    /// Names of the manifest that are in it.
    names: Vec<String>,
}

/// The specification of the topmost supervisor. `runs` has the paths of processes whose `run` is called.
///
/// # Errors
/// A child that is not there, or that has two supervisors; supervisors that supervise each other.
pub fn spec(
    sheet: &Sheet,
    tree: &str,
    entries: &[Entry],
    linked: &Linked,
    runs: &BTreeSet<String>,
) -> Result<Spec, Complaint> {
    let units = units(tree, entries, linked, runs);
    let keys = sheet.keys.supervisor.clone().unwrap_or_default();
    let mut builder = Builder { sheet, units, named: BTreeMap::new(), claimed: BTreeMap::new() };
    for (name, table) in &keys.named {
        if builder.unit(name.get_ref()).is_some() {
            let what = format!("`{}` is a process; a supervisor needs another name", name.get_ref());
            return Err(sheet.complain(name.span(), what, "here"));
        }
        builder.named.insert(name.get_ref().clone(), table.clone());
    }
    builder.claim(tree, &keys.top)?;
    for (name, table) in &keys.named {
        builder.claim(name.get_ref(), table)?;
    }
    for name in keys.named.keys() {
        builder.reaches_top(tree, name)?;
    }
    builder.supervisor(tree, &keys.top, true, 0)
}

/// The domains that the manifest's processes begin, in start order.
fn units(tree: &str, entries: &[Entry], linked: &Linked, runs: &BTreeSet<String>) -> Vec<Unit> {
    let mut units: BTreeMap<usize, Unit> = BTreeMap::new();
    for entry in entries {
        let path = entry.path(tree);
        let Some(info) = linked.processes().iter().find(|process| process.path == path) else { continue };
        let mut processes = linked.processes().iter();
        let Some(first) = processes.position(|process| process.place.domain == info.place.domain) else {
            continue;
        };
        let begins = entry.keys.domain.is_some() || linked.processes()[first].path == path;
        if !begins && entry.is_inner() {
            continue;
        }
        let keys = &entry.keys;
        let unit = units.entry(first).or_insert_with(|| Unit {
            path: linked.processes()[first].path.clone(),
            restart: Restart::Permanent,
            shutdown_ns: SHUTDOWN_NS,
            names: Vec::new(),
        });
        match &keys.restart {
            Some(said) => unit.restart = said.get_ref().0.into(),
            // A command that has done its work is not done again.
            None if runs.contains(&path) => unit.restart = Restart::Transient,
            None => {}
        }
        if let Some(said) = &keys.shutdown {
            unit.shutdown_ns = said.get_ref().0.0;
        }
        unit.names.push(entry.name.clone());
    }
    units.into_values().collect()
}

struct Builder<'a> {
    sheet: &'a Sheet,
    units: Vec<Unit>,
    named: BTreeMap<String, SupervisorTable>,
    /// Whose child somebody is, by name: the supervisor, and where it says so.
    claimed: BTreeMap<String, (String, std::ops::Range<usize>)>,
}

impl Builder<'_> {
    fn unit(&self, name: &str) -> Option<usize> {
        self.units.iter().position(|unit| unit.names.iter().any(|other| other == name))
    }

    /// Notes the children that a supervisor names.
    fn claim(&mut self, supervisor: &str, table: &SupervisorTable) -> Result<(), Complaint> {
        for child in table.children.iter().flatten() {
            let name = child.get_ref();
            let key = match self.unit(name) {
                // Whoever names one process of a domain names all of it.
                Some(unit) => self.units[unit].path.clone(),
                None if self.named.contains_key(name) => name.clone(),
                None => return Err(self.no_such_child(child)),
            };
            if let Some((other, place)) = self.claimed.get(&key) {
                let what = match other == supervisor {
                    true => {
                        format!("`{name}` is a child of `{supervisor}` already, by itself or with its domain")
                    }
                    false => format!("`{name}` is a child of `{other}` and of `{supervisor}`"),
                };
                let complaint = self.sheet.complain(child.span(), what, "here");
                let complaint = self.sheet.point(complaint, place.clone(), "and here");
                return Err(
                    complaint.advise("a child has one supervisor; processes of one domain are one child")
                );
            }
            self.claimed.insert(key, (supervisor.to_owned(), child.span()));
        }
        Ok(())
    }

    fn no_such_child(&self, child: &Spanned<String>) -> Complaint {
        let what = format!("there is no process or supervisor `{}` to be a child", child.get_ref());
        let complaint = self.sheet.complain(child.span(), what, "here");
        let processes = self.units.iter().flat_map(|unit| &unit.names);
        let names = processes.chain(self.named.keys()).map(String::as_str);
        match nearest(child.get_ref(), names) {
            Some(near) => complaint.advise(format!("did you mean `{near}`?")),
            None => complaint
                .advise("an instance inside of a component is one if it begins a domain: isolate = true"),
        }
    }

    /// Whoever supervises a supervisor is in the end the topmost.
    fn reaches_top(&self, tree: &str, supervisor: &Spanned<String>) -> Result<(), Complaint> {
        let mut name = supervisor.get_ref().as_str();
        let mut way = vec![name];
        // Every step is along another supervisor, or the way comes round.
        while let Some((above, place)) = self.claimed.get(name) {
            if above == tree {
                return Ok(());
            }
            way.push(above);
            if way[..way.len() - 1].contains(&above.as_str()) {
                let what = format!("supervisors that supervise each other: {}", way.join(" → "));
                let complaint = self.sheet.complain(place.clone(), what, "here");
                return Err(
                    complaint.advise("an arrow leads from a child to its supervisor; take one child away")
                );
            }
            name = above;
        }
        Ok(())
    }

    fn supervisor(
        &self,
        name: &str,
        table: &SupervisorTable,
        top: bool,
        depth: usize,
    ) -> Result<Spec, Complaint> {
        if depth > SUPERVISOR_DEPTH {
            let what =
                format!("{}: supervisors are nested more than {SUPERVISOR_DEPTH} deep", self.sheet.path);
            return Err(Complaint::refused(what).advise("does one of them have itself below it?"));
        }
        // What nobody names is the topmost one's.
        let mine = |key: &str| match self.claimed.get(key) {
            Some((supervisor, _)) => supervisor == name,
            None => top,
        };
        let mut children = Vec::new();
        for (position, unit) in self.units.iter().enumerate().filter(|(_, unit)| mine(&unit.path)) {
            let Unit { path, restart, shutdown_ns, .. } = unit;
            let child = Child::Process { path: path.clone(), restart: *restart, shutdown_ns: *shutdown_ns };
            children.push((position, child));
        }
        for (other, table) in self.named.iter().filter(|(other, _)| mine(other)) {
            let spec = self.supervisor(other, table, false, depth + 1)?;
            // It starts when the first of its processes does.
            let position =
                first_path(&spec).and_then(|path| self.units.iter().position(|unit| unit.path == path));
            children.push((position.unwrap_or(usize::MAX), Child::Supervisor(spec)));
        }
        children.sort_by_key(|(position, _)| *position);
        Ok(Spec {
            name: name.to_owned(),
            strategy: table.strategy.map(|said| said.0.into()).unwrap_or_default(),
            intensity: table.intensity.as_ref().map_or(INTENSITY, |said| *said.get_ref()),
            period_ns: table.period.map_or(PERIOD_NS, |said| said.0.0),
            children: children.into_iter().map(|(_, child)| child).collect(),
        })
    }
}

fn first_path(spec: &Spec) -> Option<&str> {
    spec.children.iter().find_map(|child| match child {
        Child::Process { path, .. } => Some(path.as_str()),
        Child::Supervisor(spec) => first_path(spec),
    })
}
