//! Where a tree is divided into domains, and what its domains and processes may use, as a person says it.

use std::fmt;
use std::str::FromStr;

use ipc::actor::CallLimits;
use ipc::system::{Place, Placement};
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::{Linked, ProcessInfo};
use kernel::component::options::EdgeRule;
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::quota::{Quota, Quotas};
use kernel::sched::account::{Share, WEIGHT_ONE};

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::live::Workers;
use crate::measure::{Count, Percent, Size, Span};
use crate::nearest::nearest;

/// The name that stands for every process.
const ALL: &str = "all";

/// How a tree is divided, what its parts may use, and what it runs on.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Confines {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub boundaries: Boundaries,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub limits: Limits,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub workers: Workers,
}

/// Boundaries between the processes of a tree.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Boundaries {
    /// Let these processes begin domains of their own, by name or path, or `all` of them. Can be given again.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = DOMAINS)]
    pub isolate: Vec<String>,
    /// What a caller gets when a domain that it called fails: `trap`, `error` (an `err`, where the result can hold one)
    /// or `retry:N` (started again, N times at most). With NAME for calls of that process.
    #[arg(long, value_name = "[NAME=]WHAT", help_heading = DOMAINS)]
    pub on_fault: Vec<Named<Reaction>>,
    /// How long a caller of a domain waits before that counts as a failure. With NAME for calls of that process.
    #[arg(long, value_name = "[NAME=]TIME", help_heading = DOMAINS)]
    pub deadline: Vec<Named<Span>>,
}

/// What domains and processes may use.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Limits {
    /// Bytes of a process's memories; growing beyond fails.
    #[arg(long, value_name = "[NAME=]SIZE", help_heading = LIMITS)]
    pub memory: Vec<Named<Size>>,
    /// Elements of a process's tables; growing beyond fails.
    #[arg(long, value_name = "[NAME=]N", help_heading = LIMITS)]
    pub table_elements: Vec<Named<Count>>,
    /// Handles that a process holds; one more is a fault.
    #[arg(long, value_name = "[NAME=]N", help_heading = LIMITS)]
    pub handles: Vec<Named<Count>>,
    /// Where a domain runs: `anywhere`, or `process` for an OS process of its own, locked down; with NAME the domain that
    /// begins with that process.
    #[arg(long, value_name = "[NAME=]WHERE", help_heading = DOMAINS)]
    pub placement: Vec<Named<Spot>>,
    /// Bytes of stack for a call into a process and what it calls in its domain; more is a fault.
    #[arg(long, value_name = "[NAME=]SIZE", help_heading = LIMITS)]
    pub stack: Vec<Named<Size>>,
    /// How long a domain works on one call; longer is a fault.
    #[arg(long, value_name = "[NAME=]TIME", help_heading = LIMITS)]
    pub call_time: Vec<Named<Span>>,
    /// The most that a domain uses of the processors, in per cent of one core.
    #[arg(long, value_name = "[NAME=]PERCENT", help_heading = LIMITS)]
    pub cpu_cap: Vec<Named<Percent>>,
    /// A domain's part of the processors when there is not enough for all; 100 if it is not said.
    #[arg(long, value_name = "[NAME=]N", help_heading = LIMITS)]
    pub cpu_weight: Vec<Named<Count>>,
    /// Calls that may wait for a domain; further callers wait to be let in.
    #[arg(long, value_name = "[NAME=]N", help_heading = LIMITS)]
    pub mailbox: Vec<Named<Count>>,
    /// Bytes that one call of a domain may carry; more is a fault.
    #[arg(long, value_name = "[NAME=]SIZE", help_heading = LIMITS)]
    pub message: Vec<Named<Size>>,
}

const DOMAINS: &str = "Domains";
const LIMITS: &str = "Limits";

/// A value for everybody, or for those of one name or path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    /// Whom it is for; everybody if nobody is named.
    pub name: Option<String>,
    /// The value.
    pub value: T,
}

/// What a caller gets when a domain that it called fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction(pub OnFault);

