//! Runs the scripts of WebAssembly's official suites (`.wast`), core and component: `atoll wast`, and the tests.
//!
//! A script says what must come of each directive; nothing here decides what is right. Each component instance of a
//! script has a domain of its own, all its core instances share one.
//!
//! - [`script`]: the directives; [`coreworld`]: core instances; [`treeworld`]: component instances
//! - [`corevalue`], [`pattern`]: core values, and what is expected of them; [`constant`]: component values
//! - [`spectest`], [`hostshelf`]: what core modules and components of scripts may import
//! - [`proposals`]: which proposals validation admits; [`wording`]: when an error's text is the expected one
//! - [`tally`]: what came of it

mod constant;
mod corevalue;
mod coreworld;
mod hostshelf;
mod pattern;
mod proposals;
mod script;
mod spectest;
mod tally;
mod treeworld;
mod wording;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use proposals::{ProposalError, apply_header, apply_list, defaults};
pub use tally::{Counts, Failure, Tally};
use wasmparser::WasmFeatures;

/// What `atoll wast` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct WastArgs {
    /// Proposals to switch on, or with `-` before the name off: `--features threads,-multi-memory`
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub features: Option<String>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
    /// Scripts, or folders that are searched for them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// How a script is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The proposals that validation admits, before the script's header has its say.
    pub features: WasmFeatures,
}

/// Why scripts could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum WastError {
    /// `--features` or a header names something unknown.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What came of it could not be written.
    #[error("cannot write the results: {0}")]
    Write(#[from] io::Error),
}

impl Default for Options {
    fn default() -> Options {
        Options { features: defaults() }
    }
}

