//! Launching a tree: on a thread of the machine, if guest code runs before the tree is up.

use std::any::Any;
use std::sync::{Arc, mpsc};

use abi::fault::{Fault, Trap};
use kernel::component::apart::Apart;
use kernel::component::error::LaunchError;
use kernel::component::linked::Linked;
use kernel::component::tree::Tree;
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use kernel::sched::account::Share;
use kernel::sched::machine::Machine;
use kernel::sched::thread::{Body, Next};

type Outcome = Result<Tree, LaunchError>;

/// What is launched.
pub(crate) struct Launch {
    pub engine: Engine,
    pub linked: Arc<Linked>,
    pub quotas: Quotas,
    pub apart: Apart,
}

struct Launcher {
    launch: Launch,
    host: Option<Box<dyn Any + Send>>,
    outcome: mpsc::Sender<Outcome>,
}

impl Body for Launcher {
    fn run(&mut self) -> Next {
        if let Some(host) = self.host.take() {
            // Whoever does not wait any more does not want the tree.
            let Launch { engine, linked, quotas, apart } = &self.launch;
            let tree = Tree::launch_apart(engine, Arc::clone(linked), host, quotas, apart.clone());
            let _ = self.outcome.send(tree);
        }
        Next::End
    }
}

/// Launches a tree: on a thread of its own, for which the OS thread is blocked, or right here if that runs no guest code and
/// waits for no other OS process.
///
/// # Errors
/// Those of [`Tree::launch`]; the machine's end.
pub(crate) fn launch(machine: &Machine, share: Share, launch: Launch, host: Box<dyn Any + Send>) -> Outcome {
    if !launch.linked.starts_code() && launch.apart.domains.is_empty() {
        return Tree::launch_within(&launch.engine, launch.linked, host, &launch.quotas);
    }
    let (outcome, launched) = mpsc::channel();
    let launcher = Launcher { launch, host: Some(host), outcome };
    let thread = machine.spawn(machine.account(share), Box::new(launcher));
    thread.wake();
    machine.run_until_idle();
    launched.recv().unwrap_or_else(|_| {
        let trap = thread.verdict().unwrap_or_else(|| Trap::Killed("its launch was given up".to_owned()));
        Err(LaunchError::Fault(Box::new(Fault::new(trap))))
    })
}
