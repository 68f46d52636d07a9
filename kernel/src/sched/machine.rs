//! A machine: workers that run guest threads, and whoever waits for them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use abi::fault::Trap;

use super::account::{Account, Share};
use super::clock::Clock;
use super::fair::{Fair, FairOptions, VirtualTime};
use super::order::NEVER;
use super::policy::{Choice, Policy};
use super::pool::{Numbers, Pool};
use super::reactor::Reactor;
use super::seat::Seat;
use super::seeded::{Random, Seeded};
use super::thread::{Body, Thread};
use super::tick;
use super::worker::{PATIENCE_NS, Worker};
use crate::trap::handler::prepare_thread;

/// Makes the queue of a worker.
pub type MakePolicy = dyn Fn() -> Box<dyn Policy<Thread>>;

/// How a machine is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineOptions {
    /// Workers; `None` for one a core.
    pub workers: Option<usize>,
    /// How long a thread may run while others wait, nanoseconds.
    pub slice_ns: u64,
    /// How often a thread is looked at that runs alone, nanoseconds.
    pub sample_ns: u64,
}

impl Default for MachineOptions {
    fn default() -> MachineOptions {
        MachineOptions { workers: None, slice_ns: 1_000_000, sample_ns: 10_000_000 }
    }
}

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// What it needs is not there.
    #[error("{0}")]
    Missing(String),
    /// The operating system refused.
    #[error("cannot start {what}: {source}")]
    System {
        /// What was to be started.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Workers and what they run. Dropping it ends every thread.
pub struct Machine {
    pool: Arc<Pool>,
    threads: Vec<JoinHandle<()>>,
    /// The only worker of a machine whose time is simulated.
    simulated: Option<Worker>,
}

impl Machine {
    /// Starts a machine with the usual policy.
    ///
    /// # Errors
    /// [`MachineError`]
    pub fn start(options: MachineOptions) -> Result<Machine, MachineError> {
        let time = VirtualTime::default();
        let fair = FairOptions::of_slice(options.slice_ns.max(1));
        Machine::start_with(options, &move || Box::new(Fair::new(fair, time.clone())))
    }

    /// Starts a machine; `policy` makes the queue of each worker.
    ///
    /// # Errors
    /// [`MachineError`]
    pub fn start_with(options: MachineOptions, policy: &MakePolicy) -> Result<Machine, MachineError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (slice_ns, sample_ns) = (options.slice_ns.max(1), options.sample_ns.max(1));
        let numbers = Numbers { slice_ns, sample_ns, cores, patience_ns: PATIENCE_NS };
        Machine::start_numbered(options.workers.unwrap_or(cores).max(1), numbers, policy)
    }

    /// The same with `count` workers and any numbers.
    pub(super) fn start_numbered(
        count: usize,
        numbers: Numbers,
        policy: &MakePolicy,
    ) -> Result<Machine, MachineError> {
        tick::prepare().map_err(MachineError::Missing)?;
        let system = |what: &'static str| move |source| MachineError::System { what, source };
        let seats = (0..count).map(|_| Seat::new(policy())).collect();
        let reactor = Arc::new(Reactor::new().map_err(|errno| system("the reactor")(errno.into()))?);
        let pool = Arc::new(Pool::new(seats, Clock::System, numbers, Some(Arc::clone(&reactor))));
        // From here on the drop of the machine stops what was started.
        let mut machine = Machine { pool, threads: Vec::new(), simulated: None };
        let spawned = thread::Builder::new().name("atoll-reactor".to_owned()).spawn(move || reactor.serve());
        machine.threads.push(spawned.map_err(system("the reactor"))?);
        for index in 0..count {
            machine.hire(index)?;
        }
        Ok(machine)
    }

    fn hire(&mut self, index: usize) -> Result<(), MachineError> {
        let system = |source| MachineError::System { what: "a worker", source };
        let pool = Arc::clone(&self.pool);
        let (ready, wait) = mpsc::channel();
        let work = move || {
            let worker = Worker::new(pool, index, None);
            // Seated before anybody can send it a tick: one that its handler took for somebody else's would be lost.
            worker.while_seated(|| {
                let prepared =
                    prepare_thread().map_err(std::io::Error::other).and_then(|()| worker.seat().take());
                let failed = prepared.is_err();
                if ready.send(prepared).is_ok() && !failed {
                    worker.serve();
                }
            });
        };
        let spawned = thread::Builder::new().name(format!("atoll-worker-{index}")).spawn(work);
        self.threads.push(spawned.map_err(system)?);
        let gone = |_| std::io::Error::other("it ended before it began");
        wait.recv().map_err(gone).and_then(|prepared| prepared).map_err(system)
    }

    /// A machine that runs when it is told to, on the OS thread that tells it, in an order that the seed decides. Its
    /// time is its own, and passes when nobody can run. Nothing is pre-empted but at checkpoints.
    ///
    /// # Errors
    /// [`MachineError`]
    pub fn simulate(seed: u64) -> Result<Machine, MachineError> {
        let options = MachineOptions::default();
        let missing = |error: crate::mem::MemError| MachineError::Missing(error.to_string());
        prepare_thread().map_err(missing)?;
        let mut random = Random::new(seed);
        let seat = Seat::new(Box::new(Seeded::new(random.next_u64(), options.slice_ns)));
        let (slice_ns, sample_ns) = (options.slice_ns, options.sample_ns);
        let numbers = Numbers { slice_ns, sample_ns, cores: 1, patience_ns: PATIENCE_NS };
        let pool = Arc::new(Pool::new([seat].into(), Clock::manual(), numbers, None));
        let worker = Worker::new(Arc::clone(&pool), 0, Some(random));
        Ok(Machine { pool, threads: Vec::new(), simulated: Some(worker) })
    }

    /// Runs a simulated machine until nobody can run and no time is waited for. A machine with workers of its own does
    /// that by itself, and does nothing here.
    pub fn run_until_idle(&self) {
        while self.step() {}
    }

    /// Runs one turn of a simulated machine; whether there was anything to do.
    pub fn step(&self) -> bool {
        let Some(worker) = &self.simulated else { return false };
        let now_ns = self.pool.clock.now_ns();
        let until_ns = match self.pool.choose(0, now_ns) {
            Choice::Run(turn) => {
                // A turn takes a while: deadlines come before, between and after what they race with.
                let end_ns = now_ns + turn.slice_ns;
                worker.while_seated(|| worker.run(turn, now_ns));
                self.pool.clock.advance_to(end_ns);
                return true;
            }
            Choice::Wait { until_ns } => until_ns,
            Choice::Nobody => NEVER,
        };
        let next_ns = until_ns.min(self.pool.timers.next_ns());
        if next_ns != NEVER {
            self.pool.clock.advance_to(next_ns);
        }
        next_ns != NEVER
    }

    /// A new thread. It waits until it is woken.
    pub fn spawn(&self, account: Arc<Account>, body: Box<dyn Body>) -> Thread {
        self.pool.spawn(account, body, None)
    }

    /// The same at one worker, from which it never moves.
    ///
    /// # Panics
    /// If `worker` is not less than [`Self::workers`].
    pub fn spawn_at(&self, worker: usize, account: Arc<Account>, body: Box<dyn Body>) -> Thread {
        self.pool.spawn(account, body, Some(worker))
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.pool.seats.len()
    }

    /// For whoever starts threads of a machine that others hold.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.pool))
    }

    /// A new account.
    #[must_use]
    pub fn account(&self, share: Share) -> Arc<Account> {
        Arc::new(Account::new(share, self.pool.clock.now_ns()))
    }

    /// Where the machine has its time from.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.pool.clock
    }

    /// How many turns its workers have begun.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.pool.seats.iter().map(|seat| seat.turn.turns.load(Ordering::Relaxed)).sum()
    }

    /// How many threads have not ended.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.pool.live().len()
    }

    /// Condemns every thread and waits until they have ended, at most `timeout`; whether they all have. Host code that
    /// never returns keeps one alive.
    pub fn end_all(&self, trap: &Trap, timeout: Duration) -> bool {
        if self.simulated.is_some() {
            self.pool.end_all(trap, Duration::ZERO);
            self.run_until_idle();
        }
        self.pool.end_all(trap, timeout)
    }
}

