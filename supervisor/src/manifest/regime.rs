//! What holds in a tree: which processes share a domain, what holds for calls between them, what they may use.

use std::collections::BTreeMap;
use std::ops::Range;

use ipc::system::{Place, Placement};
use kernel::component::linked::{Linked, ProcessInfo, Provider};
use kernel::component::options::{EdgeRule, Isolate, LinkOptions};
use kernel::component::port::EdgePolicy;
use kernel::quota::Quotas;
use toml::Spanned;

use super::combining::is_within;
use super::entries::Entry;
use super::keys::{ProcessKeys, QuotaKeys};
use super::said::{PlacementWord, Said};
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::confine::{Limits, Named};
use crate::nearest::nearest;

/// What holds in a tree.
#[derive(Clone, Debug)]
pub struct Regime {
    limits: Limits,
    places: BTreeMap<u32, Place>,
}

/// How a tree is linked: its domains, and what holds on its edges.
///
/// # Errors
/// An edge that leads from or to nobody.
pub fn link_options(sheet: &Sheet, tree: &str, entries: &[Entry]) -> Result<LinkOptions, Complaint> {
    let mut groups = BTreeMap::new();
    for entry in entries {
        if let Some(group) = group(entry, tree) {
            groups.insert(entry.path(tree), group);
        }
    }
    let mut options = LinkOptions::new(tree);
    options.isolate = Isolate::Grouped(groups);
    options.edge = EdgePolicy {
        on_fault: sheet.keys.on_fault.map(|said| said.0.0).unwrap_or_default(),
        deadline_ns: sheet.keys.deadline.map(|said| said.0.0),
    };
    // The first rule that fits counts: edges before processes, what is inside before what it is in.
    let edges = sheet.keys.edge.iter().map(|edge| edge_rule(sheet, tree, entries, edge, options.edge));
    options.edges = edges.collect::<Result<_, _>>()?;
    let depth = |path: &str| path.matches('/').count();
    options.edges.sort_by_key(|rule| {
        std::cmp::Reverse((depth(&rule.callee), rule.caller.as_deref().map_or(0, depth)))
    });
    let mut inner_first: Vec<&Entry> = entries.iter().collect();
    inner_first.sort_by_key(|entry| std::cmp::Reverse(entry.name.matches('/').count()));
    for entry in inner_first {
        // Also where that is what holds for all: what it is in may say something else.
        if entry.keys.on_fault.is_some() || entry.keys.deadline.is_some() {
            let policy = of_process(entries, &entry.name, options.edge);
            options.edges.push(EdgeRule { caller: None, callee: entry.path(tree), policy });
        }
    }
    Ok(options)
}

/// The word that the domain of a process has; none if it is in that of its parent.
fn group(entry: &Entry, tree: &str) -> Option<String> {
    let isolate = entry.keys.isolate.as_ref().map(|isolate| *isolate.get_ref());
    match &entry.keys.domain {
        // Paths begin with a slash: a word is never one.
        Some(domain) => Some(format!("domain {}", domain.get_ref())),
        None => isolate.unwrap_or(!entry.is_inner()).then(|| entry.path(tree)),
    }
}

/// What callers of a process of this name get: what is said of it and of those that it is in, the innermost first.
fn of_process(entries: &[Entry], name: &str, usual: EdgePolicy) -> EdgePolicy {
    let around = entries.iter().filter(|entry| is_within(name, &entry.name));
    let mut around: Vec<&Entry> = around.collect();
    around.sort_by_key(|entry| entry.name.len());
    around.iter().fold(usual, |usual, entry| {
        let ProcessKeys { on_fault, deadline, .. } = &entry.keys;
        EdgePolicy {
            on_fault: on_fault.as_ref().map_or(usual.on_fault, |said| said.get_ref().0.0),
            deadline_ns: deadline.as_ref().map_or(usual.deadline_ns, |said| Some(said.get_ref().0.0)),
        }
    })
}

