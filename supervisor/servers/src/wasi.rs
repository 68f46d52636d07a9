//! The state of all servers of one tree, and how it is built.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use abi::fault::Trap;
use abi::id::ProcessId;
use kernel::component::linked::Linked;

use crate::bind::State;
use crate::clocks::{MonotonicClock, SystemClock, WallClock};
use crate::filesystem::descriptor::{Descriptor, Directory};
use crate::filesystem::preopens::Preopen;
use crate::grants::granted::{Caller, Granted};
use crate::grants::why::Grant;
use crate::grants::{Explained, Grants, Network, Origin};
use crate::http::Http;
use crate::io::failure::Failure;
use crate::io::input::Input;
use crate::io::output::Output;
use crate::io::poll::Subject;
use crate::io::streams::Streams;
use crate::random::{Entropy, SeededEntropy, SystemEntropy};
use crate::slab::Slab;
use crate::sockets::Sockets;
use crate::sockets::resolver::{Resolver, SystemResolver};

/// What the servers know of one tree: what it was granted, and the resources it holds.
pub struct Wasi {
    /// What processes are granted: first those that have nothing of their own.
    pub(crate) granted: Vec<Granted>,
    /// Which of them a process has that has its own, by its index in the tree.
    own: HashMap<u32, usize>,
    /// Who makes the call that is being served, and its index in the tree.
    caller: Option<(ProcessId, u32)>,
    /// Paths of the processes, for texts.
    paths: Vec<String>,
    pub(crate) monotonic: Box<dyn MonotonicClock>,
    pub(crate) wall: Box<dyn WallClock>,
    pub(crate) random: Box<dyn Entropy>,
    pub(crate) insecure: Box<dyn Entropy>,
    pub(crate) streams: Streams,
    pub(crate) pollables: Slab<Subject>,
    pub(crate) failures: Slab<Failure>,
    pub(crate) descriptors: Slab<Descriptor>,
    pub(crate) listings: Slab<Directory>,
    pub(crate) sockets: Sockets,
    pub(crate) http: Http,
}

impl Wasi {
    /// Begins with nothing granted: no arguments, environment or directories, empty standard input, output discarded, no
    /// network; clocks and randomness are the operating system's, and granted.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            rest: Grants { clocks: true, random: true, ..Grants::default() },
            own: BTreeMap::new(),
            paths: Vec::new(),
            monotonic: Box::new(SystemClock),
            wall: Box::new(SystemClock),
            random: Box::new(SystemEntropy),
            insecure: None,
            resolver: Arc::new(SystemResolver),
        }
    }

    /// Which grants the calling process has. Without a caller, those of everybody who has none of their own.
    pub(crate) fn granted(&self) -> usize {
        self.caller.map_or(0, |(_, index)| self.granted_to(index))
    }

    fn granted_to(&self, process: u32) -> usize {
        self.own.get(&process).copied().unwrap_or(0)
    }

    /// What the calling process was granted. Every server asks here.
    pub(crate) fn grants(&self) -> &Granted {
        &self.granted[self.granted()]
    }

    /// Who makes the call that is being served.
    #[must_use]
    pub fn caller(&self) -> Option<ProcessId> {
        self.caller.map(|(id, _)| id)
    }

    /// The index in the tree of the process that calls; the root's if nobody does.
    pub(crate) fn caller_index(&self) -> u32 {
        self.caller.map_or(0, |(_, index)| index)
    }

    /// Whether a process, by its index in the tree, is granted what an interface leads to.
    #[must_use]
    pub fn explain(&self, process: u32, interface: &str) -> Explained {
        self.granted[self.granted_to(process)].explain(interface)
    }

    /// Lets only those go on who may know the time.
    pub(crate) fn check_clocks(&self, interface: &str) -> Result<(), Trap> {
        if self.grants().clocks { Ok(()) } else { Err(self.denied(interface, Grant::Clocks)) }
    }

    /// Lets only those go on who may have random numbers.
    pub(crate) fn check_random(&self, interface: &str) -> Result<(), Trap> {
        if self.grants().random { Ok(()) } else { Err(self.denied(interface, Grant::Random)) }
    }

    #[cold]
    fn denied(&self, interface: &str, grant: Grant) -> Trap {
        let path = self.caller.and_then(|(_, index)| self.paths.get(index as usize));
        let caller = Caller { id: self.caller(), path: path.map(String::as_str) };
        self.grants().fault(&caller, interface, grant)
    }
}

impl State for Wasi {
    fn called_by(&mut self, process: ProcessId, index: u32) {
        self.caller = Some((process, index));
    }
}

/// Collects what a tree is granted.
pub struct Builder {
    /// For processes without grants of their own.
    rest: Grants,
    own: BTreeMap<u32, Grants>,
    paths: Vec<String>,
    monotonic: Box<dyn MonotonicClock>,
    wall: Box<dyn WallClock>,
    random: Box<dyn Entropy>,
    insecure: Option<Box<dyn Entropy>>,
    resolver: Arc<dyn Resolver>,
}

