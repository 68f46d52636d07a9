//! `atoll call`: an exported function of a tree that runs, called from outside.

use std::time::Duration;

use abi::control::faultview::FaultView;
use abi::control::request::Request;
use abi::control::response::Response;
use abi::fault::{Fault, Trap};
use serde::Serialize;

use super::columns::harmless;
use super::listing::Running;
use super::watchargs::CallArgs;
use crate::blame;
use crate::complaint::Complaint;
use crate::console::{Paints, Trouble, print};
use crate::control::dialing::{DialError, unexpected, unreachable};
use crate::exit_code::Exit;
use crate::jsontext::json;
use crate::live::Aftermath;

/// How long a call is waited for if nobody says: as long as anybody has.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What came of a call, for programs.
#[derive(Debug, Serialize)]
struct Came<'c> {
    /// The result in WAVE, if the function has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'c FaultView>,
}

/// Calls, and prints the result.
///
/// # Errors
/// There is no such tree or function, the arguments are not its, or nothing came back in time.
pub fn call(args: &CallArgs, paints: Paints) -> Result<Exit, Trouble> {
    let (name, call) = match &args.words[..] {
        [call] => (None, call),
        [name, call, ..] => (Some(name.as_str()), call),
        [] => unreachable!("clap requires CALL"),
    };
    let (tree, mut line) = Running::of_user().tree(name)?;
    let patience = args.timeout.map_or(FOREVER, |span| Duration::from_nanos(span.0));
    match line.exchange(&Request::Call { call: call.clone() }, patience) {
        Ok(Response::Returned(result)) => {
            let result = result.as_deref();
            let text = || result.map(|text| format!("{text}\n")).unwrap_or_default();
            print(&if args.json { json(&Came { result, fault: None }) } else { text() })
        }
        Ok(Response::Fault(fault)) => {
            if args.json {
                print(&json(&Came { result: None, fault: Some(&fault) }))?;
            } else {
                eprint!("{}", blame::render(&as_fault(&fault), &Aftermath::default(), paints.err));
            }
            Ok(Exit::Fault)
        }
        Ok(Response::Refused(refusal)) => Err(Complaint::from(refusal).into()),
        Ok(other) => Err(unexpected(&other).into()),
        Err(DialError::Silent) => {
            let what = format!("{call}: nothing has come back in time");
            let advice = format!("the callee goes on; `atoll ps {}` shows what it waits for", tree.os_pid);
            Err(Complaint::new(Exit::Failed, what).advise(advice).into())
        }
        Err(error) => Err(unreachable(tree.os_pid, error).into()),
    }
}

/// A fault that came over the line, to be shown as one that happened here.
#[must_use]
pub fn as_fault(view: &FaultView) -> Fault {
    let frames = view.backtrace.iter().map(|frame| abi::fault::Frame {
        process: None,
        process_name: harmless(&frame.process),
        module: frame.module.as_deref().map(harmless),
        func_index: frame.function_index,
        func_name: frame.function.as_deref().map(harmless),
        offset: frame.pc,
    });
    let process = view.process.as_ref();
    Fault {
        process_name: process.map_or_else(String::new, |process| harmless(&process.path)).into(),
        frames: frames.collect(),
        ..Fault::new(Trap::Host(harmless(&view.message)))
    }
}
