//! Random trees of supervisors led through random histories: whatever happens, in whatever order, the rules hold.
//!
//! Part of the tests, and with the feature `trial` of the fuzz targets. `ATOLL_SEEDS` sets how many seeds the tests try,
//! `ATOLL_SEED` tries one.
//!
//! - [`chart`]: who supervises whom
//! - [`rulebook`]: what was told, held against OTP's rules
//! - [`history`]: the rules alone, in a world that obeys them
//! - [`drill`]: trees that run, and what becomes of calls to them

pub mod chart;
pub mod drill;
pub mod history;
pub mod rulebook;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use kernel::component::executable::Executable;
    use kernel::jit::engine::Engine;
    use kernel::sched::seeded::Random;

    use super::drill::try_drill;
    use super::history::try_history;

    /// Choices of one seed; as many as the longest histories have.
    const CHOICES: usize = 4096;

    fn seeds(usual: u64) -> std::ops::Range<u64> {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        match number("ATOLL_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..number("ATOLL_SEEDS").unwrap_or(usual),
        }
    }

    /// Tries each seed, and counts how histories have ended.
    fn outcomes(usual: u64, mut attempt: impl FnMut(&[u8]) -> String) -> BTreeMap<String, u32> {
        let mut outcomes = BTreeMap::<String, u32>::new();
        for seed in seeds(usual) {
            let mut random = Random::new(seed);
            let choices: Vec<u8> = (0..CHOICES).map(|_| random.next_u64() as u8).collect();
            let _seed = Seed(seed);
            *outcomes.entry(attempt(&choices)).or_default() += 1;
        }
        outcomes
    }

    /// Says which seed it was if the test fails.
    struct Seed(u64);

    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("this was ATOLL_SEED={}", self.0);
            }
        }
    }

    #[test]
    fn the_rules_hold_in_any_history() {
        let outcomes = outcomes(2000, |choices| format!("{:?}", try_history(choices)));
        // Where many are tried, histories end in every way.
        assert!(outcomes.len() == 4 || outcomes.values().sum::<u32>() < 1000, "{outcomes:?}");
    }

    #[test]
    fn a_tree_that_runs_is_kept_as_the_rules_say() {
        let engine = Engine::new().expect("there is a compiler for this machine");
        let mut make = |text: &str| {
            let wasm = wat::parse_str(text).expect("it is written well");
            (engine.clone(), Arc::new(Executable::parse(&engine, &wasm).expect("it is valid")))
        };
        let outcomes = outcomes(150, |choices| format!("{:?}", try_drill(&mut make, choices)));
        assert!(outcomes.len() > 1 || outcomes.values().sum::<u32>() < 100, "{outcomes:?}");
    }
}