fn edge_rule(
    sheet: &Sheet,
    tree: &str,
    entries: &[Entry],
    edge: &Spanned<super::keys::EdgeKeys>,
    usual: EdgePolicy,
) -> Result<EdgeRule, Complaint> {
    let keys = edge.get_ref();
    let end = |end: &Option<Spanned<String>>, key: &str| match end {
        Some(name) => Ok(name.clone()),
        None => {
            let complaint = sheet.complain(edge.span(), format!("an edge has no `{key}`"), "this edge");
            Err(complaint
                .advise("write: [[edge]] from = \"front\", to = \"cart\" and what holds for its calls"))
        }
    };
    let (from, to) = (end(&keys.from, "from")?, end(&keys.to, "to")?);
    for name in [&from, &to] {
        let outermost = name.get_ref().split('/').next().unwrap_or_default();
        if !entries.iter().any(|entry| entry.name == outermost) {
            let what = format!("there is no process `{}`", name.get_ref());
            let complaint = sheet.complain(name.span(), what, "here");
            let names = entries.iter().map(|entry| entry.name.as_str());
            return Err(match nearest(name.get_ref(), names) {
                Some(near) => complaint.advise(format!("did you mean `{near}`?")),
                None => complaint,
            });
        }
    }
    let usual = of_process(entries, to.get_ref(), usual);
    let policy = EdgePolicy {
        on_fault: keys.on_fault.map_or(usual.on_fault, |said| said.0.0),
        deadline_ns: keys.deadline.map_or(usual.deadline_ns, |said| Some(said.0.0)),
    };
    let path = |name: &Spanned<String>| format!("/{tree}/{}", name.get_ref());
    Ok(EdgeRule { caller: Some(path(&from)), callee: path(&to), policy })
}

impl Regime {
    /// What holds in a tree that has been linked.
    ///
    /// # Errors
    /// A process that is not there, an edge over which nobody calls, domains that wait for each other, a setting of
    /// domains for what begins none, or two of one kind for a domain.
    pub fn of(sheet: &Sheet, tree: &str, entries: &[Entry], linked: &Linked) -> Result<Regime, Complaint> {
        let checker = Checker { sheet, tree, entries, linked };
        checker.inner()?;
        checker.edges()?;
        checker.cycles()?;
        let mut regime = Regime { limits: Limits::default(), places: BTreeMap::new() };
        regime.limit(&sheet.keys.quotas, None, None);
        for entry in entries {
            let info = checker.info(&entry.path(tree)).expect("it is there: that has been checked");
            let domain = checker.first_of(info.place.domain);
            regime.limit(&entry.keys.quotas, Some(&info.path), Some(&domain.path));
            if let Some(place) = &entry.keys.placement {
                regime.places.insert(info.place.domain, placed(place.get_ref().0));
            }
        }
        checker.domain_settings()?;
        Ok(regime)
    }

    /// Notes quotas: those of a process and those of its domain.
    fn limit(&mut self, quotas: &QuotaKeys, process: Option<&str>, domain: Option<&str>) {
        fn note<T: Copy>(into: &mut Vec<Named<T>>, value: &Option<Spanned<Said<T>>>, name: Option<&str>) {
            if let Some(value) = value {
                into.push(Named { name: name.map(str::to_owned), value: value.get_ref().0 });
            }
        }
        let limits = &mut self.limits;
        note(&mut limits.memory, &quotas.memory, process);
        note(&mut limits.table_elements, &quotas.table_elements, process);
        note(&mut limits.handles, &quotas.handles, process);
        note(&mut limits.stack, &quotas.stack, process);
        note(&mut limits.call_time, &quotas.call_time, domain);
        note(&mut limits.cpu_cap, &quotas.cpu_cap, domain);
        note(&mut limits.cpu_weight, &quotas.cpu_weight, domain);
        note(&mut limits.mailbox, &quotas.mailbox, domain);
        note(&mut limits.message, &quotas.message, domain);
    }

    /// How a domain is to run.
    #[must_use]
    pub fn placement(&self, linked: &Linked, domain: u32) -> Placement {
        let first = linked.processes().iter().find(|process| process.place.domain == domain);
        let mut placement = first.map_or_else(Placement::default, |first| self.limits.placement(first));
        if let Some(place) = self.places.get(&domain) {
            placement.place = *place;
        }
        placement
    }

