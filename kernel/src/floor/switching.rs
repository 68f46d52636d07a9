//! To another stack and back: two switches, and nothing else.

use corosensei::{Coroutine, CoroutineResult};

/// A stack that does nothing but switch back.
pub struct Switching(Coroutine<(), (), ()>);

impl Switching {
    /// A stack to switch to.
    #[must_use]
    pub fn new() -> Switching {
        Switching(Coroutine::new(|yielder, ()| {
            loop {
                yielder.suspend(());
            }
        }))
    }

    /// Switches to it, and back.
    #[inline]
    pub fn round_trip(&mut self) {
        let result = self.0.resume(());
        debug_assert!(matches!(result, CoroutineResult::Yield(())), "it never ends");
    }
}

impl Default for Switching {
    fn default() -> Switching {
        Switching::new()
    }
}

impl std::fmt::Debug for Switching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Switching").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Switching;

    #[test]
    fn goes_there_and_back() {
        let mut switching = Switching::new();
        (0..1000).for_each(|_| switching.round_trip());
    }
}
