//! Which guest thread runs where, and for how long.
//!
//! A [`machine::Machine`] has workers, OS threads that run guest threads one turn after the other. Who is next is a
//! policy's decision; when a turn is over, a signal takes the thread off its code wherever that is. Host code is never
//! interrupted: it waits by parking, and looks up at checkpoints.
//!
//! - [`machine`]: workers that run guest threads: what an embedder holds
//! - [`thread`]: guest threads
//! - [`park`]: waiting in host code
//! - [`lock`]: a lock for who may leave the processor while holding it
//! - [`hold`]: holding a thread, to look at what it does
//! - [`account`]: what a domain has used of the processors and may use
//! - [`policy`]: the interface of whoever decides
//! - [`fair`]: the usual policy: weighted fair
//! - [`seeded`]: a policy that a seed decides, for tests
//! - [`clock`]: where the time comes from
//! - [`timers`]: what is to happen at a time
//! - [`atomics`]: what the lock-free parts are made of
//! - [`doze`]: falling asleep without missing what comes
//! - [`express`]: having something done at another worker at once
//! - [`hatch`]: past the queues
//! - [`handoff`]: running the thread of whoever is called at once
//! - `stints`: whose part of a turn is how long
//! - [`order`]: when the next tick is to come
//! - [`phase`]: ready, running, waiting
//! - [`pool`], [`seat`]: what the workers share
//! - [`verdict`]: that a thread is to end what it does
//! - [`worker`]: the loop of one worker
//! - [`tick`]: how guest code is pre-empted
//! - [`reactor`]: the OS thread that waits for files and times

pub mod account;
mod atomics;
pub mod clock;
mod doze;
pub(crate) mod express;
pub mod fair;
pub mod handoff;
mod hatch;
pub mod hold;
pub mod lock;
pub mod machine;
mod order;
pub mod park;
mod phase;
pub mod policy;
mod pool;
mod reactor;
mod seat;
pub mod seeded;
mod stints;
pub mod thread;
mod tick;
pub mod timers;
mod verdict;
mod worker;

#[cfg(test)]
mod express_tests;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod starving_tests;
