//! What a run has used, as data: the meters of its domains and processes.

use ipc::launched::Launched;
use serde::Serialize;

/// Meters of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Used {
    /// One a domain, in order.
    domains: Vec<DomainUse>,
    /// One a process, the root first.
    processes: Vec<ProcessUse>,
}

/// What a domain has used, in all its lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct DomainUse {
    domain: u32,
    generation: u32,
    /// The path of the process that it begins with.
    begins_with: String,
    cpu_ns: u64,
    /// Calls and messages of its present life.
    messages: u64,
    most_waiting: usize,
}

/// What a process has used, in all lives of its domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ProcessUse {
    path: String,
    /// Calls from outside its domain, and its own of the host and over boundaries.
    calls: u64,
    calls_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    faults: u64,
    peak_memory_bytes: u64,
    /// Processor time where ticks found it: a sample.
    cpu_sample_ns: u64,
}

impl Used {
    /// The meters as they stand.
    #[must_use]
    pub fn of(launched: &Launched) -> Used {
        let views = launched.domains();
        let processes = launched.tree().processes().into_iter().map(|process| {
            let place = process.info.place;
            let samples = views.get(place.domain as usize).map(|domain| &domain.cpu_samples_ns);
            let sample = samples.and_then(|samples| samples.get(place.process as usize));
            ProcessUse {
                path: process.info.path.clone(),
                calls: process.meters.calls,
                calls_out: process.meters.host_calls,
                bytes_in: process.meters.bytes_in,
                bytes_out: process.meters.bytes_out,
                faults: process.meters.faults,
                peak_memory_bytes: process.meters.peak_memory_bytes,
                cpu_sample_ns: sample.copied().unwrap_or(0),
            }
        });
        let processes = processes.collect();
        let domains = views.into_iter().map(|domain| DomainUse {
            domain: domain.id.index,
            generation: domain.id.generation,
            begins_with: domain.name,
            cpu_ns: domain.cpu_ns,
            messages: domain.calls,
            most_waiting: domain.most_waiting,
        });
        Used { domains: domains.collect(), processes }
    }
}
