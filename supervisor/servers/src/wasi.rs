//! The state of all servers of one tree, and how it is built.

use std::path::PathBuf;

use abi::id::ProcessId;

use crate::bind::State;
use crate::clocks::{MonotonicClock, SystemClock, WallClock};
use crate::filesystem::descriptor::{Descriptor, Directory};
use crate::filesystem::preopens::Preopen;
use crate::http::Http;
use crate::io::failure::Failure;
use crate::io::input::Input;
use crate::io::output::Output;
use crate::io::poll::Subject;
use crate::io::streams::Streams;
use crate::random::{Entropy, SeededEntropy, SystemEntropy};
use crate::slab::Slab;

/// What the servers know of one tree: what it was granted, and the resources it holds.
pub struct Wasi {
    grants: Grants,
    /// Who makes the call that is being served.
    caller: Option<ProcessId>,
    pub(crate) monotonic: Box<dyn MonotonicClock>,
    pub(crate) wall: Box<dyn WallClock>,
    pub(crate) random: Box<dyn Entropy>,
    pub(crate) insecure: Box<dyn Entropy>,
    pub(crate) streams: Streams,
    pub(crate) pollables: Slab<Subject>,
    pub(crate) failures: Slab<Failure>,
    pub(crate) descriptors: Slab<Descriptor>,
    pub(crate) listings: Slab<Directory>,
    pub(crate) http: Http,
}

/// What a process may see and reach.
#[derive(Default)]
pub(crate) struct Grants {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: Option<String>,
    pub(crate) preopens: Vec<(Descriptor, String)>,
}

impl Wasi {
    /// Begins with nothing granted: no arguments, environment or directories, empty standard input, output discarded;
    /// clocks and randomness are the operating system's.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            grants: Grants::default(),
            preopens: Vec::new(),
            stdin: Input::bytes([]),
            stdout: Output::discard(),
            stderr: Output::discard(),
            monotonic: Box::new(SystemClock),
            wall: Box::new(SystemClock),
            random: Box::new(SystemEntropy),
            insecure: None,
        }
    }

    /// What the calling process was granted.
    ///
    /// Every server asks here, so that grants can differ by process: `caller` says who asks.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Who makes the call that is being served.
    #[must_use]
    pub fn caller(&self) -> Option<ProcessId> {
        self.caller
    }
}

impl State for Wasi {
    fn called_by(&mut self, process: ProcessId) {
        self.caller = Some(process);
    }
}

/// Collects what a tree is granted.
pub struct Builder {
    grants: Grants,
    preopens: Vec<Preopen>,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    monotonic: Box<dyn MonotonicClock>,
    wall: Box<dyn WallClock>,
    random: Box<dyn Entropy>,
    insecure: Option<Box<dyn Entropy>>,
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
    /// Adds arguments; by custom the first is the program's name.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Builder {
        self.grants.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable; a later one of the same name replaces an earlier one.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        let name = name.into();
        self.grants.env.retain(|(other, _)| *other != name);
        self.grants.env.push((name, value.into()));
        self
    }

    /// Says which directory relative paths begin at.
    #[must_use]
    pub fn cwd(mut self, path: impl Into<String>) -> Builder {
        self.grants.cwd = Some(path.into());
        self
    }

    /// Grants a directory.
    #[must_use]
    pub fn preopen(mut self, preopen: Preopen) -> Builder {
        self.preopens.push(preopen);
        self
    }

    /// Connects standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Input) -> Builder {
        self.stdin = stdin;
        self
    }

    /// Connects standard output.
    #[must_use]
    pub fn stdout(mut self, stdout: Output) -> Builder {
        self.stdout = stdout;
        self
    }

    /// Connects standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: Output) -> Builder {
        self.stderr = stderr;
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

    /// Opens the granted directories.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn build(self) -> Result<Wasi, BuildError> {
        let mut grants = self.grants;
        for preopen in self.preopens {
            let opened = Descriptor::preopen(&preopen);
            match opened {
                Ok(descriptor) => grants.preopens.push((descriptor, preopen.guest)),
                Err(source) => {
                    return Err(BuildError::Preopen { host: preopen.host, guest: preopen.guest, source });
                }
            }
        }
        let insecure = match self.insecure {
            Some(entropy) => entropy,
            None => Box::new(SeededEntropy::from_system().map_err(BuildError::Seed)?),
        };
        Ok(Wasi {
            grants,
            caller: None,
            monotonic: self.monotonic,
            wall: self.wall,
            random: self.random,
            insecure,
            streams: Streams::new(self.stdin, self.stdout, self.stderr),
            pollables: Slab::new("pollable"),
            failures: Slab::new("error"),
            descriptors: Slab::new("descriptor"),
            listings: Slab::new("directory-entry-stream"),
            http: Http::default(),
        })
    }
}