/// No reaction.
#[derive(Debug, thiserror::Error)]
#[error("expected `trap`, `error` or `retry:N` with N at least 1")]
pub struct ReactionError;

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            OnFault::Trap => f.write_str("trap"),
            OnFault::Error => f.write_str("error"),
            OnFault::Retry(times) => write!(f, "retry:{times}"),
        }
    }
}

impl FromStr for Reaction {
    type Err = ReactionError;

    fn from_str(text: &str) -> Result<Reaction, ReactionError> {
        Ok(Reaction(match (text, text.strip_prefix("retry:")) {
            ("trap", _) => OnFault::Trap,
            ("error", _) => OnFault::Error,
            (_, Some(times)) => {
                OnFault::Retry(times.parse().ok().filter(|times| *times > 0).ok_or(ReactionError)?)
            }
            _ => return Err(ReactionError),
        }))
    }
}

/// Where a domain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot(pub Place);

/// No place.
#[derive(Debug, thiserror::Error)]
#[error("expected `anywhere` or `process`")]
pub struct SpotError;

impl FromStr for Spot {
    type Err = SpotError;

    fn from_str(text: &str) -> Result<Spot, SpotError> {
        match text {
            "anywhere" => Ok(Spot(Place::Anywhere)),
            "process" => Ok(Spot(Place::OwnProcess)),
            _ => Err(SpotError),
        }
    }
}

impl<T: FromStr> FromStr for Named<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Named<T>, T::Err> {
        // Values have no `=` in them, names may.
        Ok(match text.rsplit_once('=') {
            Some((name, value)) => Named { name: Some(name.to_string()), value: value.parse()? },
            None => Named { name: None, value: text.parse()? },
        })
    }
}

/// The value for a process: the last one for its name or path, else the last one for everybody.
fn value_for<T: Copy>(values: &[Named<T>], process: &ProcessInfo) -> Option<T> {
    let named =
        values.iter().rfind(|value| value.name.as_deref().is_some_and(|name| is_called(process, name)));
    named.or_else(|| values.iter().rfind(|value| value.name.is_none())).map(|named| named.value)
}

fn is_called(process: &ProcessInfo, name: &str) -> bool {
    process.name == name || process.path == name
}

fn names<T>(values: &[Named<T>]) -> impl Iterator<Item = &str> {
    values.iter().filter_map(|value| value.name.as_deref())
}

impl Boundaries {
    /// How a tree is linked whose root process has this name.
    #[must_use]
    pub fn link_options(&self, name: impl Into<String>) -> LinkOptions {
        let mut options = LinkOptions::new(name);
        if self.isolate.iter().any(|name| name == ALL) {
            options.isolate = Isolate::All;
        } else if !self.isolate.is_empty() {
            options.isolate = Isolate::Named(self.isolate.clone());
        }
        options.edge = self.policy(None);
        // The last one that is given for a name counts, and in a list of rules the first one that fits.
        let callees = names(&self.on_fault).chain(names(&self.deadline));
        let mut callees: Vec<&str> = callees.collect();
        callees.reverse();
        let rule = |callee: &str| EdgeRule {
            caller: None,
            callee: callee.to_string(),
            policy: self.policy(Some(callee)),
        };
        options.edges = callees.into_iter().map(rule).collect();
        options
    }

    /// What holds for calls of whoever has this name.
    fn policy(&self, callee: Option<&str>) -> EdgePolicy {
        fn last<T: Copy>(values: &[Named<T>], name: Option<&str>) -> Option<T> {
            let of = |wanted: Option<&str>| values.iter().rfind(|value| value.name.as_deref() == wanted);
            of(name).or_else(|| of(None)).map(|named| named.value)
        }
        EdgePolicy {
            on_fault: last(&self.on_fault, callee).map_or_else(OnFault::default, |reaction| reaction.0),
            deadline_ns: last(&self.deadline, callee).map(|span| span.0),
        }
    }