/// Why a [`Wasi`] could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A directory to grant cannot be opened.
    #[error("cannot grant directory `{}` as `{guest}`: {source}", host.display())]
    Preopen {
        /// Its path here.
        host: PathBuf,
        /// Its name for the guest.
        guest: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The operating system gives no random seed.
    #[error("cannot seed the insecure random generator: {0}")]
    Seed(std::io::Error),
}

impl Builder {
    /// Gives a process grants of its own, and nothing but these; `process` is its index in
    /// [`Linked::processes`](kernel::component::linked::Linked::processes). It keeps them in all lives of its domain.
    #[must_use]
    pub fn grant(mut self, process: u32, grants: Grants) -> Builder {
        self.own.insert(process, grants);
        self
    }

    /// Grants nothing to processes that have no grants of their own, whatever this builder was told before.
    #[must_use]
    pub fn deny_others(mut self) -> Builder {
        self.rest = Grants { origin: self.rest.origin, ..Grants::default() };
        self
    }

    /// Lets faults name the processes of the tree by their paths.
    #[must_use]
    pub fn named_as_in(mut self, linked: &Linked) -> Builder {
        self.paths = linked.processes().iter().map(|process| process.path.clone()).collect();
        self
    }

    /// Says where the grants of processes without their own are written down.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Builder {
        self.rest.origin = origin;
        self
    }

    /// Grants what can be reached over the network.
    #[must_use]
    pub fn network(mut self, network: Network) -> Builder {
        self.rest.network = network;
        self
    }

    /// Adds arguments; by custom the first is the program's name.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Builder {
        self.rest.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable; a later one of the same name replaces an earlier one.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        self.rest.set_env(name, value);
        self
    }

    /// Says which directory relative paths begin at.
    #[must_use]
    pub fn cwd(mut self, path: impl Into<String>) -> Builder {
        self.rest.cwd = Some(path.into());
        self
    }

    /// Grants a directory.
    #[must_use]
    pub fn preopen(mut self, preopen: Preopen) -> Builder {
        self.rest.dirs.push(preopen);
        self
    }

    /// Connects standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Input) -> Builder {
        self.rest.stdin = Some(stdin);
        self
    }

    /// Connects standard output.
    #[must_use]
    pub fn stdout(mut self, stdout: Output) -> Builder {
        self.rest.stdout = Some(stdout);
        self
    }

    /// Connects standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: Output) -> Builder {
        self.rest.stderr = Some(stderr);
        self
    }

    /// Connects all three to those of this operating-system process.
    #[must_use]
    pub fn inherit_stdio(self) -> Builder {
        self.stdin(Input::inherit()).stdout(Output::inherit_stdout()).stderr(Output::inherit_stderr())
    }

    /// Replaces the clock for durations and for waiting.
    #[must_use]
    pub fn monotonic_clock(mut self, clock: impl MonotonicClock + 'static) -> Builder {
        self.monotonic = Box::new(clock);
        self
    }

    /// Replaces the clock for the time of day.
    #[must_use]
    pub fn wall_clock(mut self, clock: impl WallClock + 'static) -> Builder {
        self.wall = Box::new(clock);
        self
    }

    /// Replaces the source of `wasi:random/random`; guests use it for keys.
    #[must_use]
    pub fn random(mut self, entropy: impl Entropy + 'static) -> Builder {
        self.random = Box::new(entropy);
        self
    }

    /// Replaces the source of `wasi:random/insecure` and `insecure-seed`.
    #[must_use]
    pub fn insecure_random(mut self, entropy: impl Entropy + 'static) -> Builder {
        self.insecure = Some(Box::new(entropy));
        self
    }

    /// Replaces who looks names up.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver + 'static) -> Builder {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Opens the granted directories.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn build(self) -> Result<Wasi, BuildError> {
        let mut ends = Vec::new();
        let mut granted = vec![Granted::open(self.rest, &mut ends)?];
        let mut own = HashMap::new();
        for (process, grants) in self.own {
            own.insert(process, granted.len());
            granted.push(Granted::open(grants, &mut ends)?);
        }
        let insecure = match self.insecure {
            Some(entropy) => entropy,
            None => Box::new(SeededEntropy::from_system().map_err(BuildError::Seed)?),
        };
        Ok(Wasi {
            granted,
            own,
            caller: None,
            paths: self.paths,
            monotonic: self.monotonic,
            wall: self.wall,
            random: self.random,
            insecure,
            streams: Streams::new(ends),
            pollables: Slab::new("pollable"),
            failures: Slab::new("error"),
            descriptors: Slab::new("descriptor"),
            listings: Slab::new("directory-entry-stream"),
            sockets: Sockets::new(self.resolver),
            http: Http::default(),
        })
    }
}
