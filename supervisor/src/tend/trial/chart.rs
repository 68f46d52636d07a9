//! Who supervises whom, made up.

use abi::sample::Sampler;

use crate::tend::child_spec::{Child, Restart, Spec, Strategy};

/// Supervisors below each other, at most.
const DEPTH: u32 = 2;
/// Children of a supervisor, at most.
const CHILDREN: u32 = 4;

/// Makes supervisors up.
pub struct Chart<'p> {
    /// The paths of the processes that are supervised, in order; it may have no end.
    pub paths: &'p mut dyn Iterator<Item = String>,
    /// In which time restarts are counted; nanoseconds.
    pub period_ns: u64,
    /// What the time is a multiple of that a process has to end; nanoseconds.
    pub shutdown_ns: u64,
}

impl Chart<'_> {
    /// A supervisor with all that is below it.
    pub fn draw(&mut self, sampler: &mut Sampler<'_>) -> Spec {
        self.supervisor(sampler, DEPTH, &mut 0)
    }

    fn supervisor(&mut self, sampler: &mut Sampler<'_>, depth: u32, count: &mut u32) -> Spec {
        const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
        *count += 1;
        let name = format!("s{count}");
        let mut children = Vec::new();
        for _ in 0..=sampler.below(CHILDREN) {
            if depth > 0 && sampler.below(3) == 2 {
                children.push(Child::Supervisor(self.supervisor(sampler, depth - 1, count)));
            } else {
                children.extend(self.paths.next().map(|path| self.process(sampler, path)));
            }
        }
        let strategy = STRATEGIES[sampler.below(3) as usize];
        Spec { name, strategy, intensity: sampler.below(6), period_ns: self.period_ns, children }
    }

    /// A child that is a process.
    pub fn process(&self, sampler: &mut Sampler<'_>, path: String) -> Child {
        const RESTARTS: [Restart; 4] =
            [Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary];
        let restart = RESTARTS[sampler.below(4) as usize];
        Child::Process { path, restart, shutdown_ns: u64::from(sampler.below(4)) * self.shutdown_ns }
    }
}
