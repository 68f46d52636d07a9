//! The hunt: makes sequences up, keeps what reaches something new, looks closer at it, brings in what is wrong.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use abi::vary::chance::Chance;
use abi::vary::lexicon::Lexicon;
use kernel::component::link::Isolate;
use kernel::jit::watch::Watch;

use super::closer::Seen;
use super::corpus::{self, Corpus};
use super::coverage::{Coverage, Gain};
use super::finding::{Finding, Origin};
use super::harness::{End, Harness, Outcome, Settings};
use super::jobs::{Found, Shared, lock};
use super::judge::{self, Kind, Verdict};
use super::reduce::reduce;
use super::steps::{Sequence, Step};
use crate::complaint::Complaint;

/// One kept sequence in so many is repeated often enough to see small leaks.
const THOROUGH: usize = 16;
/// After so many sequences a call that is made up is repeated as often, of one function after the other.
const PROBE: u64 = 256;
/// A probe is the heaviest of so many that are made up.
const PROBED_OF: usize = 4;
/// Probes of each function, until they become rarer.
const PROBES: u64 = 8;
/// How often calls of the same functions are repeated for long because something seems to creep up, and it is nothing.
const PATIENCE: u32 = 3;
/// Runs that making one finding small may cost.
const REDUCING_RUNS: usize = 3000;
/// How long making one finding small may take: what runs for a second each time stays as it is after some tries.
const REDUCING_TIME: Duration = Duration::from_secs(5);
/// Repetitions that making one leak small may cost.
const REDUCING_LEAKS: usize = 120;
/// What part of the steps is given to a sequence that takes them all, while it is made small.
const REDUCED_STEPS: i64 = 16;

/// What is hunted, and how.
pub struct Plan {
    /// The component's bytes.
    pub bytes: Vec<u8>,
    /// Another component with the same exports.
    pub against: Option<Vec<u8>>,
    /// Where both came from.
    pub origin: Origin,
    /// How sequences are run.
    pub settings: Settings,
    /// Everything follows from it, if one job runs.
    pub seed: u64,
    /// Sequences to run at most.
    pub runs: Option<u64>,
    /// Time to hunt at most; compiling is not hunting.
    pub time: Option<Duration>,
    /// The folder that keeps sequences.
    pub corpus: Option<PathBuf>,
    /// The folder that findings are written to.
    pub findings: PathBuf,
    /// What is not looked for.
    pub skip: Vec<Kind>,
}

/// One job of a hunt.
pub struct Hunter<'p> {
    number: usize,
    plan: &'p Plan,
    shared: &'p Shared,
    harness: Harness,
    /// The same component, its comparisons watched.
    closer: Harness,
    /// The same component in several domains, if it has several processes.
    rungs: Option<Harness>,
    against: Option<Harness>,
    /// The other component, its comparisons watched.
    other_closer: Option<Harness>,
    coverage: Coverage,
    other_coverage: Coverage,
    corpus: Corpus,
    lexicon: Lexicon,
    chance: Chance,
    /// Kept, and not looked at more closely yet.
    fresh: VecDeque<Sequence>,
    heard: usize,
    /// Sequences and leak probes of this job.
    own_runs: u64,
    probes: u64,
    next_probe: u64,
    /// How often calls of these functions are still repeated for long.
    patience: HashMap<Vec<String>, u32>,
}

