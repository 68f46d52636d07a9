//! An official suite as tests: one test a file, exceptions that cannot go stale, and the suite's table in
//! `docs/conformance.md`.
//!
//! Nothing here knows what is right: scripts say so, and `supervisor::wast` carries them out. It must never skip a
//! file: an exception runs too, and fails its test when it passes.
//!
//! - [`located`]: where the suites' files are
//! - [`conformance`]: what came of them, as a page

mod conformance;
pub mod located;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use supervisor::wast::{self, Options, Tally, WastArgs};

/// A group of scripts.
#[derive(Clone)]
pub struct Suite {
    /// Its name in the table and in the tests' names.
    pub name: &'static str,
    /// Where its scripts are.
    pub folder: PathBuf,
    /// Proposals to switch on or off for it.
    pub features: &'static str,
}

/// A script that does not pass, and why that is so.
pub struct Exception {
    /// Suite and file: `suite/file`, or the beginning of it up to a `/`.
    pub file: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// One script.
struct Case {
    suite: &'static str,
    /// `suite/path`, without the extension.
    name: String,
    path: PathBuf,
    features: &'static str,
    exception: Option<&'static Exception>,
    tally: OnceLock<Tally>,
}

/// Runs `suites` as a test binary does, and checks the table `section` of the page when no filter leaves files out.
pub fn main(section: &'static str, suites: &[Suite], exceptions: &'static [Exception]) -> ExitCode {
    let args = Arguments::from_args();
    let cases: Arc<[Arc<Case>]> = suites.iter().flat_map(|suite| cases(suite, exceptions)).collect();
    let mut trials: Vec<Trial> = cases.iter().map(trial).collect();
    for suite in suites {
        let (suite, cases) = (suite.clone(), Arc::clone(&cases));
        let name = format!("{}: atoll wast counts the same", suite.name);
        trials.push(Trial::test(name, move || suite.as_a_person_runs_it(&cases)));
    }
    let known = Arc::clone(&cases);
    trials.push(Trial::test(format!("{section} exceptions name files"), move || unknown(&known, exceptions)));
    let all = Arc::clone(&cases);
    trials.push(Trial::test(format!("{section} table of docs conformance"), move || {
        conformance::check(section, &all)
    }));
    libtest_mimic::run(&args, trials).exit_code()
}

fn trial(case: &Arc<Case>) -> Trial {
    let case = Arc::clone(case);
    Trial::test(case.name.clone(), move || case.verdict())
}

fn cases(suite: &Suite, exceptions: &'static [Exception]) -> Vec<Arc<Case>> {
    let files = located::scripts(&suite.folder);
    assert!(!files.is_empty(), "no scripts in {}", suite.folder.display());
    let case = |path: PathBuf| {
        let inner = path.strip_prefix(&suite.folder).expect("found below the folder").with_extension("");
        let name = format!("{}/{}", suite.name, inner.display());
        let exception = exceptions.iter().find(|exception| exception.covers(&name));
        let tally = OnceLock::new();
        Arc::new(Case { suite: suite.name, name, path, features: suite.features, exception, tally })
    };
    files.into_iter().map(case).collect()
}

fn unknown(cases: &[Arc<Case>], exceptions: &'static [Exception]) -> Result<(), Failed> {
    for exception in exceptions {
        if !cases.iter().any(|case| exception.covers(&case.name)) {
            return Err(format!("the exception `{}` names no file: remove it", exception.file).into());
        }
    }
    Ok(())
}

impl Suite {
    /// Runs the folder as `atoll wast --json` does, and compares what it prints with what came of each file.
    fn as_a_person_runs_it(&self, cases: &[Arc<Case>]) -> Result<(), Failed> {
        let features = Some(self.features.to_owned());
        let args = WastArgs { features, json: true, files: vec![self.folder.clone()] };
        let mut printed = Vec::new();
        wast::run(&args, &mut printed)?;
        let printed: serde_json::Value = serde_json::from_slice(&printed)?;
        let ours: Vec<&Tally> =
            cases.iter().filter(|case| case.suite == self.name).map(|case| case.tally()).collect();
        if printed == serde_json::to_value(&ours)? {
            return Ok(());
        }
        Err("`atoll wast` on the folder and the files' tests differ".into())
    }
}

impl Exception {
    fn covers(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.file);
        rest.is_some_and(|rest| rest.is_empty() || self.file.ends_with('/'))
    }
}

impl Case {
    /// What came of the script; it runs once however many ask.
    fn tally(&self) -> &Tally {
        self.tally.get_or_init(|| {
            let mut options = Options::default();
            wast::apply_list(&mut options.features, self.features).expect("the suite's proposals exist");
            wast::run_file(&self.path, &options).expect("a suite's file is readable and has a known header")
        })
    }

    fn verdict(&self) -> Result<(), Failed> {
        let tally = self.tally();
        match (self.exception, tally.is_ok()) {
            (None, true) | (Some(_), false) => Ok(()),
            (None, false) => {
                let mut text = Vec::new();
                tally.print(&mut text).map_err(|error| error.to_string())?;
                Err(String::from_utf8_lossy(&text).into_owned().into())
            }
            (Some(exception), true) => {
                let text = format!("passes, so the exception `{}` is stale: remove it", exception.file);
                Err(text.into())
            }
        }
    }
}