    /// What processes may hold.
    #[must_use]
    pub fn quotas(&self, linked: &Linked) -> Quotas {
        self.limits.quotas(linked)
    }
}

fn placed(word: PlacementWord) -> Place {
    match word {
        PlacementWord::Anywhere => Place::Anywhere,
        PlacementWord::Worker(number) => Place::Worker(number),
        PlacementWord::Process => Place::OwnProcess,
    }
}

/// The settings that are a domain's, of those that are written for a process.
fn domain_settings(keys: &ProcessKeys) -> Vec<(&'static str, Range<usize>)> {
    let QuotaKeys { call_time, cpu_cap, cpu_weight, mailbox, message, .. } = &keys.quotas;
    let settings = [
        ("placement", keys.placement.as_ref().map(Spanned::span)),
        ("restart", keys.restart.as_ref().map(Spanned::span)),
        ("shutdown", keys.shutdown.as_ref().map(Spanned::span)),
        ("call-time", call_time.as_ref().map(Spanned::span)),
        ("cpu-cap", cpu_cap.as_ref().map(Spanned::span)),
        ("cpu-weight", cpu_weight.as_ref().map(Spanned::span)),
        ("mailbox", mailbox.as_ref().map(Spanned::span)),
        ("message", message.as_ref().map(Spanned::span)),
    ];
    settings.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
}

struct Checker<'a> {
    sheet: &'a Sheet,
    tree: &'a str,
    entries: &'a [Entry],
    linked: &'a Linked,
}

