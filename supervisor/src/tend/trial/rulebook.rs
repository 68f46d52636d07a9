//! What was told of a tree of supervisors, held against what OTP's documentation says of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::tend::child_spec::{Child, Restart, Spec, Strategy};

/// A supervisor, as its spec has it.
#[derive(Debug)]
struct Regime {
    strategy: Strategy,
    intensity: u32,
    period_ns: u64,
    /// The names of its children, in the order in which they are started.
    children: Vec<String>,
}

/// What is known of a tree, by the names of processes and supervisors.
#[derive(Debug)]
pub struct Rulebook {
    regimes: BTreeMap<String, Regime>,
    restart: BTreeMap<String, Restart>,
    /// When each supervisor has made its restarts since it was started; nanoseconds.
    restarts: BTreeMap<String, Vec<u64>>,
    /// How often each is to be started by the rules: a supervisor that is to be restarted may restart its children before.
    due: BTreeMap<String, u32>,
    /// Processes whose last end was a normal one.
    well: BTreeSet<String>,
    /// Whether people start and end processes as well.
    is_meddled: bool,
}

impl Rulebook {
    /// Of a tree that is to come up.
    #[must_use]
    pub fn new(spec: &Spec, is_meddled: bool) -> Rulebook {
        let mut rulebook = Rulebook {
            regimes: BTreeMap::new(),
            restart: BTreeMap::new(),
            restarts: BTreeMap::new(),
            due: BTreeMap::new(),
            well: BTreeSet::new(),
            is_meddled,
        };
        rulebook.enter(spec);
        rulebook.due = rulebook.restart.keys().map(|path| (path.clone(), 1)).collect();
        rulebook
    }

    fn enter(&mut self, spec: &Spec) {
        let name = |child: &Child| match child {
            Child::Process { path, .. } => path.clone(),
            Child::Supervisor(spec) => spec.name.clone(),
        };
        for child in &spec.children {
            match child {
                Child::Process { path, restart, .. } => drop(self.restart.insert(path.clone(), *restart)),
                Child::Supervisor(spec) => self.enter(spec),
            }
        }
        let Spec { strategy, intensity, period_ns, .. } = *spec;
        let children = spec.children.iter().map(name).collect();
        self.regimes.insert(spec.name.clone(), Regime { strategy, intensity, period_ns, children });
    }

    /// The processes that are always started again.
    pub fn permanent(&self) -> impl Iterator<Item = &str> {
        let permanent = self.restart.iter().filter(|(_, restart)| **restart == Restart::Permanent);
        permanent.map(|(path, _)| path.as_str())
    }

    /// A process is started.
    ///
    /// # Panics
    /// If nobody was to start it.
    pub fn started(&mut self, path: &str) {
        let due = self.due.get_mut(path).filter(|due| **due > 0);
        assert!(due.is_some() || self.is_meddled, "{path} is started, and need not be");
        due.into_iter().for_each(|due| *due -= 1);
    }

    /// A process has ended, as it was to do or not.
    pub fn ended(&mut self, path: &str, is_well: bool) {
        if is_well {
            self.well.insert(path.to_owned());
        } else {
            self.well.remove(path);
        }
    }

    /// "If more than MaxR number of restarts occur in the last MaxT seconds, the supervisor terminates": not before, and not
    /// later.
    ///
    /// # Panics
    /// If it counts otherwise, or who is temporary is started again, or who is transient and has ended well.
    pub fn restarting(&mut self, child: &str, supervisor: &str, count: usize, now_ns: u64) {
        assert_ne!(self.restart.get(child), Some(&Restart::Temporary), "{child}");
        let is_done = self.restart.get(child) == Some(&Restart::Transient) && self.well.contains(child);
        assert!(!is_done, "{child} has ended well, and is transient");
        let Regime { strategy, intensity, period_ns, children } = &self.regimes[supervisor];
        let restarts = self.restarts.entry(supervisor.to_owned()).or_default();
        restarts.push(now_ns);
        restarts.retain(|at_ns| now_ns - at_ns <= *period_ns);
        assert_eq!(restarts.len(), count, "{child}");
        assert!(count <= *intensity as usize, "{supervisor} restarts more than its intensity");
        let at = children.iter().position(|name| name == child).expect("it is this supervisor's");
        let affected = match strategy {
            Strategy::OneForOne => &children[at..=at],
            Strategy::OneForAll => &children[..],
            Strategy::RestForOne => &children[at..],
        };
        let again = affected.iter().filter(|name| self.restart.get(*name) != Some(&Restart::Temporary));
        let again: Vec<String> = again.flat_map(|name| self.processes(name)).collect();
        again.into_iter().for_each(|path| *self.due.entry(path).or_default() += 1);
    }

    /// A process, or all that are below a supervisor.
    fn processes(&self, name: &str) -> Vec<String> {
        match self.regimes.get(name) {
            Some(regime) => regime.children.iter().flat_map(|child| self.processes(child)).collect(),
            None => vec![name.to_owned()],
        }
    }

    /// A supervisor gives up.
    ///
    /// # Panics
    /// If it has restarts left.
    pub fn gave_up(&mut self, supervisor: &str, now_ns: u64) {
        let Regime { intensity, period_ns, .. } = self.regimes[supervisor];
        let restarts = self.restarts.remove(supervisor).unwrap_or_default();
        let lately = restarts.iter().filter(|at_ns| now_ns - **at_ns <= period_ns).count();
        assert_eq!(lately, intensity as usize, "{supervisor} gives up at the first that is too many");
    }

    /// "A permanent child process is always restarted."
    ///
    /// # Panics
    /// If one is not.
    pub fn finished(&self, child: &str) {
        assert_ne!(self.restart[child], Restart::Permanent, "{child} is not started again");
    }

    /// A supervisor has come up, and has counted nothing yet.
    pub fn up(&mut self, supervisor: &str) {
        self.restarts.remove(supervisor);
    }

    /// Where siblings are started together, that is in order: `begun` tells of those that are up when it was, as a number that
    /// grows.
    ///
    /// # Panics
    /// If it is not.
    pub fn check_order(&self, begun: &BTreeMap<String, u64>) {
        for (name, Regime { strategy, children, .. }) in &self.regimes {
            if *strategy != Strategy::OneForOne && !self.is_meddled {
                // The last restart of one was one of those after it, too.
                let begun: Vec<&u64> = children.iter().filter_map(|child| begun.get(child)).collect();
                assert!(begun.is_sorted(), "{name}, {strategy}: {begun:?}");
            }
        }
    }
}
