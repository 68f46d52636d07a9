//! What an embedder holds: a machine, and trees that run on it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kernel::component::apart::{Apart, ApartDomain};
use kernel::component::error::LaunchError;
use kernel::component::linked::Linked;
use kernel::component::tree::Tree;
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use kernel::sched::account::Share;
use kernel::sched::machine::{Machine, MachineError, MachineOptions};

use crate::actor::CallLimits;
use crate::launched::Launched;
use crate::launcher::{self, Launch};
use crate::segment::spawn::Program;
use crate::waits::Waits;

/// Trees that run on the workers of one machine. Dropping it ends them.
#[derive(Debug)]
pub struct System {
    machine: Machine,
    waits: Arc<Waits>,
    stations: Arc<AtomicU64>,
    /// What the processes of domains run.
    program: Program,
}

/// How a domain is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// How it shares the processors.
    pub share: Share,
    /// How many calls may wait for it.
    pub mailbox: usize,
    /// Limits of calls to it.
    pub limits: CallLimits,
    /// Where it runs, which decides how calls get to it.
    pub place: Place,
}

/// Where a domain runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// At whichever worker has time.
    #[default]
    Anywhere,
    /// At this worker of the machine, never at another one: calls from other workers are messages to it.
    Worker(usize),
    /// In an OS process of its own.
    OwnProcess,
}

impl Place {
    /// The worker that it is bound to, on a machine of so many.
    ///
    /// # Errors
    /// Why it cannot be there, in words.
    pub(crate) fn home(self, workers: usize) -> Result<Option<usize>, String> {
        match self {
            Place::Anywhere => Ok(None),
            Place::Worker(worker) if worker < workers => Ok(Some(worker)),
            Place::Worker(worker) => {
                Err(format!("it is to run at worker {worker}, but the machine has {workers}, counted from 0"))
            }
            // Its thread here only waits for it.
            Place::OwnProcess => Ok(None),
        }
    }
}

/// How many calls may wait for a domain if nobody says otherwise.
const MAILBOX: usize = 64;

impl Default for Placement {
    fn default() -> Placement {
        let (share, limits, place) = (Share::default(), CallLimits::default(), Place::default());
        Placement { share, mailbox: MAILBOX, limits, place }
    }
}

impl System {
    /// Starts a machine for trees to run on.
    ///
    /// # Errors
    /// [`MachineError`]
    pub fn start(options: MachineOptions) -> Result<System, MachineError> {
        Ok(System::on(Machine::start(options)?))
    }

    /// A system on a machine, which may be a simulated one.
    #[must_use]
    pub fn on(machine: Machine) -> System {
        System { machine, waits: Arc::default(), stations: Arc::default(), program: Program::default() }
    }

    /// The same, where processes of domains ([`Place::OwnProcess`]) run this program. If nothing is said it is the
    /// calling program, which has to begin with [`crate::segment::far_side::serve_if_asked`].
    #[must_use]
    pub fn with_program(self, program: Program) -> System {
        System { program, ..self }
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Brings a linked component up and lets it run, every domain on `placement`. Its start functions run on a thread
    /// of the machine, so they are pre-empted, and end with the system; without any the OS thread brings it up itself. Blocks the
    /// OS thread.
    ///
    /// # Errors
    /// Address space is exhausted, or a start function or initialiser trapped.
    pub fn launch(
        &self,
        engine: &Engine,
        linked: Arc<Linked>,
        host: Box<dyn Any + Send>,
        placement: Placement,
    ) -> Result<Launched, LaunchError> {
        self.launch_within(engine, linked, host, Quotas::default(), |_, _| placement)
    }

    /// The same with limits, and with a placement for each domain, by its number and the path of the process that it
    /// begins with. The launch itself runs on the first domain's share.
    ///
    /// # Errors
    /// As [`System::launch`]; a library that begins with more than a quota leaves; a place that there is not.
    pub fn launch_within(
        &self,
        engine: &Engine,
        linked: Arc<Linked>,
        host: Box<dyn Any + Send>,
        quotas: Quotas,
        placement: impl Fn(u32, &str) -> Placement,
    ) -> Result<Launched, LaunchError> {
        let root = linked.processes().first().map_or("", |root| root.path.as_str());
        let share = placement(0, root).share;
        for (number, path) in linked.domain_roots() {
            if let Err(why) = placement(number, path).place.home(self.machine.workers()) {
                return Err(LaunchError::Resource(format!("the domain of {path} has no place: {why}")));
            }
        }
        let apart = self.apart(&linked, &placement);
        let launch = Launch { engine: engine.clone(), linked, quotas, apart };
        let tree = launcher::launch(&self.machine, share, launch, host)?;
        Ok(self.run_with(tree, placement))
    }

    /// The domains that are placed in OS processes of their own.
    fn apart(&self, linked: &Linked, placement: &impl Fn(u32, &str) -> Placement) -> Apart {
        let roots = linked.domain_roots().map(|(number, path)| (number, placement(number, path)));
        let apart = roots.filter(|(_, placement)| placement.place == Place::OwnProcess);
        let domains =
            apart.map(|(number, placement)| ApartDomain { number, call_ns: placement.limits.wall_clock_ns });
        Apart::new(domains.collect(), Arc::new(self.program.clone()))
    }

    /// Gives each domain of a tree a thread, which serves what is called of it from now on.
    #[must_use]
    pub fn run(&self, tree: Tree, placement: Placement) -> Launched {
        self.run_with(tree, |_, _| placement)
    }

    /// The same with a placement for each domain, by its number and the path of the process that it begins with. A
    /// domain whose place there is not has ended before it begins.
    #[must_use]
    pub fn run_with(&self, tree: Tree, placement: impl Fn(u32, &str) -> Placement) -> Launched {
        Launched::new(&self.machine, &self.waits, &self.stations, tree, &placement)
    }
}
