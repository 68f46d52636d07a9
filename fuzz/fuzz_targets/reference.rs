//! Layout, flattening, lifting and lowering as the specification's `definitions.py` does them.
//!
//! With `ATOLL_DEFINITIONS`, the folder of `definitions.py`, each input is a number that Python makes types and values
//! of. Without it, an input chooses lines of those that are committed.
#![no_main]
#![allow(clippy::unwrap_used)] // What the tests share with this has failed where it unwraps nothing.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

#[path = "../../abi/tests/oracle/bump.rs"]
mod bump;
#[path = "../../abi/tests/oracle/golden.rs"]
mod golden;
#[path = "../../abi/tests/oracle/written.rs"]
mod written;

/// The variable that names the folder of `definitions.py`.
const DEFINITIONS: &str = "ATOLL_DEFINITIONS";
/// Committed lines that one input chooses.
const LINES: usize = 16;

thread_local! {
    static PYTHON: RefCell<Option<Python>> = RefCell::new(std::env::var_os(DEFINITIONS).map(Python::start));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let number = hasher.finish();
    PYTHON.with_borrow_mut(|python| match python {
        Some(python) => python.ask(number).iter().for_each(|line| golden::check(line)),
        None => {
            let lines = golden::GOLDEN.lines().filter(|line| !line.starts_with('#'));
            let first = number as usize % lines.clone().count();
            lines.cycle().skip(first).take(LINES).for_each(golden::check);
        }
    });
});

/// `golden.py`, waiting for numbers.
struct Python {
    _child: Child,
    numbers: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Python {
    fn start(folder: std::ffi::OsString) -> Python {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../abi/tests/oracle/golden.py");
        let mut command = Command::new("python3");
        command.args([script, "--ask"]).env("PYTHONPATH", folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs");
        let numbers = child.stdin.take().expect("it is piped");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Python { _child: child, numbers, lines }
    }

    /// The lines that a number decides.
    fn ask(&mut self, number: u64) -> Vec<String> {
        writeln!(self.numbers, "{number}").expect("golden.py reads");
        let mut answer = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("golden.py writes text");
            assert!(read > 0, "golden.py ended; is {DEFINITIONS} the folder of definitions.py?");
            let line = line.trim_end_matches('\n');
            if line == "." {
                return answer;
            }
            answer.push(line.to_owned());
        }
    }
}
