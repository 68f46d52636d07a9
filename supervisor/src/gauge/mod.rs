//! `atoll bench`: what calls take on this machine, beside what the machine takes for the same without anybody's rules.
//!
//! A number that was not measured is not printed. What is compared was measured in one run, by turns, in one process.
//!
//! - [`course`]: a rung of the ladder with its guests; [`load`]: what they send
//! - [`ground`]: the floors
//! - [`readings`]: how long things took; [`stopwatch`]: the host's clock for guests; [`pacing`]: how many make a sample
//! - [`ladder`]: `atoll bench ipc`; [`onecall`]: `atoll bench call`
//! - [`scoresheet`], [`sheettext`]: the result as data and as text; [`versus`]: beside an older one
//! - [`surroundings`]: the machine

pub mod course;
pub mod ground;
pub mod ladder;
pub mod load;
pub mod onecall;
pub mod pacing;
pub mod readings;
pub mod scoresheet;
pub mod sheettext;
pub mod stopwatch;
pub mod surroundings;
pub mod versus;

use std::path::{Path, PathBuf};

use self::course::Rung;
use self::scoresheet::Sheet;
use self::versus::Versus;
use crate::complaint::Complaint;
use crate::confine::Confines;
use crate::console::{Paints, Trouble, print};
use crate::exit_code::Exit;
use crate::measure::{Count, Percent, Span};

const IPC_HELP: &str = "Examples:
  atoll bench ipc                              the whole table, some 20 s
  atoll bench ipc --quick                      a rough one
  atoll bench ipc --rung fused --load string   some rows
  atoll bench ipc --save before.json           keep it …
  atoll bench ipc --compare before.json        … and see later what has changed

A guest calls another one in a loop and asks the host for the time between samples. A sample is one call, or so many in a row
that the clock does not count (`batch`): then percentiles are those of such means. The floor is what this machine takes for
the same with nobody kept from anybody, measured by turns with its row; × is the median divided by the floor's.

  fused    both in one domain: a compiled adapter         floor: a native call through a pointer, memcpy
  handoff  two domains on one worker                      floor: two bare stack switches, and memcpy
  channel  two domains on two workers                     floor: two threads and a crossbeam channel each way, and memcpy
  process  two operating-system processes                 floor: a futex each way, and memcpy in and out

The machine should have nothing else to do; the header says when it has. The exit code is 1 if --compare finds a row slower.";

const CALL_HELP: &str = "Examples:
  atoll bench call --invoke 'area(circle(2.5))' geo.wasm
  atoll bench call --isolate store --invoke 'order(4)' shop.wasm      what a boundary costs this call
  atoll bench call --time 10s --invoke 'order(4)' shop.wasm
  atoll bench call --calls 1000 --json --invoke 'order(4)' shop.wasm

The call is made again and again on one tree and each is timed, from outside: into the mailbox of its domain, and back. The
floor is a crossbeam channel to another thread and back, which is the way it goes. Afterwards the edges below the call are
counted and timed. Nothing is granted: no folders, no variables; output is discarded. Arguments are in WAVE, as for `atoll run`.

The exit code is 1 if --compare finds it slower, and 134 if the guest traps.";

/// `atoll bench`
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub what: What,
}

/// What is measured.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    /// Calls between components, over every rung of the ladder that this build has.
    #[command(after_long_help = IPC_HELP)]
    Ipc(IpcArgs),
    /// One call of a component of yours.
    #[command(after_long_help = CALL_HELP)]
    Call(Box<CallArgs>),
    /// The other process of a floor; its standard input is memory that both see.
    #[command(hide = true)]
    Peer,
}

/// What becomes of the result.
#[derive(Clone, Debug, clap::Args)]
pub struct Output {
    /// Take a tenth of the time; percentiles that need more samples are left out.
    #[arg(long)]
    pub quick: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Write the JSON to a file too.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Compare with what --save wrote before; the exit code is 1 if a row is slower.
    #[arg(long, value_name = "OLD.json")]
    pub compare: Option<PathBuf>,
    /// How much slower a median may be and still count as the same.
    #[arg(long, value_name = "PERCENT", default_value = "15%", requires = "compare")]
    pub tolerance: Percent,
}

/// `atoll bench ipc`
#[derive(Clone, Debug, clap::Args)]
pub struct IpcArgs {
    /// Only these rungs.
    #[arg(long, value_name = "RUNG,…", value_delimiter = ',', value_enum)]
    pub rung: Vec<Rung>,
    /// Only loads whose name contains this: pair, string, list, records, resource.
    #[arg(long, value_name = "TEXT")]
    pub load: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub output: Output,
}

/// `atoll bench call`
#[derive(Clone, Debug, clap::Args)]
pub struct CallArgs {
    /// The call: an exported function, and its arguments in WAVE.
    #[arg(long, value_name = "NAME(ARGS)")]
    pub invoke: String,
    /// Stop after this long; 3s if nothing is said.
    #[arg(long, value_name = "TIME")]
    pub time: Option<Span>,
    /// Stop after this many calls.
    #[arg(long, value_name = "N")]
    pub calls: Option<Count>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub output: Output,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub confines: Confines,
    /// A component, or an image of one.
    pub file: PathBuf,
}

/// Measures.
///
/// # Errors
/// What is to be measured cannot be run, or a guest faults.
pub fn run(args: &BenchArgs, paints: Paints) -> Result<Exit, Trouble> {
    let (output, measure): (_, Box<dyn Fn() -> Result<Sheet, Trouble>>) = match &args.what {
        What::Peer => return Ok(ground::serve_as_peer()?),
        What::Ipc(ipc) => (&ipc.output, Box::new(move || ladder::measure(ipc))),
        What::Call(call) => (&call.output, Box::new(move || onecall::measure(call))),
    };
    // What cannot be read is complained of before anything is measured.
    let old = output.compare.as_deref().map(read).transpose()?;
    let sheet = measure()?;
    if let Some(file) = &output.save {
        std::fs::write(file, sheet.to_json()).map_err(|error| {
            Complaint::new(Exit::Failed, format!("{}: cannot be written", file.display())).because(error)
        })?;
    }
    let tolerance = f64::from(output.tolerance.0) / 1000.0;
    let versus = old.map(|old| Versus::new(&old, &sheet, tolerance));
    let exit = if versus.as_ref().is_some_and(Versus::is_slower) { Exit::Guest(1) } else { Exit::Success };
    match (output.json, &versus) {
        (true, None) => print(&sheet.to_json())?,
        (true, Some(versus)) => print(&versus.to_json(&sheet))?,
        (false, _) => print(&sheettext::render(&sheet, versus.as_ref(), paints.out))?,
    };
    Ok(exit)
}

/// Reads an older result.
fn read(file: &Path) -> Result<Sheet, Complaint> {
    let name = file.display();
    let bytes = std::fs::read(file)
        .map_err(|error| Complaint::new(Exit::NotFound, format!("{name}: cannot be read")).because(error))?;
    Sheet::from_json(&bytes).map_err(|error| {
        Complaint::new(Exit::Usage, format!("--compare {name}: no result of `atoll bench`"))
            .because(error)
            .advise("write one with `atoll bench … --save FILE`, by the same version")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::args::Args;

    #[test]
    fn help_teaches() {
        let mut command = Args::command();
        let bench = command.find_subcommand_mut("bench").expect("there is one");
        for name in ["ipc", "call"] {
            let what = bench.find_subcommand_mut(name).expect("there is one");
            insta::assert_snapshot!(what.render_long_help().to_string());
        }
    }
}
