//! A tree that runs, on a machine of its own.

use std::sync::Arc;

use abi::fault::Fault;
use abi::state::ProcessState;
use abi::value::{Resource, Value};
use ipc::launched::Launched;
use ipc::system::System;
use kernel::component::error::LaunchError;
use kernel::component::linked::{ExportedFunc, Linked};
use kernel::component::tree::Tree;
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;
use servers::Wasi;

use crate::complaint::Complaint;
use crate::confine::{Confines, begins_domain};
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::fuzz::held::Callee;
use crate::interrupt::Interrupts;
use crate::measure::{Count, Span};
use crate::spent::Used;
use crate::steward::Steward;
use crate::unsupervised::Unsupervised;

/// The machine that a tree runs on.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Workers {
    /// OS threads that run guests; one a core and not more than domains if it is not said.
    #[arg(long, value_name = "N", help_heading = MACHINE)]
    pub workers: Option<Count>,
    /// How long one domain runs while others wait; 1ms if it is not said.
    #[arg(long, value_name = "TIME", help_heading = MACHINE)]
    pub slice: Option<Span>,
}

const MACHINE: &str = "Machine";

/// A tree, and what it runs on.
#[derive(Debug)]
pub struct Live {
    launched: Arc<Launched>,
    steward: Arc<Unsupervised>,
    interrupts: Interrupts,
    /// Ends after what runs on it.
    _system: System,
}

/// What is left of a tree after a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// Paths of the processes that have faulted.
    pub ended: Vec<String>,
    /// Paths of those that can still be called.
    pub living: Vec<String>,
}

impl Live {
    /// Brings a tree up, within limits.
    ///
    /// # Errors
    /// There is no machine, the tree does not fit, or a start function trapped.
    pub fn start(
        engine: &Engine,
        path: &str,
        linked: Arc<Linked>,
        wasi: Wasi,
        confines: &Confines,
    ) -> Result<Live, Trouble> {
        let Confines { limits, workers, .. } = confines;
        let interrupts = Interrupts::take()?;
        let system = System::start(workers.options(&linked));
        let system =
            system.map_err(|error| Complaint::new(Exit::Failed, "no machine to run on").because(error))?;
        let placement = |number: u32, _: &str| {
            let mut processes = linked.processes().iter().filter(|process| process.place.domain == number);
            let first = processes.find(|process| begins_domain(&linked, process));
            limits.placement(first.expect("a domain begins with a process"))
        };
        let quotas = limits.quotas(&linked);
        let launched = system.launch_within(engine, Arc::clone(&linked), Box::new(wasi), quotas, placement);
        let launched = Arc::new(launched.map_err(|error| unlaunched(path, error))?);
        let name = linked.processes().first().map_or_else(String::new, |root| root.name.clone());
        let steward = Arc::new(Unsupervised::new(name, path, &launched));
        interrupts.end(&(Arc::clone(&steward) as Arc<dyn Steward>));
        Ok(Live { launched, steward, interrupts, _system: system })
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        self.launched.tree()
    }

    /// The tree as others see it: what they can do with it.
    #[must_use]
    pub fn steward(&self) -> &Arc<Unsupervised> {
        &self.steward
    }

    /// The tree as it runs on its machine.
    #[must_use]
    pub fn launched(&self) -> &Arc<Launched> {
        &self.launched
    }

    /// What it has used so far.
    #[must_use]
    pub fn used(&self) -> Used {
        Used::of(&self.launched)
    }

    /// Calls an exported function.
    ///
    /// # Errors
    /// The fault.
    pub fn call(&self, func: &Arc<ExportedFunc>, args: Vec<Value>) -> Result<Option<Value>, Fault> {
        self.launched.call(func, args)
    }

    /// Leaves everything to the end of this process, which is faster than taking it down piece by piece.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// How this process is to end, if a signal or `atoll down` has ended the tree.
    #[must_use]
    pub fn interrupted(&self) -> Option<Exit> {
        self.interrupts.exit().or_else(|| self.steward.is_shut_down().then_some(Exit::Terminated))
    }

    /// What is left.
    #[must_use]
    pub fn aftermath(&self) -> Aftermath {
        let mut aftermath = Aftermath::default();
        for process in self.tree().processes() {
            let path = process.info.path.clone();
            match process.state {
                ProcessState::Faulted => aftermath.ended.push(path),
                ProcessState::Exited => {}
                _ => aftermath.living.push(path),
            }
        }
        aftermath
    }
}

impl Callee for &Live {
    fn call(&mut self, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
        Live::call(self, &Arc::new(func.clone()), args.to_vec())
    }

    fn drop_resource(&mut self, resource: Resource) -> Result<(), Fault> {
        self.launched.drop_resource(resource);
        Ok(())
    }
}

impl Workers {
    /// The machine that is asked for.
    #[must_use]
    pub fn options(&self, linked: &Linked) -> MachineOptions {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self.workers.map_or_else(|| cores().min(linked.domains()), |count| count.0 as usize);
        let usual = MachineOptions::default();
        let slice_ns = self.slice.map_or(usual.slice_ns, |slice| slice.0);
        MachineOptions { workers: Some(workers), slice_ns, ..usual }
    }
}

/// Why a tree does not come up.
#[must_use]
pub fn unlaunched(path: &str, error: LaunchError) -> Trouble {
    match error {
        // A tree that does not come up has no processes left.
        LaunchError::Fault(fault) => Trouble::Fault { fault, aftermath: Aftermath::default() },
        LaunchError::Resource(reason) => {
            Complaint::refused(format!("{path}: cannot be launched")).reason(reason).into()
        }
    }
}