impl<'a> Checker<'a> {
    fn info(&self, path: &str) -> Option<&'a ProcessInfo> {
        self.linked.processes().iter().find(|process| process.path == path)
    }

    /// The process with which a domain begins.
    fn first_of(&self, domain: u32) -> &'a ProcessInfo {
        let mut processes = self.linked.processes().iter();
        processes.find(|process| process.place.domain == domain).expect("a domain begins with a process")
    }

    /// A process by what the manifest calls it.
    fn short<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or(path, |(_, name)| name)
    }

    /// Instances inside of components are there.
    fn inner(&self) -> Result<(), Complaint> {
        for entry in self.entries {
            if self.info(&entry.path(self.tree)).is_some() {
                continue;
            }
            let outermost = entry.outermost();
            let what = format!("there is no instance `{}`", entry.name);
            let complaint = self.sheet.complain(entry.place.clone(), what, "here");
            let within = format!("/{}/{outermost}/", self.tree);
            let paths = self.linked.processes().iter().map(|process| process.path.as_str());
            let inside: Vec<&str> =
                paths.filter(|path| path.starts_with(&within)).map(|path| self.short(path)).collect();
            return Err(match (nearest(&entry.name, inside.iter().copied()), inside.as_slice()) {
                (Some(near), _) => complaint.advise(format!("did you mean `{near}`?")),
                (None, []) => complaint.advise(format!("there are no instances inside of `{outermost}`")),
                (None, some) => {
                    let some: Vec<&str> = some.iter().copied().take(12).collect();
                    complaint.advise(format!("inside of `{outermost}` there are {}", some.join(", ")))
                }
            });
        }
        Ok(())
    }

    /// Somebody calls over every edge that something is said of, and over a boundary.
    fn edges(&self) -> Result<(), Complaint> {
        for edge in &self.sheet.keys.edge {
            let (Some(from), Some(to)) = (&edge.get_ref().from, &edge.get_ref().to) else { continue };
            let path = |name: &Spanned<String>| format!("/{}/{}", self.tree, name.get_ref());
            let (caller, callee) = (path(from), path(to));
            let callers = self.linked.processes().iter();
            let callers = callers.filter(|process| is_within(&process.path, &caller));
            let mut called = Vec::new();
            for process in callers {
                for (_, provider, _) in &process.imports {
                    let Provider::Process(provider) = provider else { continue };
                    let provider = &self.linked.processes()[*provider as usize];
                    if is_within(&provider.path, &callee) {
                        called.push(provider.place.domain != process.place.domain);
                    }
                }
            }
            let (from, to) = (from.get_ref(), to.get_ref());
            if called.is_empty() {
                let what = format!("`{from}` imports nothing of `{to}`: there is no such edge");
                let complaint = self.sheet.complain(edge.span(), what, "this edge");
                return Err(complaint.advise("`atoll check` shows the wiring"));
            }
            if !called.contains(&true) {
                let what = format!(
                    "`{from}` and `{to}` are in one domain: nothing holds for their calls but that they are calls"
                );
                let complaint = self.sheet.complain(edge.span(), what, "this edge");
                return Err(complaint.advise("let them be in different domains, or take the edge away"));
            }
        }
        Ok(())
    }

    /// A domain serves one call at a time: if calls come round, the last one waits for the first for ever.
    fn cycles(&self) -> Result<(), Complaint> {
        let count = self.linked.domains();
        let mut calls: Vec<Vec<u32>> = vec![Vec::new(); count];
        for process in self.linked.processes() {
            for (_, provider, _) in &process.imports {
                let Provider::Process(provider) = provider else { continue };
                let callee = self.linked.processes()[*provider as usize].place.domain;
                let caller = process.place.domain;
                if callee != caller && !calls[caller as usize].contains(&callee) {
                    calls[caller as usize].push(callee);
                }
            }
        }
        let Some(cycle) = cycle(&calls) else { return Ok(()) };
        let mut names: Vec<String> =
            cycle.iter().map(|domain| self.short(&self.first_of(*domain).path).to_owned()).collect();
        names.push(names[0].clone());
        let what =
            format!("calls between domains come round, and would wait for themselves: {}", names.join(" → "));
        let within = |entry: &&Entry| {
            self.info(&entry.path(self.tree)).is_some_and(|info| cycle.contains(&info.place.domain))
        };
        let mut places = self.entries.iter().filter(within).map(|entry| entry.place.clone());
        let first = places.next().unwrap_or(0..0);
        let mut complaint = self.sheet.complain(first, what, "in this cycle");
        for place in places.take(8) {
            complaint = self.sheet.point(complaint, place, "in this cycle");
        }
        Err(complaint.advise("give them domains of their own, or one together"))
    }

    /// What is a domain's is said for one that is begun here, and once.
    fn domain_settings(&self) -> Result<(), Complaint> {
        let mut said: BTreeMap<(u32, &str), (&Entry, Range<usize>)> = BTreeMap::new();
        for entry in self.entries {
            let begins = group(entry, self.tree).is_some();
            let info = self.info(&entry.path(self.tree)).expect("it is there: that has been checked");
            for (key, span) in domain_settings(&entry.keys) {
                if !begins {
                    let what = format!("`{key}` is a matter of domains, and `{}` begins none", entry.name);
                    let complaint = self.sheet.complain(span, what, "not here");
                    let advice = match entry.is_inner() {
                        true => "let it begin one: isolate = true",
                        false => "let it begin one: take `isolate = false` away",
                    };
                    return Err(complaint.advise(advice));
                }
                if let Some((other, before)) = said.insert((info.place.domain, key), (entry, span.clone())) {
                    let (a, b) = (&other.name, &entry.name);
                    let what = format!("`{a}` and `{b}` are in one domain, which has one `{key}`");
                    let complaint = self.sheet.complain(span, what, "said again");
                    return Err(self.sheet.point(complaint, before, "said here").advise("say it once"));
                }
            }
        }
        Ok(())
    }
}

/// Domains that call each other in a circle, if some do.
fn cycle(calls: &[Vec<u32>]) -> Option<Vec<u32>> {
    // Those that call nobody who is left are taken away until none can be.
    let mut left = vec![true; calls.len()];
    loop {
        let done = (0..calls.len()).find(|at| left[*at] && calls[*at].iter().all(|to| !left[*to as usize]));
        match done {
            Some(done) => left[done] = false,
            None => break,
        }
    }
    let mut way = vec![u32::try_from(left.iter().position(|left| *left)?).ok()?];
    loop {
        let last = *way.last()?;
        let next = *calls[last as usize].iter().find(|to| left[**to as usize])?;
        if let Some(begin) = way.iter().position(|domain| *domain == next) {
            return Some(way.split_off(begin));
        }
        way.push(next);
    }
}
