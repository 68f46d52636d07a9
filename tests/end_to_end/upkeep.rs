//! `atoll up`: a manifest's tree comes up, breaks, is back, and goes down in order.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::shell::{Scratch, atoll, binary, guest, root};

const PATIENCE: Duration = Duration::from_secs(120);

/// A tree that is up, and what it prints.
pub struct Up {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Up {
    pub fn start(args: &[&str]) -> Up {
        let mut command = binary();
        command.arg("up").args(args);
        Up::spawn(command)
    }

    /// The same, with its socket in a folder of the test's own.
    fn start_in(runtime: &Scratch, args: &[&str]) -> Up {
        let mut command = binary();
        command.arg("up").args(args).env("XDG_RUNTIME_DIR", runtime.path());
        Up::spawn(command)
    }

    fn spawn(mut command: Command) -> Up {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let lines = lines(child.stdout.take().expect("it is piped"));
        Up { child, lines, seen: Vec::new() }
    }

    /// Reads until a line has these words in it, or had.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(words)) {
            return line.clone();
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let line = self.read();
            if line.contains(words) {
                return line;
            }
            assert!(Instant::now() < end, "no line has `{words}` in it:\n{}", self.seen.join("\n"));
        }
    }

    /// The next line.
    #[track_caller]
    fn read(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.child.kill().ok();
                let mut stderr = String::new();
                self.child.stderr.take().expect("it is piped").read_to_string(&mut stderr).ok();
                panic!("no more lines come:\n{}\n{stderr}", self.seen.join("\n"));
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("pids are small"));
        kill(pid, signal).expect("it has not been waited for");
    }

    /// Reads to the end; the exit code, and every line.
    pub fn end(mut self) -> (i32, Vec<String>) {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        let code = loop {
            match self.child.try_wait().expect("a child can be waited for") {
                Some(status) => break status.code().expect("it is not killed"),
                None if Instant::now() > end => {
                    self.child.kill().ok();
                    panic!("it does not end:\n{}", self.seen.join("\n"));
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        (code, self.seen)
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn shop() -> String {
    root().join("examples/shop").display().to_string()
}

/// A tree of the test's own.
fn tree(scratch: &Scratch, manifest: &str) -> String {
    let spinner = r#"(component
      (core module $m (func (export "run") (result i32) (loop $l (br $l)) unreachable))
      (core instance $i (instantiate $m))
      (func $run (result (result)) (canon lift (core func $i "run")))
      (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))"#;
    let trap = r#"(component
      (core module $m (func (export "run") (result i32) unreachable))
      (core instance $i (instantiate $m))
      (func $run (result (result)) (canon lift (core func $i "run")))
      (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))"#;
    let done = trap.replace("unreachable))", "(i32.const 0)))");
    scratch.file("spin.wat", spinner);
    scratch.file("trap.wat", trap);
    scratch.file("done.wat", done);
    scratch.file("atoll.toml", manifest)
}

#[test]
fn the_shop_comes_up_breaks_is_back_and_goes_down() {
    let mut up = Up::start(&[&shop()]);
    up.until("shop  ● is up");
    up.until("eve: bread 4 (6 left), vase was not to be had: wasm `unreachable` instruction executed; pays 4 for 1");
    up.until("store ● started (gen1)");
    // Cart lives: it has kept nothing of eve's, and the store has full shelves again.
    up.until("joe: tea 3 (9 left), honey 6 (1 left); pays 9 for 2");
    up.signal(Signal::SIGINT);
    let (code, lines) = up.end();
    assert_eq!(code, 130, "{lines:?}");
    let ended = lines.iter().position(|line| line.contains("shuts down")).expect("it was told");
    // What becomes of the store and what front prints meanwhile come in any order.
    let of_store = lines[..ended].iter().filter(|line| line.starts_with("store")).map(String::as_str);
    let of_store: Vec<&str> = of_store.take(4).collect();
    insta::assert_snapshot!("shop_up", format!("{}\n…\n{}", of_store.join("\n"), lines[ended..].join("\n")));
}

#[test]
fn a_process_of_its_own_is_kept_running_too() {
    let scratch = Scratch::new("own-process");
    for file in ["front.wat", "cart.wat", "store.wat"] {
        let text = std::fs::read(root().join("examples/shop").join(file)).expect("it is there");
        scratch.file(file, text);
    }
    let manifest = std::fs::read_to_string(root().join("examples/shop/atoll.toml")).expect("it is there");
    let store = "component = \"store.wat\"\n";
    let manifest = manifest.replace(store, &format!("{store}placement = \"process\"\n"));
    let mut up = Up::start(&[&scratch.file("atoll.toml", manifest)]);
    up.until("eve: bread 4 (6 left), vase was not to be had: wasm `unreachable` instruction executed; pays 4 for 1");
    up.until("store ● started (gen1)");
    up.until("joe: tea 3 (9 left), honey 6 (1 left); pays 9 for 2");
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0, 143);
}

#[test]
fn programs_read_a_line_at_a_time() {
    let mut up = Up::start(&["--json", &shop()]);
    up.until("\"event\":\"faulted\"");
    up.until("\"event\":\"restarting\"");
    up.signal(Signal::SIGTERM);
    let (code, lines) = up.end();
    assert_eq!(code, 143);
    for line in &lines {
        let read: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        assert!(read["event"].is_string(), "{line}");
    }
    assert!(lines.iter().any(|line| line.contains("\"stream\":\"stdout\"")), "{lines:?}");
}

#[test]
fn who_spins_is_killed_in_time_and_two_signals_end_all_at_once() {
    let scratch = Scratch::new("spin");
    let file =
        tree(&scratch, "name = \"t\"\n[process.spin]\ncomponent = \"spin.wat\"\nshutdown = \"100ms\"\n");
    let mut up = Up::start(&[&file]);
    up.until("t    ● is up");
    up.signal(Signal::SIGTERM);
    up.until("spin ● is killed");
    assert_eq!(up.end().0, 143);
    let file = tree(&scratch, "name = \"t\"\n[process.spin]\ncomponent = \"spin.wat\"\nshutdown = \"1h\"\n");
    let mut up = Up::start(&[&file]);
    up.until("t    ● is up");
    up.signal(Signal::SIGINT);
    up.until("spin ● is asked to end");
    up.signal(Signal::SIGINT);
    assert_eq!(up.end().0, 130);
}

#[test]
fn a_supervisor_that_gives_up_ends_the_tree_and_says_so() {
    let scratch = Scratch::new("gives-up");
    let manifest = "name = \"t\"\n[process.trap]\ncomponent = \"trap.wat\"\n\
                    [supervisor]\nintensity = 2\nperiod = \"1m\"\n";
    let outcome = atoll(["up", &tree(&scratch, manifest)]).run().exits(123);
    insta::assert_snapshot!("gives_up", outcome.stdout);
}

#[test]
fn a_tree_with_nothing_left_to_run_ends() {
    let scratch = Scratch::new("nothing-left");
    let once =
        |name: &str| format!("[process.{name}]\ncomponent = \"{name}.wat\"\nrestart = \"temporary\"\n");
    let good = atoll(["up", &tree(&scratch, &format!("name = \"t\"\n{}", once("done")))]).run().exits(0);
    assert!(good.stdout.contains("nothing is left to run"), "{}", good.stdout);
    let both = format!("name = \"t\"\n{}{}", once("done"), once("trap"));
    atoll(["up", &tree(&scratch, &both)]).run().exits(1);
    atoll(["up", &scratch.path().join("nowhere.toml").display().to_string()]).run().exits(127);
    let wrong = scratch.file("wrong.toml", "[process.x]\ncomponent = 7\n");
    atoll(["up", &wrong]).run().exits(126).says(&["wrong.toml"]);
}

#[test]
fn a_tree_can_run_in_the_background() {
    let scratch = Scratch::new("background");
    let file =
        tree(&scratch, "name = \"t\"\n[process.spin]\ncomponent = \"spin.wat\"\nshutdown = \"10ms\"\n");
    let outcome = atoll(["up", "-d", "--json", &file]).run().exits(0);
    let read: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("it is JSON");
    assert_eq!(read["tree"], "t");
    let pid =
        Pid::from_raw(i32::try_from(read["os_pid"].as_i64().expect("a number")).expect("pids are small"));
    kill(pid, Signal::SIGTERM).expect("it runs");
    let end = Instant::now() + PATIENCE;
    while kill(pid, None).is_ok() {
        assert!(Instant::now() < end, "it does not end");
        thread::sleep(Duration::from_millis(5));
    }
    let wrong = scratch.file("wrong.toml", "[process.x]\ncomponent = 7\n");
    atoll(["up", "-d", &wrong]).run().exits(126).says(&["wrong.toml"]);
}

#[test]
fn what_a_manifest_wants_kept_is_in_files() {
    let scratch = Scratch::new("kept");
    let manifest = "name = \"t\"\n[process.trap]\ncomponent = \"trap.wat\"\nrestart = \"temporary\"\n\
                    dump = true\nlogs = { file = \"trap.log\" }\n";
    let outcome = atoll(["up", "--metrics", "0", &tree(&scratch, manifest)]).run().exits(1);
    outcome.says(&["meters are at http://127.0.0.1:", "/t/trap: its core is in "]);
    let core = std::fs::read(scratch.path().join("t-trap.gen0.core.wasm")).expect("a core was dumped");
    assert!(core.starts_with(b"\0asm"));
    assert!(scratch.path().join("trap.log").exists());
}

#[test]
fn so_many_lines_are_kept_as_the_manifest_says() {
    let scratch = Scratch::new("lines");
    let process = |name: &str, lines: &str| {
        format!(
            "[process.{name}]\ncomponent = \"{}\"\ngrants = {{ args = [\"{name}\"], clocks = true, random = true }}\n\
             logs = {{ file = \"{name}.log\"{lines} }}\n",
            guest("hello.wasm")
        )
    };
    let manifest = format!(
        "name = \"t\"\n{}{}[process.spin]\ncomponent = \"spin.wat\"\nshutdown = \"10ms\"\nquotas = {{ cpu-cap = \"2%\" }}\n",
        process("few", ", lines = 2"),
        process("full", "")
    );
    let mut up = Up::start_in(&scratch, &[&tree(&scratch, &manifest)]);
    // Two of three have nothing left to do: the third is there to be asked.
    for name in ["few", "full"] {
        let ended = format!("{name} ");
        let is_last = |line: &String| line.starts_with(&ended) && line.ends_with("● is not started again");
        while !up.seen.iter().any(is_last) {
            up.read();
        }
    }
    let runtime = scratch.path().display().to_string();
    let kept = |name: &str| {
        let logs = atoll(["logs", "--json", name]).env("XDG_RUNTIME_DIR", &runtime).run().exits(0).stdout;
        let text = |line: &str| {
            let read: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
            read["text"].as_str().expect("a text").to_owned()
        };
        logs.lines().map(text).collect::<Vec<String>>()
    };
    let (few, all) = (kept("few"), kept("full"));
    assert_eq!(few.len(), 2, "{few:?}");
    assert!(all.len() > 5 && all.contains(&"args [\"full\"]".to_owned()), "{all:?}");
    assert!(all.ends_with(&few[1..]), "{few:?} {all:?}");
    // The file has all of both.
    let file = |name: &str| std::fs::read_to_string(scratch.path().join(name)).expect("it is written");
    assert_eq!(file("few.log").lines().count(), file("full.log").lines().count());
    assert!(file("few.log").starts_with("args [\"few\"]\n"), "{}", file("few.log"));
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0, 143);
}