impl<'p> Hunter<'p> {
    /// Job `number` of a hunt, ready to go.
    ///
    /// # Errors
    /// A component cannot be compiled or linked, or has nothing to call.
    pub fn new(number: usize, plan: &'p Plan, shared: &'p Shared) -> Result<Hunter<'p>, Complaint> {
        let make = |bytes: &[u8], watch, isolate| {
            Harness::new(&plan.origin.file, bytes, watch, isolate, &plan.settings)
        };
        let harness = make(&plan.bytes, Watch::Edges, Isolate::Nothing)?;
        let closer = make(&plan.bytes, Watch::Compares, Isolate::Nothing)?;
        let rungs = match harness.processes() {
            0 | 1 => None,
            _ => make(&plan.bytes, Watch::Edges, Isolate::All).ok(),
        };
        let other = |watch| match (&plan.against, &plan.origin.against) {
            (Some(bytes), Some(path)) => {
                Harness::new(path, bytes, watch, Isolate::Nothing, &plan.settings).map(Some)
            }
            _ => Ok(None),
        };
        let (against, other_closer) = (other(Watch::Edges)?, other(Watch::Compares)?);
        let chance = Chance::new(plan.seed ^ (number as u64).wrapping_mul(0x5851_f42d_4c95_7f2d));
        Ok(Hunter {
            number,
            plan,
            shared,
            harness,
            closer,
            rungs,
            against,
            other_closer,
            coverage: Coverage::default(),
            other_coverage: Coverage::default(),
            corpus: Corpus::default(),
            lexicon: Lexicon::default(),
            chance,
            fresh: VecDeque::new(),
            heard: 0,
            own_runs: 0,
            probes: 0,
            next_probe: PROBE,
            patience: HashMap::new(),
        })
    }

    /// Functions that are not called, and why.
    #[must_use]
    pub fn skipped(&self) -> Vec<(String, String)> {
        self.harness.surface.skipped.iter().map(|(name, why)| (name.clone(), (*why).to_owned())).collect()
    }

    /// Hunts until the plan's bounds are reached.
    ///
    /// # Errors
    /// A folder cannot be read or written.
    pub fn hunt(&mut self) -> Result<(), Complaint> {
        self.shared.begin();
        let mut first = match &self.plan.corpus {
            Some(folder) => corpus::load(folder, &self.harness.surface)?,
            None => Vec::new(),
        };
        let wanted =
            (0..self.harness.surface.entries.len()).filter(|at| self.harness.surface.entries[*at].wanted);
        first.extend(wanted.map(|entry| Sequence::plain(&self.harness.surface, entry)));
        for sequence in first {
            if !self.over() {
                self.attempt(sequence)?;
            }
        }
        while !self.over() {
            match self.fresh.pop_front() {
                Some(sequence) => self.look_closer(&sequence)?,
                None => {
                    let sequence = self.next();
                    self.attempt(sequence)?;
                }
            }
            self.listen()?;
            if self.leaks() && self.own_runs >= self.next_probe {
                self.probe()?;
            }
        }
        Ok(())
    }

    /// Looks for a leak in a call that is made up.
    fn probe(&mut self) -> Result<(), Complaint> {
        let surface = &self.harness.surface;
        let wanted: Vec<usize> =
            (0..surface.entries.len()).filter(|at| surface.entries[*at].wanted).collect();
        let entry = wanted[(self.probes % wanted.len() as u64) as usize];
        self.probes += 1;
        let rare = self.probes / (wanted.len() as u64 * PROBES);
        self.next_probe = self.own_runs + PROBE * (1 + rare.min(16));
        // What leaks is often as large as what was given.
        let made = (0..PROBED_OF).map(|_| Sequence::calling(surface, entry, &self.lexicon, &mut self.chance));
        let Some(sequence) = made.max_by_key(Sequence::weight) else { return Ok(()) };
        self.look_for_leaks(&sequence, true)
    }

    fn look_for_leaks(&mut self, sequence: &Sequence, thorough: bool) -> Result<(), Complaint> {
        let names = judge::names(&self.harness, sequence);
        let patience = self.patience.entry(names).or_insert(PATIENCE);
        let verdict = judge::of_repeating(&self.harness, sequence, thorough, patience);
        // What repeating reaches is not what a sequence reaches.
        self.harness.board().take_edges(|_, _| {});
        verdict.map_or(Ok(()), |verdict| self.bring_in(sequence, verdict))
    }

    fn over(&self) -> bool {
        self.plan.runs.is_some_and(|runs| self.shared.runs.load(Relaxed) >= runs)
            || self.plan.time.is_some_and(|time| self.shared.elapsed() >= time)
    }

    fn next(&mut self) -> Sequence {
        let (surface, chance) = (&self.harness.surface, &mut self.chance);
        if chance.one_in(16) {
            return Sequence::invent(surface, &self.lexicon, chance);
        }
        let other = self.corpus.any(chance).cloned();
        match (self.corpus.pick(chance).cloned(), other) {
            (Some(mut sequence), Some(other)) => {
                sequence.mutate(surface, &other, &self.lexicon, chance);
                sequence
            }
            _ => Sequence::invent(surface, &self.lexicon, chance),
        }
    }

    /// Runs a sequence, and keeps it or brings it in.
    fn attempt(&mut self, sequence: Sequence) -> Result<(), Complaint> {
        let (outcome, mut gain) = self.run(&sequence);
        let verdict = judge::of_run(&outcome).or_else(|| self.compare(&sequence, &outcome, &mut gain));
        match verdict {
            Some(verdict) => self.bring_in(&sequence, verdict),
            None if !gain.is_empty() && matches!(outcome.end, End::Finished) => self.keep(sequence, gain),
            None => Ok(()),
        }
    }

    /// What the other component makes of it; where it goes new ways counts as much.
    fn compare(&mut self, sequence: &Sequence, outcome: &Outcome, gain: &mut Gain) -> Option<Verdict> {
        let other = self.against.as_ref()?;
        let calls = translated(&self.harness, other, sequence)?;
        let verdict = judge::of_other(Kind::Differs, &self.harness, sequence, outcome, other, &calls);
        let more = self.other_coverage.take(other.board());
        gain.edges += more.edges;
        gain.others += more.counts.len();
        verdict
    }

    fn run(&mut self, sequence: &Sequence) -> (Outcome, Gain) {
        let outcome = self.harness.run(sequence);
        self.shared.runs.fetch_add(1, Relaxed);
        self.own_runs += 1;
        let gain = self.coverage.take(self.harness.board());
        if gain.edges > 0 {
            self.shared.touch();
            let [taken, all] = &self.shared.edges;
            taken.fetch_max(self.coverage.edges(), Relaxed);
            all.fetch_max(self.harness.board().edges() as usize, Relaxed);
        }
        (outcome, gain)
    }

    fn keep(&mut self, sequence: Sequence, gain: Gain) -> Result<(), Complaint> {
        let sequence = self.trimmed(sequence, &gain);
        if let Some(folder) = &self.plan.corpus {
            let written = std::fs::create_dir_all(folder)
                .and_then(|()| corpus::save(folder, &self.harness.surface, &sequence));
            written.map_err(|error| {
                let what = format!("{}: a sequence cannot be written", folder.display());
                Complaint::new(crate::exit_code::Exit::Failed, what).because(error)
            })?;
        }
        self.shared.kept.fetch_add(1, Relaxed);
        if gain.edges > 0 {
            lock(&self.shared.news).push((self.number, sequence.clone()));
        }
        self.corpus.keep(sequence.clone(), gain.edges);
        self.fresh.push_back(sequence);
        Ok(())
    }

    /// Without the calls that had no part in what it reached.
    fn trimmed(&self, mut sequence: Sequence, gain: &Gain) -> Sequence {
        let mut end = sequence.steps.len();
        while end > 0 && sequence.steps.len() > 1 && gain.others == 0 {
            end -= 1;
            let mut candidate = sequence.clone();
            candidate.steps.remove(end);
            let outcome = self.harness.run(&candidate);
            self.shared.runs.fetch_add(1, Relaxed);
            if gain.is_in(self.harness.board()) && matches!(outcome.end, End::Finished) {
                sequence = candidate;
            }
        }
        sequence
    }

    /// Tries what other jobs have kept.
    fn listen(&mut self) -> Result<(), Complaint> {
        let news: Vec<Sequence> = {
            let news = lock(&self.shared.news);
            let new = news.iter().skip(self.heard).filter(|(from, _)| *from != self.number);
            let new = new.map(|(_, sequence)| sequence.clone()).collect();
            self.heard = news.len();
            new
        };
        news.into_iter().try_for_each(|sequence| self.attempt(sequence))
    }

    /// Asks the oracles that need more than one run, and solves comparisons.
    fn look_closer(&mut self, sequence: &Sequence) -> Result<(), Complaint> {
        let (first, _) = self.run(sequence);
        if let Some(verdict) = self.contradicts(sequence, &first) {
            self.bring_in(sequence, verdict)?;
        }
        if self.leaks() {
            let thorough = self.chance.one_in(THOROUGH);
            self.look_for_leaks(sequence, thorough)?;
        }
        let mut seen = Seen::default();
        seen.look(&self.closer, sequence);
        if let (Some(other), Some(closer)) = (&self.against, &self.other_closer)
            && let Some(calls) = translated(&self.harness, other, sequence)
        {
            seen.look(closer, &calls);
        }
        let surface = &self.harness.surface;
        for candidate in seen.solutions(surface, sequence, &mut self.lexicon, &mut self.chance) {
            if self.over() {
                break;
            }
            self.attempt(candidate)?;
        }
        Ok(())
    }

    fn leaks(&self) -> bool {
        [Kind::MemoryLeak, Kind::HandleLeak].iter().any(|kind| !self.plan.skip.contains(kind))
    }

    fn contradicts(&self, sequence: &Sequence, first: &Outcome) -> Option<Verdict> {
        let again = || judge::of_again(&self.harness, sequence, first);
        let rungs = || {
            let rungs = self.rungs.as_ref()?;
            judge::of_other(Kind::Rungs, &self.harness, sequence, first, rungs, sequence)
        };
        let against = || {
            let other = self.against.as_ref()?;
            let calls = translated(&self.harness, other, sequence)?;
            judge::of_other(Kind::Differs, &self.harness, sequence, first, other, &calls)
        };
        again().or_else(rungs).or_else(against)
    }

    /// Makes a finding of what is wrong, unless it is known.
    fn bring_in(&mut self, sequence: &Sequence, verdict: Verdict) -> Result<(), Complaint> {
        if self.plan.skip.contains(&verdict.kind) || !self.is_news(&verdict) {
            return Ok(());
        }
        let (sequence, before) = (self.reduced(sequence, &verdict), verdict.key.clone());
        let again = self.judged(&sequence, &verdict, self.plan.settings.steps).unwrap_or(verdict);
        // Made small, it may be one that is known.
        if again.key != before && !self.is_news(&again) {
            return Ok(());
        }
        let (said, asked) = (self.harness.said(), self.harness.asked());
        self.harness.board().take_edges(|_, _| {});
        let finding = Finding { verdict: again, sequence, seed: self.plan.seed, said, asked };
        let surface = &self.harness.surface;
        let file = finding.save(&self.plan.findings, surface, &self.plan.origin)?;
        let found = Found {
            kind: finding.verdict.kind,
            what: finding.verdict.what.clone(),
            place: finding.place(),
            calls: finding.calls(surface),
            file,
            runs: self.shared.runs.load(Relaxed),
        };
        lock(&self.shared.found).push(found);
        self.shared.touch();
        Ok(())
    }

    /// Whether nothing with this key was found yet; from now on it was.
    fn is_news(&self, verdict: &Verdict) -> bool {
        let mut known = lock(&self.shared.known);
        if let Some(times) = known.get_mut(&verdict.key) {
            *times += 1;
            return false;
        }
        // A leak of some functions is one of any sequence that calls them all.
        let names = |key: &str| key.split(' ').map(str::to_owned).collect::<BTreeSet<String>>();
        let leak = matches!(verdict.kind, Kind::MemoryLeak | Kind::HandleLeak);
        let all = names(&verdict.key);
        if leak && known.keys().any(|key| key.starts_with(verdict.kind.name()) && names(key).is_subset(&all))
        {
            return false;
        }
        known.insert(verdict.key.clone(), 1);
        true
    }

    fn reduced(&self, sequence: &Sequence, verdict: &Verdict) -> Sequence {
        let leak = matches!(verdict.kind, Kind::MemoryLeak | Kind::HandleLeak);
        let tries = match leak {
            // What takes long to show takes as long each time.
            true => (REDUCING_LEAKS * judge::REPETITIONS as usize / verdict.repetitions.max(1) as usize)
                .clamp(REDUCING_LEAKS / 10, REDUCING_LEAKS),
            false => REDUCING_RUNS,
        };
        let tries = if verdict.kind == Kind::Timeout { tries / 10 } else { tries };
        let steps = match verdict.kind {
            Kind::Timeout => self.plan.settings.steps / REDUCED_STEPS,
            _ => self.plan.settings.steps,
        };
        let began = Instant::now();
        let reduced = reduce(&self.harness.surface, sequence, tries, |candidate| {
            if began.elapsed() > REDUCING_TIME {
                return false;
            }
            self.shared.runs.fetch_add(1, Relaxed);
            self.judged(candidate, verdict, steps).is_some_and(|again| leak || again.key == verdict.key)
        });
        // What takes part of the steps need not take all of them.
        match self.judged(&reduced, verdict, self.plan.settings.steps) {
            Some(_) => reduced,
            None => sequence.clone(),
        }
    }

    /// What is wrong with a sequence, if it is of the same kind.
    fn judged(&self, sequence: &Sequence, like: &Verdict, steps: i64) -> Option<Verdict> {
        let verdict = match like.kind {
            Kind::Trap | Kind::Timeout | Kind::Quota => {
                judge::of_run(&self.harness.run_within(sequence, steps))
            }
            Kind::MemoryLeak | Kind::HandleLeak => judge::of_repeating(&self.harness, sequence, true, &mut 1),
            Kind::Nondeterminism | Kind::Rungs | Kind::Differs => {
                self.contradicts(sequence, &self.harness.run(sequence))
            }
        };
        self.harness.board().take_edges(|_, _| {});
        verdict.filter(|verdict| verdict.kind == like.kind)
    }
}

/// The calls of a sequence as another component numbers its functions and types; none if it has not all of them.
pub(super) fn translated(from: &Harness, to: &Harness, sequence: &Sequence) -> Option<Sequence> {
    let steps = sequence.steps.iter().map(|step| match step {
        Step::Call { entry, args } => {
            let entry = to.surface.find(&from.surface.entries[*entry].name)?;
            Some(Step::Call { entry, args: args.clone() })
        }
        Step::Drop { ty, pick } => {
            let name = from.surface.resource_name(*ty)?;
            let (ty, _) = to.surface.resources.iter().find(|(_, known)| known == name)?;
            Some(Step::Drop { ty: *ty, pick: *pick })
        }
    });
    Some(Sequence { steps: steps.collect::<Option<_>>()?, answers: sequence.answers })
}
