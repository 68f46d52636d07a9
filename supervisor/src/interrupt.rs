//! Ctrl-C and SIGTERM: the first one ends the tree, the second one this process.

use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::steward::Steward;

/// What becomes of signals while a tree runs.
pub struct Interrupts(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// What the first signal shuts down; before there is a tree, it ends this process.
    tree: Mutex<Option<Weak<dyn Steward>>>,
    /// The exit code of the first signal; 0 if none has come.
    code: AtomicU8,
}

impl Interrupts {
    /// Takes the signals from now on. To be called before other threads start: they inherit who takes them.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn take() -> Result<Interrupts, Complaint> {
        let refused = |what: &'static str| {
            move |error: std::io::Error| Complaint::new(Exit::Failed, what).because(error)
        };
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals.thread_block().map_err(|errno| refused("signals cannot be taken")(errno.into()))?;
        let shared = Arc::<Shared>::default();
        let waits = Arc::clone(&shared);
        let wait = move || waits.wait(signals);
        let spawned = thread::Builder::new().name("atoll-signals".to_owned()).spawn(wait);
        spawned.map_err(refused("no thread for signals"))?;
        Ok(Interrupts(shared))
    }

    /// Lets the first signal shut this tree down.
    pub fn end(&self, tree: &Arc<dyn Steward>) {
        *self.0.tree.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(tree));
    }

    /// How this process is to end, if a signal has come.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match self.0.code.load(Ordering::SeqCst) {
            0 => None,
            code if code == Exit::Interrupted.code() => Some(Exit::Interrupted),
            _ => Some(Exit::Terminated),
        }
    }
}

impl Shared {
    fn wait(&self, signals: SigSet) {
        while let Ok(signal) = signals.wait() {
            // Who starts a program in the background lets it ignore Ctrl-C; what is blocked comes through all the same.
            if is_ignored(signal) {
                continue;
            }
            let exit = if signal == Signal::SIGINT { Exit::Interrupted } else { Exit::Terminated };
            let tree =
                self.tree.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Weak::upgrade);
            let first =
                self.code.compare_exchange(0, exit.code(), Ordering::SeqCst, Ordering::SeqCst).is_ok();
            match tree.filter(|_| first) {
                Some(tree) => tree.shut_down(signal.as_str()),
                None => process::exit(exit.code().into()),
            }
        }
    }
}

impl std::fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupts").field("exit", &self.exit()).finish_non_exhaustive()
    }
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal as i32 - 1) & 1 == 1
}