#[test]
fn streams_of_a_process_are_what_its_manifest_says() {
    let scratch = Scratch::new("streams");
    let counts = |name: &str, grants: &str| {
        format!(
            "[process.{name}]\ncomponent = \"{}\"\nrestart = \"temporary\"\n\
             [process.{name}.grants]\nenv = {{ LABEL = \"{name}=\" }}\n{grants}\n",
            guest("words.wasm")
        )
    };
    let prints = |name: &str, grants: &str| {
        format!(
            "[process.{name}]\ncomponent = \"{}\"\nrestart = \"temporary\"\n\
             [process.{name}.grants]\nargs = [\"from-{name}\"]\nclocks = true\nrandom = true\n{grants}\n",
            guest("hello.wasm")
        )
    };
    let manifest = [
        "name = \"t\"\n".to_owned(),
        counts("hears", "stdin = \"inherit\""),
        counts("deaf", "stdin = \"none\""),
        counts("direct", "stdout = \"inherit\""),
        prints("mute", "stdout = \"none\"\nstderr = \"none\""),
        prints("quiet", "stdout = \"none\"\nstderr = \"inherit\""),
        prints("usual", ""),
    ];
    let outcome = atoll(["up", &tree(&scratch, &manifest.concat())]).stdin("a b c\n").run().exits(0);
    let has = |part: &str| outcome.stdout.lines().any(|line| line.ends_with(part));
    assert!(has("hears=3") && has("deaf=0"), "{}", outcome.stdout);
    assert!(outcome.stdout.lines().any(|line| line == "direct=0"), "{}", outcome.stdout);
    let of = |name: &str| {
        outcome.stdout.lines().filter(|line| line.starts_with(name) && line.contains(" │ ")).count()
    };
    assert_eq!((of("mute"), of("quiet")), (0, 0), "{}", outcome.stdout);
    assert!(has("│ args [\"from-usual\"]") && has("│ to stderr"), "{}", outcome.stdout);
    assert_eq!(outcome.stderr.matches("to stderr").count(), 1, "{}", outcome.stderr);
}
