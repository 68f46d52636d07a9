//! A tree that runs while others ask it.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::shell::{Atoll, Scratch, atoll, binary};

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `atoll run` in the background, with a runtime directory of its own.
pub struct Background {
    child: Child,
    runtime: Scratch,
}

impl Background {
    /// Runs a component whose root process is called `busy`, and waits until it can be asked.
    pub fn run(name: &str, component: &str, options: &[&str]) -> Background {
        let runtime = Scratch::new(&format!("background-{name}"));
        let file = runtime.file("busy.wat", component);
        Background::start(runtime, &[&["run"], options, &[&file]].concat())
    }

    /// Another one of the same component, with the same runtime directory.
    pub fn beside(other: &Background, options: &[&str]) -> Background {
        let file = other.runtime().join("busy.wat").display().to_string();
        Background::start(Scratch::at(other.runtime()), &[&["run"], options, &[&file]].concat())
    }

    /// Brings up the manifest in a folder that is gone afterwards, and waits until it can be asked.
    pub fn up(folder: Scratch) -> Background {
        let file = folder.path().join("atoll.toml").display().to_string();
        Background::start(folder, &["up", &file])
    }

    fn start(runtime: Scratch, args: &[&str]) -> Background {
        let mut command = binary();
        command.args(args).env("XDG_RUNTIME_DIR", runtime.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let background = Background { child: command.spawn().expect("the binary can be started"), runtime };
        background.wait_for("its socket", || background.socket().exists());
        background
    }

    /// The operating system's number of it.
    pub fn os_pid(&self) -> u32 {
        self.child.id()
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime.path().join("atoll").join(format!("{}.sock", self.child.id()))
    }

    /// A raw line to it.
    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).expect("somebody listens")
    }

    /// Where it and those who ask it have their sockets.
    pub fn runtime(&self) -> &Path {
        self.runtime.path()
    }

    /// Another `atoll` of the same user.
    pub fn atoll(&self, args: &[&str]) -> Atoll {
        atoll(args).env("XDG_RUNTIME_DIR", &self.runtime.path().display().to_string())
    }

    /// Asks until the answer has this in it; gives that.
    #[track_caller]
    pub fn until(&self, args: &[&str], part: &str) -> String {
        let began = Instant::now();
        loop {
            let answer = self.atoll(args).run().exits(0).stdout;
            if answer.contains(part) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "`{part}` does not come:\n{answer}");
            sleep(Duration::from_millis(20));
        }
    }

    fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_there() {
            assert!(began.elapsed() < PATIENCE, "{what} does not come");
            sleep(Duration::from_millis(5));
        }
    }

    /// The next line of its standard error with this in it.
    pub fn note(&mut self, part: &str) -> String {
        let stderr = self.child.stderr.take().expect("it is read once");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        lines.find(|line| line.contains(part)).expect("it says so")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("pids are small"));
        nix::sys::signal::kill(pid, signal).expect("it runs");
    }

    /// Kills it where it stands.
    pub fn die(&self) {
        self.signal(Signal::SIGKILL);
        self.wait_for("its end", || UnixStream::connect(self.socket()).is_err());
    }

    /// Waits until it has ended.
    pub fn ends(&mut self) -> i32 {
        self.child.wait().expect("it can be waited for").code().unwrap_or(-1)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text without what is another every time: times, sizes of code, hashes, the supervisor's number, and how wide columns are.
pub fn masked(text: &str, os_pid: u32) -> String {
    let mask = |line: &str| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split_whitespace() {
            let is_number = |word: &str| word.parse::<f64>().is_ok();
            let is_unit = matches!(word, "ns" | "µs" | "ms" | "s" | "min" | "ns," | "µs," | "ms," | "s,");
            match words.last_mut() {
                Some(last) if is_unit && is_number(last) => *last = "TIME".to_owned(),
                _ if word.contains("0x") => words.push("ADDRESS".to_owned()),
                _ if word == os_pid.to_string() => words.push("OSPID".to_owned()),
                _ if word.ends_with("busy.wat") || word.ends_with("atoll.toml") => {
                    words.push("FILE".to_owned())
                }
                _ => words.push(word.to_owned()),
            }
        }
        words.join(" ")
    };
    text.lines().map(mask).collect::<Vec<String>>().join("\n")
}