    /// Checks that everybody who is named is there.
    ///
    /// # Errors
    /// Somebody is not.
    pub fn check(&self, linked: &Linked) -> Result<(), Complaint> {
        let mut isolated = self.isolate.iter().map(String::as_str).filter(|name| *name != ALL);
        isolated.try_for_each(|name| find(linked, "--isolate", name).map(drop))?;
        check_names(linked, "--on-fault", &self.on_fault)?;
        check_names(linked, "--deadline", &self.deadline)
    }
}

impl Limits {
    /// Checks that everybody who is named is there, and begins a domain where the limit is one of domains.
    ///
    /// # Errors
    /// Somebody is not, or does not.
    pub fn check(&self, linked: &Linked) -> Result<(), Complaint> {
        check_names(linked, "--memory", &self.memory)?;
        check_names(linked, "--table-elements", &self.table_elements)?;
        check_names(linked, "--handles", &self.handles)?;
        check_names(linked, "--stack", &self.stack)?;
        check_domains(linked, "--placement", &self.placement)?;
        check_domains(linked, "--call-time", &self.call_time)?;
        check_domains(linked, "--cpu-cap", &self.cpu_cap)?;
        check_domains(linked, "--cpu-weight", &self.cpu_weight)?;
        check_domains(linked, "--mailbox", &self.mailbox)?;
        check_domains(linked, "--message", &self.message)
    }

    /// How the domain runs that begins with this process.
    #[must_use]
    pub fn placement(&self, process: &ProcessInfo) -> Placement {
        let usual = Placement::default();
        Placement {
            share: Share {
                weight: value_for(&self.cpu_weight, process).map_or(WEIGHT_ONE, |count| count.0),
                cap: value_for(&self.cpu_cap, process).map(|percent| percent.0),
            },
            mailbox: value_for(&self.mailbox, process).map_or(usual.mailbox, |count| count.0 as usize),
            limits: CallLimits {
                wall_clock_ns: value_for(&self.call_time, process).map(|span| span.0),
                message_bytes: value_for(&self.message, process).map(|size| size.0),
            },
            place: value_for(&self.placement, process).map_or(usual.place, |spot| spot.0),
        }
    }

    /// What the processes of a tree may hold.
    #[must_use]
    pub fn quotas(&self, linked: &Linked) -> Quotas {
        let processes = linked.processes().iter().enumerate();
        let limited = processes.filter_map(|(index, process)| Some((index, self.quota(process)?)));
        Quotas { processes: limited.collect(), domains: Vec::new() }
    }

    /// What a process may hold; `None` if nothing limits it.
    fn quota(&self, process: &ProcessInfo) -> Option<Quota> {
        let quota = Quota {
            memory_bytes: value_for(&self.memory, process).map(|size| size.0),
            table_elements: value_for(&self.table_elements, process).map(|count| u64::from(count.0)),
            handles: value_for(&self.handles, process).map(|count| count.0),
            stack_bytes: value_for(&self.stack, process).map(|size| size.0),
        };
        (quota != Quota::default()).then_some(quota)
    }
}

/// Whether a domain begins with a process.
#[must_use]
pub fn begins_domain(linked: &Linked, process: &ProcessInfo) -> bool {
    let mut processes = linked.processes().iter();
    let first = processes.find(|other| other.place.domain == process.place.domain);
    first.is_some_and(|first| first.path == process.path)
}

fn check_names<T>(linked: &Linked, option: &str, values: &[Named<T>]) -> Result<(), Complaint> {
    names(values).try_for_each(|name| find(linked, option, name).map(drop))
}

fn check_domains<T>(linked: &Linked, option: &str, values: &[Named<T>]) -> Result<(), Complaint> {
    names(values).try_for_each(|name| {
        let found = find(linked, option, name)?;
        if found.iter().any(|process| begins_domain(linked, process)) {
            return Ok(());
        }
        let what = format!("{option} {name}=…: `{name}` begins no domain");
        Err(Complaint::new(Exit::Usage, what).advise(format!("let it begin one: --isolate {name}")))
    })
}

