//! What the lock-free parts are made of. They import it from here and from nowhere else: `kernel/models` compiles the same
//! files with a model checker's in their place.

pub use std::sync::Mutex;
pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence};
