//! Trees, calls, faults, kills, deadlines and restarts as bytes choose them, on a schedule that they choose too: no answer is
//! lost, none is wrong, nobody is served twice, no handle leads into a life that has ended, and nothing stays behind.
//!
//! For the fuzz targets and the tests here. `ATOLL_SEEDS` sets how many seeds the tests try, `ATOLL_SEED` tries one.
//!
//! - [`forge`]: components, compiled once
//! - [`disorder`]: calls while domains are killed and started again
//! - [`keepsake`]: handles of lives that end

pub mod disorder;
pub mod forge;
pub mod keepsake;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use abi::callers::{Caller, Callers};
    use kernel::component::link::{Isolate, LinkOptions};
    use kernel::host::Imports;
    use kernel::sched::machine::Machine;
    use kernel::sched::seeded::Random;

    use super::disorder::{ask, try_calls};
    use super::forge::Forge;
    use super::keepsake::try_handles;
    use crate::system::{Placement, System};

    /// Choices of one seed; more than a schedule has.
    const CHOICES: usize = 4096;

    fn seeds(usual: u64) -> std::ops::Range<u64> {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        match number("ATOLL_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..number("ATOLL_SEEDS").unwrap_or(usual),
        }
    }

    fn choices(seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed);
        (0..CHOICES).map(|_| random.next_u64() as u8).collect()
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
    fn every_call_of_a_random_tree_is_answered_once() {
        let (mut forge, mut visits) = (Forge::default(), 0);
        for seed in seeds(200) {
            let _seed = Seed(seed);
            visits += try_calls(&mut forge, &choices(seed));
        }
        assert!(visits > 0 || std::env::var_os("ATOLL_SEED").is_some(), "no schedule hands over");
    }

    #[test]
    fn no_handle_leads_into_a_life_that_has_ended() {
        let mut forge = Forge::default();
        for seed in seeds(100) {
            let _seed = Seed(seed);
            try_handles(&mut forge, &choices(seed));
        }
    }

    #[test]
    fn domains_that_would_wait_for_each_other_are_answered() {
        let mut forge = Forge::default();
        // 2 calls 1, which is a domain of its own, and 1 calls 0, which is in one with 2.
        let caller = |imports: &[u32]| Caller { imports: imports.to_vec(), is_faulty: false };
        let callers = Callers { all: [[].as_slice(), &[0], &[1]].map(caller).into(), is_forgiving: false };
        let executable = forge.executable(&callers.text());
        let isolate = Isolate::Named(vec!["c1".to_owned()]);
        let options = LinkOptions { isolate, ..LinkOptions::new("root") };
        let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
        for seed in seeds(20) {
            let system = System::on(Machine::simulate(seed).unwrap());
            let linked = Arc::clone(&linked);
            let launched = system.launch(forge.engine(), linked, Box::new(()), Placement::default()).unwrap();
            let trap = ask(&system, &launched, "go2", &[1]).unwrap_err();
            assert!(trap.to_string().contains("wait for each other"), "{trap}");
        }
    }
}
