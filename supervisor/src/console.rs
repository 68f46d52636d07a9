//! The command line, from arguments to exit code: the one place that prints what went wrong.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use abi::fault::{Fault, Trap};
use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::live::Aftermath;
use crate::paint::Paint;
use crate::program::Program;
use crate::watch::{asking, dumping, inspecting, listing, printed, steering, top, traced_lines, wayfinding};
use crate::{blame, check, fuzz, gauge, image_file, launch, manifest, survey, up, wast, world};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Trouble {
    /// It cannot be done.
    Complaint(Complaint),
    /// A guest trapped.
    Fault {
        /// What happened.
        fault: Box<Fault>,
        /// What is left of the tree.
        aftermath: Aftermath,
    },
}

impl From<Complaint> for Trouble {
    fn from(complaint: Complaint) -> Trouble {
        Trouble::Complaint(complaint)
    }
}

impl Trouble {
    /// How this ends the command.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Trouble::Complaint(complaint) => complaint.exit,
            Trouble::Fault { fault, .. } => Trouble::exit_of(fault),
        }
    }

    /// How a fault ends a command: a guest that asks for the end gives the code.
    #[must_use]
    pub fn exit_of(fault: &Fault) -> Exit {
        match fault.trap {
            Trap::Exit(code) => Exit::Guest(code),
            _ => Exit::Fault,
        }
    }
}

/// What a command prints with: whether standard output and standard error are coloured.
#[derive(Clone, Copy, Debug)]
pub struct Paints {
    /// For standard output.
    pub out: Paint,
    /// For standard error.
    pub err: Paint,
}

/// The binary: reads the command line, does it, prints what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let paints =
        Paints { out: args.color.paint(&std::io::stdout()), err: args.color.paint(&std::io::stderr()) };
    let exit = match perform(&args.command, paints) {
        Ok(exit) => exit,
        Err(trouble) => {
            match &trouble {
                Trouble::Complaint(complaint) => say(&complaint.render(paints.err)),
                Trouble::Fault { fault, aftermath } if trouble.exit() == Exit::Fault => {
                    say(&blame::render(fault, aftermath, paints.err));
                }
                Trouble::Fault { .. } => {}
            }
            trouble.exit()
        }
    };
    exit.into()
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help and version go to standard output and are a success; where even that fails there is nothing to tell it to.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() }
}

fn say(text: &str) {
    // Standard error that is closed cannot be complained to; the exit code still tells.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn perform(command: &Command, paints: Paints) -> Result<Exit, Trouble> {
    match command {
        Command::Run(run) => launch::run(run, paints),
        Command::Tree(tree) => survey::tree(tree, paints.out),
        Command::Ps(args) => listing::ps(args, paints),
        Command::Top(args) => top::top(args),
        Command::Trace(args) => traced_lines::trace(args, paints),
        Command::Route(args) => wayfinding::route(args, paints.out),
        Command::Dump(args) => dumping::dump(args),
        Command::Logs(args) => printed::logs(args, paints),
        Command::Call(args) => asking::call(args, paints),
        Command::Inspect(args) => inspecting::inspect(args, paints.out),
        Command::Kill(args) => steering::kill(args),
        Command::Restart(args) => steering::restart(args),
        Command::Down(args) => steering::down(args),
        Command::Wit(file) => {
            let source = Program::read(&file.file)?;
            print(&world::print(&source.path, source.component()?)?)
        }
        Command::Up(args) => up::up(args, paints),
        Command::Validate(file) => print(&check::validate(&file.file)?),
        Command::Check(check) => print(&manifest::check(check, paints.out)?),
        Command::Compile(compile) => print(&image_file::compile(&compile.file, &compile.output)?),
        Command::Wast(args) => match wast::run(args, &mut std::io::stdout().lock()) {
            Ok(ExitCode::SUCCESS) => Ok(Exit::Success),
            Ok(_) => Ok(Exit::Guest(1)),
            Err(error) => Err(Complaint::new(Exit::Failed, "scripts cannot be run").because(error).into()),
        },
        Command::Fuzz(args) => fuzz::run(args, paints),
        Command::Bench(args) => gauge::run(args, paints),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "atoll", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Writes to standard output. A reader that has seen enough is no error.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print(text: &str) -> Result<Exit, Trouble> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Complaint::new(Exit::Failed, "standard output cannot be written to").because(error).into())
        }
        _ => Ok(Exit::Success),
    }
}

/// The name that a process tree has by its file: the file's name without its last extension.
#[must_use]
pub fn tree_name(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(|| "app".to_string(), |stem| stem.to_string_lossy().into_owned())
}
