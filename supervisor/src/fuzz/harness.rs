//! Runs sequences: one fresh tree for each, everything that is left dropped at its end.

use std::any::Any;
use std::sync::Arc;

use abi::fault::{Fault, Trap};
use kernel::component::error::LaunchError;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::Linked;
use kernel::component::tree::{Tree, Usage};
use kernel::host::Imports;
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::jit::watch::{Board, Watch};
use servers::{Output, SeededEntropy, SimulatedClock, Wasi};

use super::held::{Did, Held};
use super::player::{self, Player};
use super::steps::Sequence;
use super::surface::Surface;
use crate::complaint::Complaint;
use crate::console::tree_name;
use crate::exit_code::Exit;
use crate::launch;

/// What a repetition costs beside the guest's steps, and a call of an import.
const REPETITION_COST: u64 = 1000;
const IMPORT_COST: u64 = 500;
const DAY_NS: u64 = 86_400_000_000_000;

/// How sequences are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether WASI is served by the system servers, and not played.
    pub real_imports: bool,
    /// Loops and calls that one sequence may take.
    pub steps: i64,
    /// Bytes of memory that a tree may have at the end of a sequence.
    pub memory_bytes: u64,
    /// Functions to call; none for all.
    pub exports: Vec<String>,
}

/// A component, ready to run sequences.
pub struct Harness {
    engine: Engine,
    linked: Arc<Linked>,
    player: player::Shared,
    settings: Settings,
    /// What can be called.
    pub surface: Surface,
}

/// How a sequence ended.
#[derive(Clone, Debug)]
pub enum End {
    /// All its calls returned.
    Finished,
    /// The guest asked for its end, or ended for a reason that is not its own.
    Excused,
    /// It faulted, in this call; one past the last if it was while what is left was dropped.
    Fault(usize, Box<Fault>),
}

/// What came of a sequence.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of each call that was begun and returned.
    pub did: Vec<Did>,
    /// How it ended.
    pub end: End,
    /// What the tree holds at the end.
    pub usage: Usage,
}

impl Harness {
    /// Compiles and links a component for this.
    ///
    /// # Errors
    /// It cannot be compiled or linked, or exports nothing to call.
    pub fn new(
        path: &str,
        bytes: &[u8],
        watch: Watch,
        isolate: Isolate,
        settings: &Settings,
    ) -> Result<Harness, Complaint> {
        let engine = Engine::with(EngineOptions { watch, ..EngineOptions::default() })
            .map_err(|error| Complaint::new(Exit::Failed, "no compiler").because(error))?;
        let executable = launch::parse(&engine, path, bytes)?;
        let player = Player::shared();
        let mut imports = if settings.real_imports { launch::offers() } else { Imports::default() };
        let shared = Arc::clone(&player);
        imports.stand_in = Some(Arc::new(move |name: &str| player::played(name, &shared)));
        let options = LinkOptions { isolate, ..LinkOptions::new(tree_name(path)) };
        let linked = executable
            .link(&imports, &options)
            .map_err(|error| Complaint::refused(format!("{path}: cannot be linked")).because(error))?;
        let surface = Surface::of(path, &linked, &settings.exports)?;
        Ok(Harness { engine, linked: Arc::new(linked), player, settings: settings.clone(), surface })
    }

    /// What watched code has noted.
    #[must_use]
    pub fn board(&self) -> &Board {
        self.engine.board().expect("a harness's engine watches")
    }

