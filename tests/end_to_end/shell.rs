//! Running the binary, with a time limit.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Long enough for a loaded machine, short enough to notice a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command line of `atoll` to be.
pub struct Atoll {
    command: Command,
    stdin: Vec<u8>,
    patience: Duration,
    signals: Vec<Signal>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// `atoll` with these arguments; its environment is empty but for what the loader needs.
pub fn atoll<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Atoll {
    let mut command = binary();
    command.args(args);
    Atoll { command, stdin: Vec::new(), patience: PATIENCE, signals: Vec::new() }
}

/// `atoll` with an empty environment. Ctrl-C reaches it even where a shell runs the tests in the background, and so has told
/// them, and whatever they start, to ignore it.
pub fn binary() -> Command {
    let atoll = env!("CARGO_BIN_EXE_atoll");
    let mut command = Command::new(atoll);
    if ignored(Signal::SIGINT) {
        command = Command::new("/usr/bin/env");
        command.args(["--default-signal=INT", atoll]);
    }
    command.env_clear();
    command
}

/// Whether this process ignores a signal (proc(5), `SigIgn`).
fn ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has one");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("it is among the lines");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("it is a hexadecimal number");
    mask >> (signal as i32 - 1) & 1 == 1
}

impl Atoll {
    pub fn stdin(mut self, text: &str) -> Atoll {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Atoll {
        self.command.env(key, value);
        self
    }

    pub fn within(mut self, patience: Duration) -> Atoll {
        self.patience = patience;
        self
    }

    /// Sends it a signal once it has written to standard error. Its input stays open till it has ended.
    pub fn signal(mut self, signal: Signal) -> Atoll {
        self.signals.push(signal);
        self
    }

    /// Starts it, to be waited for later.
    pub fn spawn(self) -> Under {
        Under(thread::spawn(|| self.run()))
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Outcome {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = std::mem::take(&mut self.stdin);
        let keep_open = !self.signals.is_empty();
        let feed = thread::spawn(move || {
            // A guest that does not read its input closes the pipe early.
            let _ = stdin.write_all(&input);
            keep_open.then_some(stdin)
        });
        let spoken = Arc::<AtomicBool>::default();
        let stdout = drain(child.stdout.take().expect("it is piped"), Arc::default());
        let stderr = drain(child.stderr.take().expect("it is piped"), Arc::clone(&spoken));
        let start = Instant::now();
        let status = loop {
            match child.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None if start.elapsed() > self.patience => {
                    child.kill().expect("a child can be killed");
                    panic!("{:?} hangs: no end after {:?}", self.command, self.patience);
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
            if spoken.load(Ordering::Relaxed) {
                let pid = Pid::from_raw(i32::try_from(child.id()).expect("pids are small"));
                self.signals
                    .drain(..)
                    .for_each(|signal| kill(pid, signal).expect("it has not been waited for"));
            }
        };
        feed.join().expect("feeding does not panic");
        let text = |thread: thread::JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&thread.join().expect("reading does not panic")).into_owned()
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        let Some(code) = status.code() else { panic!("{:?}: {status}\n{stderr}", self.command) };
        // 101 is how Rust programs end that panic; a guest cannot choose it.
        assert_ne!(code, 101, "{:?} panicked:\n{stderr}", self.command);
        Outcome { code, stdout, stderr }
    }
}

/// One that runs meanwhile.
pub struct Under(thread::JoinHandle<Outcome>);

impl Under {
    pub fn has_ended(&mut self) -> bool {
        self.0.is_finished()
    }

    pub fn ends(self) -> Outcome {
        self.0.join().expect("running does not panic")
    }
}

/// Reads to the end; `spoken` is set when there is something.
fn drain(mut pipe: impl Read + Send + 'static, spoken: Arc<AtomicBool>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = vec![0];
        let read = pipe.read(&mut bytes).expect("a pipe can be read");
        bytes.truncate(read);
        spoken.store(read > 0, Ordering::Relaxed);
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

impl Outcome {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Outcome {
        assert_eq!(self.code, code, "stdout:\n{}stderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless standard output is exactly this.
    #[track_caller]
    pub fn prints(self, stdout: &str) -> Outcome {
        assert_eq!(self.stdout, stdout, "stderr:\n{}", self.stderr);
        self
    }

    /// Fails unless standard error has all of these in it.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Outcome {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in stderr:\n{}", self.stderr);
        }
        self
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_path_buf()
}

/// A committed guest.
pub fn guest(name: &str) -> String {
    root().join("tests/guests").join(name).display().to_string()
}

/// A folder that is gone after the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let folder = std::env::temp_dir().join(format!("atoll-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written to");
        Scratch(folder)
    }

    /// A folder that is there, and gone after the test: with whoever lets go of it first.
    pub fn at(folder: &Path) -> Scratch {
        Scratch(folder.to_path_buf())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("the temporary folder can be written to");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
