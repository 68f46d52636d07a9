//! The lock-free parts of the scheduler under a model checker, which tries every interleaving and every value that a load
//! may have by the memory model: `cargo test -p atoll-models`.
//!
//! The files are the kernel's own. What they import from beside them is here the model checker's. It must never need the
//! rest of the kernel: a model has a few steps, or it has no end.
//!
//! - [`atomics`]: the model checker's atomics, under the kernel's names
//! - [`park`]: waiting, as far as a lock needs it
//! - [`phase`], [`doze`], [`hatch`], [`order`], [`lock`], [`verdict`]: the kernel's; [`gate`]: that of segments

#[path = "../../src/sched/doze.rs"]
pub mod doze;
#[path = "../../../ipc/src/segment/gate.rs"]
pub mod gate;
#[path = "../../src/sched/hatch.rs"]
pub mod hatch;
#[path = "../../src/sched/lock.rs"]
pub mod lock;
#[path = "../../src/sched/order.rs"]
pub mod order;
#[path = "../../src/sched/phase.rs"]
pub mod phase;
#[path = "../../src/sched/verdict.rs"]
pub mod verdict;

pub mod atomics {
    //! As `kernel::sched::atomics` and those of segments.
    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
}

pub mod park {
    //! As `kernel::sched::park`, without guest threads.

    use std::fmt;

    use loom::sync::{Arc, Notify};

    loom::thread_local! {
        static HERE: Arc<Notify> = Arc::new(Notify::new());
    }

    /// Who waits.
    #[derive(Clone)]
    pub struct Waiter(Arc<Notify>);

    impl Waiter {
        /// Whoever runs this.
        #[must_use]
        pub fn current() -> Waiter {
            Waiter(HERE.with(Arc::clone))
        }

        /// Ends its wait, or its next one.
        pub fn wake(&self) {
            self.0.notify();
        }
    }

    impl fmt::Debug for Waiter {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Waiter")
        }
    }

    /// Waits to be woken.
    pub fn park_firmly() {
        Waiter::current().0.wait();
    }
}