/// The processes of a name or path: at least one.
fn find<'l>(linked: &'l Linked, option: &str, name: &str) -> Result<Vec<&'l ProcessInfo>, Complaint> {
    let processes = linked.processes();
    let found: Vec<_> = processes.iter().filter(|process| is_called(process, name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let complaint = Complaint::new(Exit::Usage, format!("{option}: no process is called `{name}`"));
    let all = processes.iter().flat_map(|process| [process.name.as_str(), process.path.as_str()]);
    let complaint = match nearest(name, all) {
        Some(near) => complaint.advise(format!("did you mean `{near}`?")),
        None => complaint,
    };
    Err(complaint.advise("`atoll tree FILE` shows every process and its path"))
}

#[cfg(test)]
mod tests {
    use kernel::component::linked::{Place, ProcessInfo};
    use kernel::component::port::OnFault;

    use super::{Boundaries, Limits, Named, Reaction, Spot};
    use crate::measure::{Percent, Size};

    fn process(name: &str, path: &str) -> ProcessInfo {
        ProcessInfo {
            name: name.to_string(),
            path: path.to_string(),
            parent: None,
            place: Place { domain: 0, process: 0 },
            component: None,
            imports: Vec::new(),
        }
    }

    #[test]
    fn reads_values_for_somebody_or_all() {
        let named = |text: &str| text.parse::<Named<Reaction>>().map(|it| (it.name, it.value.0)).ok();
        assert_eq!(named("error"), Some((None, OnFault::Error)));
        assert_eq!(named("store=retry:3"), Some((Some("store".to_string()), OnFault::Retry(3))));
        assert_eq!(named("a=b=trap"), Some((Some("a=b".to_string()), OnFault::Trap)));
        assert_eq!(Reaction(OnFault::Retry(3)).to_string(), "retry:3");
        for wrong in ["retry", "retry:0", "retry:x", "store=", "Error"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_domain_has_a_place() {
        let spot = |text: &str| text.parse::<Named<Spot>>().map(|it| (it.name, it.value.0)).ok();
        assert_eq!(spot("process"), Some((None, ipc::system::Place::OwnProcess)));
        assert_eq!(spot("store=anywhere"), Some((Some("store".to_string()), ipc::system::Place::Anywhere)));
        assert_eq!(spot("store=elsewhere"), None);
    }

    #[test]
    fn who_is_named_comes_before_everybody() {
        let size = |name: Option<&str>, bytes| Named { name: name.map(str::to_string), value: Size(bytes) };
        let limits = Limits {
            memory: vec![size(Some("store"), 1), size(None, 2), size(Some("/shop/cart"), 3)],
            cpu_cap: vec![Named { name: None, value: Percent(200) }],
            ..Limits::default()
        };
        let memory = |name, path| limits.quota(&process(name, path)).and_then(|quota| quota.memory_bytes);
        assert_eq!(memory("store", "/shop/store"), Some(1));
        assert_eq!(memory("cart", "/shop/cart"), Some(3));
        assert_eq!(memory("front", "/shop/front"), Some(2));
        assert_eq!(limits.placement(&process("x", "/x")).share.cap, Some(200));
        assert_eq!(Limits::default().quota(&process("x", "/x")), None);
    }

    #[test]
    fn edges_have_the_last_word_for_their_callee() {
        let on = |name: Option<&str>, on_fault| Named {
            name: name.map(str::to_string),
            value: Reaction(on_fault),
        };
        let boundaries = Boundaries {
            isolate: vec!["store".to_string()],
            on_fault: vec![
                on(Some("store"), OnFault::Trap),
                on(None, OnFault::Error),
                on(Some("store"), OnFault::Retry(2)),
            ],
            deadline: Vec::new(),
        };
        let options = boundaries.link_options("shop");
        assert_eq!(options.edge.on_fault, OnFault::Error);
        assert_eq!(options.edges[0].policy.on_fault, OnFault::Retry(2));
    }
}