/// `atoll wast`: runs every script, prints a line a file and each failure; success if there is none.
///
/// # Errors
/// A file that cannot be read, a proposal that does not exist, or an output that cannot be written.
pub fn run(args: &WastArgs, out: &mut dyn Write) -> Result<ExitCode, WastError> {
    let mut options = Options::default();
    if let Some(list) = &args.features {
        apply_list(&mut options.features, list)?;
    }
    let mut files = Vec::new();
    for path in &args.files {
        scripts(path, &mut files)?;
    }
    let mut tallies = Vec::new();
    for path in &files {
        let tally = run_file(path, &options)?;
        if !args.json {
            tally.print(out)?;
        }
        tallies.push(tally);
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &tallies).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(if tallies.iter().all(Tally::is_ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one script.
///
/// # Errors
/// If the file cannot be read or its header names an unknown proposal.
pub fn run_file(path: &Path, options: &Options) -> Result<Tally, WastError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| WastError::Read { path: path.into(), source })?;
    Ok(run_text(&path.display().to_string(), &text, options)?)
}

/// Runs the script `text`, called `name` in what is reported.
///
/// # Errors
/// If its header names an unknown proposal.
pub fn run_text(name: &str, text: &str, options: &Options) -> Result<Tally, ProposalError> {
    let mut options = *options;
    apply_header(&mut options.features, text)?;
    Ok(script::run(name, text, &options))
}

/// The scripts at `path`: itself, or the `.wast` files anywhere below it in order of their names.
fn scripts(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), WastError> {
    let read = |source| WastError::Read { path: path.into(), source };
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(read)?;
    let mut entries: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(read)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "wast") {
            scripts(&entry, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Counts, Options, Tally, run_text};

    fn tally(script: &str) -> Tally {
        run_text("test.wast", script, &Options::default()).expect("the header is well-formed")
    }

    #[test]
    fn what_a_script_says_passes() {
        let script = r#"
            (module $a (func (export "two") (result i32) i32.const 2) (global (export "g") f32 (f32.const nan:0x200000))
                (func (export "trap") unreachable) (func (export "vector") (result v128) (v128.const f32x4 1 nan 2 nan)))
            (assert_return (invoke "two") (i32.const 2))
            (assert_return (invoke $a "two") (either (i32.const 1) (i32.const 2)))
            (assert_return (get "g") (f32.const nan:0x200000))
            (assert_return (invoke "vector") (v128.const f32x4 1 nan:canonical 2 nan:arithmetic))
            (assert_trap (invoke "trap") "unreachable")
            (register "a" $a)
            (module (import "a" "two" (func)))
            (assert_unlinkable (module (import "b" "two" (func))) "unknown import")
            (assert_malformed (module quote "(func") "unexpected end")
            (assert_invalid (module (func (result i32))) "type mismatch")"#;
        let tally = tally(script);
        assert_eq!(tally.assertions, Counts { passed: 8, failed: 0, skipped: 0 }, "{tally:#?}");
        // The module that imports a function of another type.
        assert_eq!(tally.actions, Counts { passed: 2, failed: 1, skipped: 0 });
        assert_eq!(tally.failures[0].line, 10);
    }

    #[test]
    fn whatever_else_comes_fails() {
        let script = r#"
            (module (func (export "two") (result i32) i32.const 2) (func (export "trap") unreachable)
                (func (export "nan") (result f32) (f32.const nan:0x200000)))
            (assert_return (invoke "two") (i32.const 3))
            (assert_return (invoke "two") (i64.const 2))
            (assert_return (invoke "two"))
            (assert_return (invoke "trap"))
            (assert_return (invoke "three"))
            (assert_return (invoke "nan") (f32.const nan:canonical))
            (assert_return (invoke "nan") (f32.const nan:arithmetic))
            (assert_trap (invoke "two") "unreachable")
            (assert_trap (invoke "trap") "integer divide by zero")
            (assert_exhaustion (invoke "trap") "call stack exhausted")
            (assert_exception (invoke "trap"))
            (assert_invalid (module) "type mismatch")
            (assert_malformed (module quote "(func)") "unexpected end")
            (assert_unlinkable (module) "unknown import")
            (invoke "trap")"#;
        let tally = tally(script);
        assert_eq!(tally.assertions, Counts { passed: 0, failed: 14, skipped: 0 }, "{tally:#?}");
        assert_eq!(tally.actions, Counts { passed: 1, failed: 1, skipped: 0 });
        let lines: Vec<usize> = tally.failures.iter().map(|failure| failure.line).collect();
        assert_eq!(lines, (4..=18).collect::<Vec<_>>());
        assert_eq!(tally.failures[0].expected, "(i32.const 3)");
        assert_eq!(tally.failures[0].got, "(i32.const 2)");
    }

    #[test]
    fn components_have_instances_of_their_own() {
        let script = r#"
            (component definition $C
                (import "host" (instance $host
                    (export "return-three" (func (result u32))) (export "return-hi" (func (result string)))))
                (core func $three (canon lower (func $host "return-three")))
                (core module $M
                    (import "" "three" (func $three (result i32)))
                    (global $calls (mut i32) (i32.const 0))
                    (func (export "count") (result i32)
                        (global.set $calls (i32.add (global.get $calls) (call $three))) (global.get $calls))
                    (func (export "trap") (result i32) unreachable))
                (core instance $m (instantiate $M (with "" (instance (export "three" (func $three))))))
                (func (export "count") (result u32) (canon lift (core func $m "count")))
                (func (export "trap") (result u32) (canon lift (core func $m "trap"))))
            (component instance $a $C)
            (assert_return (invoke "count") (u32.const 3))
            (component instance $b $C)
            (assert_return (invoke "count") (u32.const 3))
            (assert_return (invoke "count") (u32.const 7))
            (assert_return (invoke "count") (u32.const 9))
            (assert_trap (invoke "trap") "unreachable")
            (assert_trap (invoke "count") "cannot enter component instance")
            (assert_return (invoke $a "count") (u32.const 6))
            (assert_invalid (component (import "a" (func)) (import "a" (func))) "conflicts with previous name")
            (assert_invalid (component (import "a" (func)) (import "a" (func))) "another text")
            (assert_unlinkable (component (import "nobody" (func))) "nobody")"#;
        let tally = tally(script);
        assert_eq!(tally.actions, Counts { passed: 3, failed: 0, skipped: 0 }, "{tally:#?}");
        assert_eq!(tally.assertions, Counts { passed: 8, failed: 2, skipped: 0 }, "{tally:#?}");
        assert_eq!((&*tally.failures[0].expected, &*tally.failures[0].got), ("U32(7)", "6"));
    }

    #[test]
    fn threads_share_a_memory() {
        let script = r#"
            (module $M (memory (export "m") 1 1 shared))
            (thread $T1 (shared (module $M))
                (register "mem" $M)
                (module
                    (memory (import "mem" "m") 1 1 shared)
                    (func (export "go") (result i32)
                        (i32.atomic.store (i32.const 4) (i32.const 42))
                        (i32.atomic.store (i32.const 0) (i32.const 1))
                        (memory.atomic.notify (i32.const 0) (i32.const 1))))
                (invoke "go"))
            (thread $T2 (shared (module $M))
                (module
                    (memory (import "M" "m") 1 1 shared)
                    (func (export "wait") (result i32)
                        (loop (br_if 0 (i32.eqz (i32.atomic.load (i32.const 0)))))
                        (i32.load (i32.const 4))))
                (assert_return (invoke "wait") (i32.const 42))
                (assert_return (invoke "wait") (i32.const 43)))
            (wait $T1) (wait $T2) (wait $T2)"#;
        let tally = tally(script);
        assert_eq!(tally.assertions, Counts { passed: 1, failed: 1, skipped: 0 }, "{tally:#?}");
        // The second `(wait $T2)` finds no thread.
        assert_eq!(tally.actions, Counts { passed: 9, failed: 1, skipped: 0 }, "{tally:#?}");
    }

    #[test]
    fn what_needs_a_broken_module_is_skipped() {
        let tally = tally(r#"(module $a (func (result i32))) (assert_return (invoke "f")) (invoke $a "f")"#);
        assert_eq!(tally.assertions, Counts { passed: 0, failed: 0, skipped: 1 });
        assert_eq!(tally.actions, Counts { passed: 0, failed: 1, skipped: 1 });
    }

    #[test]
    fn a_script_that_cannot_be_read_fails() {
        let tally = tally("(module)\n(assert_maybe)");
        assert_eq!(tally.failures[0].line, 2);
        assert!(!tally.is_ok());
    }
}
