//! The format of a manifest, declared once: the parser and the schema for editors are made of this.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use servers::grants::{Local, NamePattern, Peer};

use super::described::{Described, table};
use super::said::{PlacementWord, RestartWord, Said, Spot, StdinFrom, StdoutTo, StrategyWord, Wire};
use crate::confine::Reaction;
use crate::grant::Dir;
use crate::measure::{Count, Percent, Size, Span};
use crate::nearest::nearest;

/// Declares tables: what is written in them, what it is for, and what must be there.
macro_rules! tables {
    ($(
        $(#[doc = $about:literal])+
        $name:ident $([required: $($required:ident),+])? {
            $($(#[doc = $doc:literal])+ $key:ident: $ty:ty,)+
        }
    )+) => { $(
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name { $($(#[doc = $doc])+ pub $key: $ty,)+ }

        impl $name {
            /// The keys that can be written in it.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key)),+];
        }

        impl Described for $name {
            fn schema() -> Value {
                let keys = [$((stringify!($key), concat!($($doc),+), <$ty>::schema())),+];
                table(concat!($($about),+), &keys, &[$($(stringify!($required)),+)?])
            }
        }
    )+ };
}

/// A table whose keys are names that the author chooses.
pub type Named<T> = BTreeMap<Spot<String>, T>;

tables! {
    /// A tree of processes: who they are, how they are wired, what they may do, who starts them again.
    ManifestKeys [required: process] {
        /// The name of the tree; that of the manifest's folder if it is not said.
        name: Option<Spot<String>>,
        /// The processes by name. A name with `/` in it is an instance inside of a component.
        process: Named<Spot<ProcessKeys>>,
        /// What holds for calls of one process to another.
        edge: Vec<Spot<EdgeKeys>>,
        /// Who starts processes again, when and how often.
        supervisor: Option<SupervisorKeys>,
        /// What can be called from outside, by name; all interfaces that nobody imports if it is not said.
        exports: Option<Spot<Named<Spot<Wire>>>>,
        /// What a caller gets when a process that it called fails: `trap`, `error` or `retry:N`.
        on_fault: Option<Said<Reaction>>,
        /// How long a caller waits before that counts as a failure.
        deadline: Option<Said<Span>>,
        /// What each process may use, if it has no quota of its own.
        quotas: QuotaKeys,
        /// The machine that the tree runs on.
        machine: MachineKeys,
    }
    /// A process.
    ProcessKeys {
        /// Its component: a file, from the manifest's folder on.
        component: Option<Spot<String>>,
        /// Who serves its imports, where more than one process could: a process, or `system`.
        imports: Named<Spot<Wire>>,
        /// What it may reach: nothing that is not written here.
        grants: GrantKeys,
        /// What it may use.
        quotas: QuotaKeys,
        /// Whether it begins a domain: faults, ends and starts apart from others. True if it is not said, but for instances inside of components.
        isolate: Option<Spot<bool>>,
        /// A domain that it shares with those of the same word: they fault, end and start together, and call each other at no cost.
        domain: Option<Spot<String>>,
        /// What its callers get when it fails: `trap`, `error` or `retry:N`.
        on_fault: Option<Spot<Said<Reaction>>>,
        /// How long its callers wait before that counts as a failure.
        deadline: Option<Spot<Said<Span>>>,
        /// Where it runs: `anywhere`, `worker:N`, or `process`, an operating-system process of its own.
        placement: Option<Spot<Said<PlacementWord>>>,
        /// When it is started again: `permanent` (always), `transient` (after a failure), `temporary` (never).
        restart: Option<Spot<Said<RestartWord>>>,
        /// How long it may take to end before it is killed.
        shutdown: Option<Spot<Said<Span>>>,
        /// Whether its `wasi:cli/run` is called. True if it is not said and there is one.
        run: Option<Spot<bool>>,
        /// Whether a core dump is written when it faults.
        dump: Option<Spot<bool>>,
        /// How what it prints is kept.
        logs: LogKeys,
    }
    /// What a process may reach.
    GrantKeys {
        /// Folders: `HOST::GUEST`, and `:ro` at the end for read-only; from the manifest's folder on.
        dirs: Vec<Spot<Said<Dir>>>,
        /// Environment variables.
        env: Named<String>,
        /// Names of variables that are passed on as they are outside, or `*` for all.
        inherit_env: Vec<Spot<String>>,
        /// Arguments, after the name of the process.
        args: Vec<String>,
        /// The folder that relative paths begin at, as the process knows it.
        cwd: Option<String>,
        /// Where standard input comes from; `none` if it is not said.
        stdin: Option<Said<StdinFrom>>,
        /// Where standard output goes; `log` if it is not said.
        stdout: Option<Said<StdoutTo>>,
        /// Where standard error goes; `log` if it is not said.
        stderr: Option<Said<StdoutTo>>,
        /// What it reaches over the network.
        network: NetworkKeys,
        /// The time of day, the monotonic clock, and sleeping.
        clocks: bool,
        /// Random numbers.
        random: bool,
    }
    /// What a process reaches over the network: hosts by name, address or CIDR, each with ports.
    NetworkKeys {
        /// To whom it opens TCP connections.
        connect: Vec<Spot<Said<Peer>>>,
        /// Where it waits for TCP connections.
        listen: Vec<Spot<Said<Local>>>,
        /// With whom it exchanges UDP datagrams.
        udp: Vec<Spot<Said<Peer>>>,
        /// Where it waits for UDP datagrams.
        udp_listen: Vec<Spot<Said<Local>>>,
        /// Names that it looks up, beside those that it may connect to.
        resolve: Vec<Spot<Said<NamePattern>>>,
    }
    /// What a process may use.
    QuotaKeys {
        /// Bytes of its memories; growing beyond fails.
        memory: Option<Spot<Said<Size>>>,
        /// Elements of its tables; growing beyond fails.
        table_elements: Option<Spot<Said<Count>>>,
        /// Handles that it holds; one more is a fault.
        handles: Option<Spot<Said<Count>>>,
        /// Bytes of stack for a call into it and what that calls in its domain; more is a fault.
        stack: Option<Spot<Said<Size>>>,
        /// How long its domain works on one call; longer is a fault.
        call_time: Option<Spot<Said<Span>>>,
        /// The most that its domain uses of the processors, in per cent of one core.
        cpu_cap: Option<Spot<Said<Percent>>>,
        /// Its domain's part of the processors when there is not enough for all; 100 if it is not said.
        cpu_weight: Option<Spot<Said<Count>>>,
        /// Calls that may wait for its domain; further callers wait to be let in.
        mailbox: Option<Spot<Said<Count>>>,
        /// Bytes that one call of its domain may carry; more is a fault.
        message: Option<Spot<Said<Size>>>,
    }
    /// How what a process prints is kept.
    LogKeys {
        /// A file that gets it too, from the manifest's folder on.
        file: Option<Spot<String>>,
        /// How many of its last lines are kept for `atoll logs`; 4096 if it is not said, 65536 at most.
        lines: Option<Spot<Said<Count>>>,
    }
    /// What holds for calls of one process to another.
    EdgeKeys [required: from, to] {
        /// Who calls.
        from: Option<Spot<String>>,
        /// Who is called.
        to: Option<Spot<String>>,
        /// What the caller gets when the callee fails: `trap`, `error` or `retry:N`.
        on_fault: Option<Said<Reaction>>,
        /// How long the caller waits before that counts as a failure.
        deadline: Option<Said<Span>>,
    }
    /// Who starts processes again, when and how often.
    SupervisorTable {
        /// Whom it starts again when one ends: `one-for-one`, `one-for-all` or `rest-for-one`.
        strategy: Option<Said<StrategyWord>>,
        /// How many restarts it makes within the period; at the next one it gives up.
        intensity: Option<Spot<u32>>,
        /// The time in which restarts are counted.
        period: Option<Said<Span>>,
        /// Processes and supervisors that are its; without it, all that are nobody's.
        children: Option<Vec<Spot<String>>>,
    }
    /// The machine that the tree runs on.
    MachineKeys {
        /// Threads that run guests; one a core and not more than domains if it is not said.
        workers: Option<Spot<Said<Count>>>,
        /// How long one domain runs while others wait; 1ms if it is not said.
        slice: Option<Said<Span>>,
    }
}

/// The topmost supervisor, and further ones by name.
#[derive(Clone, Debug, Default)]
pub struct SupervisorKeys {
    /// The topmost.
    pub top: SupervisorTable,
    /// Further ones.
    pub named: Named<SupervisorTable>,
    /// A key that is nearly one of the topmost's, and none.
    pub unknown: Option<Spot<String>>,
}

impl Described for u32 {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl Described for SupervisorKeys {
    fn schema() -> Value {
        let mut schema = SupervisorTable::schema();
        schema["additionalProperties"] = SupervisorTable::schema();
        schema
    }
}

impl<'de> Deserialize<'de> for SupervisorKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SupervisorKeys, D::Error> {
        deserializer.deserialize_map(Supervisors)
    }
}

struct Supervisors;

impl<'de> Visitor<'de> for Supervisors {
    type Value = SupervisorKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a table with `strategy`, `intensity` and `period`, and tables of further supervisors by name",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SupervisorKeys, A::Error> {
        let mut keys = SupervisorKeys::default();
        while let Some(key) = map.next_key::<Spot<String>>()? {
            match key.get_ref().as_str() {
                "strategy" => keys.top.strategy = map.next_value()?,
                "intensity" => keys.top.intensity = map.next_value()?,
                "period" => keys.top.period = map.next_value()?,
                "children" => keys.top.children = map.next_value()?,
                // What is nearly one of these keys is not taken for somebody's name.
                word if nearest(word, SupervisorTable::KEYS.iter().copied()).is_some() => {
                    map.next_value::<IgnoredAny>()?;
                    keys.unknown.get_or_insert(key);
                }
                _ => {
                    keys.named.insert(key, map.next_value()?);
                }
            }
        }
        Ok(keys)
    }
}