    /// How many processes the tree has.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.linked.processes().len()
    }

    /// What the guest wrote in the last run.
    #[must_use]
    pub fn said(&self) -> String {
        player::lock(&self.player).said()
    }

    /// Whether the last run called imports that are played.
    #[must_use]
    pub fn asked(&self) -> bool {
        player::lock(&self.player).calls() > 0
    }

    /// Runs a sequence on a fresh tree.
    #[must_use]
    pub fn run(&self, sequence: &Sequence) -> Outcome {
        self.run_within(sequence, self.settings.steps)
    }

    /// Runs it on another day, with other random numbers, where those are not played.
    #[must_use]
    pub fn run_otherwise(&self, sequence: &Sequence) -> Outcome {
        self.run_in(sequence, self.settings.steps, 2)
    }

    /// The same with another bound of steps.
    #[must_use]
    pub fn run_within(&self, sequence: &Sequence, steps: i64) -> Outcome {
        self.run_in(sequence, steps, 1)
    }

    fn run_in(&self, sequence: &Sequence, steps: i64, world: u32) -> Outcome {
        let mut outcome = Outcome { did: Vec::new(), end: End::Finished, usage: Usage::default() };
        match self.launch(sequence.answers, steps, world) {
            Ok(mut tree) => {
                self.play(&mut tree, sequence, &mut outcome);
                outcome.usage = tree.usage();
                let usage = outcome.usage.memory_bytes;
                if matches!(outcome.end, End::Finished) && usage > self.settings.memory_bytes {
                    let (limit, allowed) = ("memory of a tree, bytes", self.settings.memory_bytes);
                    let fault = Fault::new(Trap::Limit { limit, value: usage, allowed });
                    outcome.end = End::Fault(sequence.steps.len(), Box::new(fault));
                }
            }
            Err(end) => outcome.end = end,
        }
        outcome
    }

    /// Runs a sequence again and again on one tree, until `enough` says so of the number of times, the tree, and what all
    /// that has cost (a step is 1). None if it does not end well each time.
    pub fn repeat(&self, sequence: &Sequence, mut enough: impl FnMut(u32, &Tree, u64) -> bool) -> Option<()> {
        let mut tree = self.launch(sequence.answers, self.settings.steps, 1).ok()?;
        let weight = REPETITION_COST + sequence.weight() as u64;
        let mut cost = 0;
        for times in 1.. {
            player::lock(&self.player).begin(sequence.answers);
            self.board().allow(self.settings.steps);
            let mut outcome = Outcome { did: Vec::new(), end: End::Finished, usage: Usage::default() };
            self.play(&mut tree, sequence, &mut outcome);
            if !matches!(outcome.end, End::Finished) {
                return None;
            }
            let steps = self.settings.steps.saturating_sub(self.board().steps_left());
            cost += weight + steps.unsigned_abs() + player::lock(&self.player).calls() * IMPORT_COST;
            if enough(times, &tree, cost) {
                return Some(());
            }
        }
        None
    }

    fn launch(&self, answers: u64, steps: i64, world: u32) -> Result<Tree, End> {
        player::lock(&self.player).begin(answers);
        self.board().allow(steps);
        let state: Box<dyn Any + Send> = match self.settings.real_imports {
            true => Box::new(wasi(world, &self.player).map_err(|_| End::Excused)?),
            false => Box::new(()),
        };
        Tree::launch(&self.engine, Arc::clone(&self.linked), state).map_err(|error| match error {
            LaunchError::Fault(fault) => ended(0, *fault),
            LaunchError::Resource(_) => End::Excused,
        })
    }

    fn play(&self, tree: &mut Tree, sequence: &Sequence, outcome: &mut Outcome) {
        let mut held = Held::default();
        for (at, step) in sequence.steps.iter().enumerate() {
            match held.perform(tree, &self.surface, step) {
                Ok(did) => outcome.did.push(did),
                Err(fault) => return outcome.end = ended(at, fault),
            }
        }
        if let Err(fault) = held.drop_all(tree) {
            outcome.end = ended(sequence.steps.len(), fault);
        }
    }
}

/// Nothing granted; the time of day and random numbers are the same each time in one world. Nobody waits for a clock.
fn wasi(world: u32, player: &player::Shared) -> Result<Wasi, servers::BuildError> {
    let clock = SimulatedClock { now_ns: DAY_NS * u64::from(world) };
    let seeded = |stream: u64| SeededEntropy::new(u64::from(world) << 8 | stream);
    let listener = || {
        let player = Arc::clone(player);
        Output::closure(move |bytes| {
            player::lock(&player).hear(bytes.iter().copied());
            Ok(())
        })
    };
    let builder = Wasi::builder().stdout(listener()).stderr(listener());
    let builder = builder.random(seeded(0)).insecure_random(seeded(1));
    builder.monotonic_clock(clock).wall_clock(clock).build()
}

fn ended(at: usize, fault: Fault) -> End {
    match &fault.trap {
        Trap::Exit(_) | Trap::Host(_) | Trap::Unsupported(_) => End::Excused,
        _ => End::Fault(at, Box::new(fault)),
    }
}
