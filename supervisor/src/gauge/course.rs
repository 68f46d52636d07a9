//! One rung of the ladder: two guests, of which one calls the other over it.

use std::sync::Arc;

use abi::fault::Fault;
use abi::value::Value;
use ipc::launched::Launched;
use ipc::system::{Place, Placement, System};
use kernel::component::error::LaunchError;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::{HostFunc, Import, Imports};
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use kernel::sched::machine::MachineOptions;

use super::load::{self, Load};
use super::readings::Readings;
use super::stopwatch::Stopwatch;
use crate::complaint::Complaint;
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::launch;
use crate::live;

/// How a call gets to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rung {
    /// Both in one domain.
    Fused,
    /// Two domains on one worker.
    Handoff,
    /// Two domains on two workers.
    Channel,
    /// Two operating-system processes.
    Process,
}

/// All rungs, from the bottom.
pub const RUNGS: [Rung; 4] = [Rung::Fused, Rung::Handoff, Rung::Channel, Rung::Process];

impl Rung {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rung::Fused => "fused",
            Rung::Handoff => "handoff",
            Rung::Channel => "channel",
            Rung::Process => "process",
        }
    }

    /// What it is, for a person.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Rung::Fused => "both in one domain",
            Rung::Handoff => "two domains on one worker",
            Rung::Channel => "two domains on two workers",
            Rung::Process => "two operating-system processes",
        }
    }

    fn workers(self) -> usize {
        match self {
            Rung::Fused | Rung::Handoff | Rung::Process => 1,
            Rung::Channel => 2,
        }
    }

    /// Where a domain runs: 0 is the caller's, 1 the callee's.
    fn place(self, domain: u32) -> Place {
        match (self, domain) {
            (Rung::Channel, 1) => Place::Worker(1),
            (Rung::Process, 1) => Place::OwnProcess,
            _ => Place::Worker(0),
        }
    }
}

/// A rung with its guests up.
pub struct Course {
    launched: Launched,
    watch: Arc<Stopwatch>,
    /// Ends after what runs on it.
    _system: System,
}

/// The guests, compiled.
pub struct Guests {
    engine: Engine,
    executable: Executable,
}

const NAME: &str = "bench";

impl Guests {
    /// Compiles them.
    ///
    /// # Errors
    /// The compiler does not know this machine.
    pub fn compile() -> Result<Guests, Complaint> {
        let engine = launch::engine()?;
        let bytes = wat::parse_str(load::component())
            .map_err(|error| Complaint::new(Exit::Failed, "the guests of the bench").because(error))?;
        let executable = launch::parse(&engine, NAME, &bytes)?;
        Ok(Guests { engine, executable })
    }

    /// Brings them up for a rung; or says why there is no such rung here.
    ///
    /// # Errors
    /// There is no machine, or no memory.
    pub fn start(&self, rung: Rung) -> Result<Result<Course, String>, Trouble> {
        let watch = Arc::new(Stopwatch::new());
        let mut imports = Imports::default();
        imports.names.insert("tick".to_owned(), Import::Func(Arc::clone(&watch) as Arc<dyn HostFunc>));
        let isolate = if rung == Rung::Fused {
            Isolate::Nothing
        } else {
            Isolate::Named(vec![load::CALLEE.to_owned()])
        };
        let options = LinkOptions { isolate, ..LinkOptions::new(NAME) };
        let linked = self.executable.link(&imports, &options);
        let failed = |what: &str| Complaint::new(Exit::Failed, what.to_owned());
        let linked = linked.map_err(|error| failed("the guests of the bench").because(error))?;
        let options = MachineOptions { workers: Some(rung.workers()), ..MachineOptions::default() };
        let system = System::start(options).map_err(|error| failed("no machine to run on").because(error))?;
        let placement = |domain, _: &str| Placement { place: rung.place(domain), ..Placement::default() };
        let (linked, quotas) = (Arc::new(linked), Quotas::default());
        match system.launch_within(&self.engine, linked, Box::new(()), quotas, placement) {
            Ok(launched) => Ok(Ok(Course { launched, watch, _system: system })),
            Err(LaunchError::Resource(why)) if rung == Rung::Process => Ok(Err(why)),
            Err(error) => Err(live::unlaunched(NAME, error)),
        }
    }
}

impl Course {
    /// Has a load sent.
    ///
    /// # Errors
    /// The guests fault, which would be ours.
    pub fn send(&self, load: &Load, samples: u32, batch: u32) -> Result<Readings, Trouble> {
        self.watch.reset(batch);
        let unknown = |error| Complaint::new(Exit::Failed, "the guests of the bench").because(error);
        let func = self.launched.func(&[load.export]).map_err(unknown)?;
        let args = [samples, batch, load.size].map(Value::U32).to_vec();
        let broken = |fault: Fault| Trouble::Fault { fault: Box::new(fault), aftermath: Default::default() };
        self.launched.call(&func, args).map_err(broken)?;
        Ok(self.watch.readings())
    }
}

#[cfg(test)]
mod tests {
    use super::{Guests, RUNGS, Rung};
    use crate::gauge::load::LOADS;

    #[test]
    fn every_load_is_sent_over_every_rung() {
        let guests = Guests::compile().expect("our own guests");
        for rung in RUNGS {
            let course = guests.start(rung).unwrap_or_else(|trouble| panic!("{rung:?}: {trouble:?}"));
            let Ok(course) = course else {
                assert_eq!(rung, Rung::Process);
                continue;
            };
            for load in &LOADS {
                let readings =
                    course.send(load, 3, 2).unwrap_or_else(|trouble| panic!("{load:?}: {trouble:?}"));
                assert_eq!((readings.samples(), readings.batch()), (3, 2), "{rung:?}, {load:?}");
                assert!(readings.median_ns() > 0.0);
            }
        }
    }
}