/// Starts threads of a machine, as long as that is there.
#[derive(Clone)]
pub struct Spawner(Weak<Pool>);

impl Spawner {
    /// A new thread, as [`Machine::spawn`] makes it, or at one worker as [`Machine::spawn_at`]; `None` once the machine
    /// stops.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn spawn(&self, account: Arc<Account>, body: Box<dyn Body>, home: Option<usize>) -> Option<Thread> {
        let pool = self.0.upgrade()?;
        (!pool.stopping.load(Ordering::SeqCst)).then(|| pool.spawn(account, body, home))
    }
}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Spawner").finish()
    }
}

/// How long the drop of a machine waits for its threads to end.
const FAREWELL: Duration = Duration::from_secs(5);

impl Drop for Machine {
    fn drop(&mut self) {
        let trap = Trap::Killed("the machine stops".to_owned());
        self.pool.close(&trap);
        let ended = self.end_all(&trap, FAREWELL);
        self.pool.stopping.store(true, Ordering::SeqCst);
        if let Some(reactor) = &self.pool.reactor {
            reactor.stop();
        }
        self.pool.seats.iter().for_each(|seat| {
            seat.wake();
        });
        for thread in self.threads.drain(..) {
            if ended {
                let _ = thread.join();
            }
        }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("workers", &self.pool.seats.len()).finish_non_exhaustive()
    }
}
