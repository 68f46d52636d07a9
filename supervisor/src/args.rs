//! The command line: what can be asked for, and the help that teaches it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::confine::{Boundaries, Confines};
use crate::control::scraping::MetricsAddress;
use crate::exit_code;
use crate::fuzz::FuzzArgs;
use crate::gauge::BenchArgs;
use crate::grant::{Dir, NetworkArgs, Var};
use crate::paint::When;
use crate::spans::SpanArgs;
use crate::wast::WastArgs;
use crate::watch::watchargs::{
    CallArgs, Down, Dump, Inspect, Kill, LogsArgs, Ps, Restart, Route, Top, Trace,
};

/// Runs WebAssembly components as trees of processes.
#[derive(Debug, Parser)]
#[command(name = "atoll", version, about, arg_required_else_help = true, after_long_help = after_help())]
pub struct Args {
    /// When to colour: on a terminal only, always, or never.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn after_help() -> String {
    format!(
        "Examples:\n  \
         atoll run app.wasm                                 run a command, its streams and exit code are yours\n  \
         atoll run --dir data::/data:ro app.wasm /data/x    grant a folder, read-only, as /data\n  \
         atoll run --invoke 'area(circle(2.5))' geo.wasm    call one function, arguments in WAVE\n  \
         atoll tree app.wasm                                what is inside, and who provides what\n  \
         atoll run --isolate kv --on-fault error app.wasm   let kv fail alone; its callers get an `err`\n  \
         atoll compile app.wasm -o app.atoll                compile now, run later without waiting\n  \
         atoll up examples/shop                             bring up what a manifest describes, keep it running\n\n\
         FILE is a component as .wasm or .wat text, a WASI preview1 command module, or an image by `atoll compile`.\n\n\
         Exit codes:\n{}",
        exit_code::Table
    )
}

/// What atoll does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a component: a command, or one exported function.
    Run(Box<Run>),
    /// Show the tree of processes that a component becomes, without running it; or one that runs.
    Tree(Tree),
    /// List the processes of every tree that you run.
    Ps(Ps),
    /// Watch the processes of every tree that you run.
    Top(Top),
    /// Show the calls of a process that runs, as they are made.
    Trace(Trace),
    /// Show who provides what a process imports, and why not.
    Route(Route),
    /// Write the core dump of a process that runs to a file.
    Dump(Dump),
    /// Print what processes have printed.
    Logs(LogsArgs),
    /// Call an exported function of a tree that runs.
    Call(CallArgs),
    /// Show everything about a process that runs.
    Inspect(Inspect),
    /// End the life of a process that runs, with its domain.
    Kill(Kill),
    /// Begin the next life of a process that runs, with its domain.
    Restart(Restart),
    /// Shut a tree that runs down, in order.
    Down(Down),
    /// Print the WIT world of a component.
    Wit(File),
    /// Say whether a component is valid, and if not, where.
    Validate(File),
    /// Say what a manifest comes to, without running anything.
    Check(Check),
    /// Bring up what a manifest describes, and keep it running.
    Up(Up),
    /// Compile a component to an image that starts at once.
    Compile(Compile),
    /// Run scripts of WebAssembly's official suites (`.wast`).
    Wast(WastArgs),
    /// Look for calls that make a component trap, hang, leak or contradict itself.
    Fuzz(FuzzArgs),
    /// Measure what calls take on this machine, beside what the machine itself takes.
    Bench(BenchArgs),
    /// Print a shell's completion script.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

const RUN_HELP: &str = "Examples:
  atoll run app.wasm one two                     arguments after FILE are the guest's, options too
  echo hi | atoll run app.wasm                   streams and exit code are the guest's
  atoll run --dir . app.wasm                     grant this folder under its own name
  atoll run --dir data::/d:ro --env K=V app.wasm grant data as /d, read-only; set a variable
  atoll run --connect example.com:443 app.wasm   let it connect there, and look up the name
  atoll run --listen 127.0.0.1:8080 app.wasm     let it be a server here
  atoll run --tree app.wasm                      show the tree on standard error, then run
  atoll run --invoke 'fib(20)' lib.wasm          call a function and print its result
  atoll run --invoke 'demo:geo/shapes#area(polygon([{x: 0, y: 0}, {x: 4, y: 0}, {x: 0, y: 3}]))' geo.wasm
  atoll run --invoke 'greet({name: \"Ann\", age: 30, tags: [\"a\"]})' lib.wasm
  atoll run --isolate store --on-fault error shop.wasm     if store fails, its callers get an `err` and live on
  atoll run --isolate all --deadline 50ms shop.wasm        who does not answer in time has failed
  atoll run --isolate store --placement store=process shop.wasm   store in a locked-down process of its own
  atoll run --memory 64MiB --memory store=1MiB shop.wasm   a limit for every process, another one for store
  atoll run --isolate store --cpu-cap store=20% shop.wasm  store gets a fifth of a core, at most
  atoll run --spans='*' --spans-to spans.jsonl app.wasm    every call as an OpenTelemetry span
  atoll run --report end.json app.wasm                     faults, and the tree as it was left, for programs

A guest reaches nothing but what is granted: no folder without --dir, no variable without --env, no network without
--connect, --listen, --udp, --udp-listen or --resolve.
Values are written in WAVE: 1, 2.5, true, 'c', \"text\", [1, 2], (1, \"a\"), {x: 1}, some(1), none, ok(1), err(\"e\"),
red, circle(2.5), {read, write}. With more than one --invoke, own(0) and borrow(0) are the first resource that
results have brought, own(1) the second.";

/// `atoll run`
#[derive(Debug, clap::Args)]
#[command(after_long_help = RUN_HELP, override_usage = "atoll run [OPTIONS] FILE [ARGS]...")]
pub struct Run {
    /// Grant a folder: HOST, HOST::GUEST, and `:ro` at the end for read-only. Can be given again.
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    pub dirs: Vec<Dir>,
    /// Set an environment variable. Can be given again.
    #[arg(long = "env", value_name = "K=V")]
    pub vars: Vec<Var>,
    /// Pass on all variables of this process.
    #[arg(long)]
    pub inherit_env: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub network: NetworkArgs,
    /// Call an exported function instead of `run`, and print its result in WAVE. Given again, all are called in order;
    /// @FILE stands for the calls of a finding of `atoll fuzz`.
    #[arg(long = "invoke", value_name = "NAME(ARGS)")]
    pub invokes: Vec<String>,
    /// Show the tree on standard error before anything runs, and after a fault.
    #[arg(long)]
    pub tree: bool,
    /// Write what became of the run to a file, as JSON: exit code, faults with backtraces, the tree as it was left.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Serve meters for Prometheus at http://ADDR/metrics; only a port means this machine only.
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<MetricsAddress>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub spans: SpanArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub confines: Confines,
    /// The file, and the guest's arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_names = ["FILE", "ARGS"])]
    pub program: Vec<OsString>,
}

const TREE_HELP: &str = "Examples:
  atoll tree app.wasm                       what is inside a file, and who provides what
  atoll tree --isolate store shop.wasm      the same, divided into domains
  atoll tree shop                           a tree that runs, with the state of every process
  atoll tree 4711:store                     a part of one: a process by its pid, name or path

What is a file is shown as one; `./shop` always is.";

/// `atoll tree`
#[derive(Debug, clap::Args)]
#[command(after_long_help = TREE_HELP)]
pub struct Tree {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub boundaries: Boundaries,
    /// A component, or an image of one; or a tree or process that runs.
    #[arg(value_name = "FILE|PID|NAME")]
    pub file: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

const UP_HELP: &str = "Examples:
  atoll up                         ./atoll.toml: its tree comes up, and is kept running until Ctrl-C
  atoll up examples/shop           the atoll.toml of another folder
  atoll up -d                      in the background: returns when the tree is up
  atoll up --json | jq -c 'select(.event != \"printed\")'
                                   what becomes of its processes, for programs
  atoll up --spans='*' --spans-to spans.jsonl
                                   every call as an OpenTelemetry span

Ctrl-C and SIGTERM end the tree in order, each process in its time; a second one ends everything at once.";

/// `atoll up`
#[derive(Debug, clap::Args)]
#[command(after_long_help = UP_HELP)]
pub struct Up {
    /// A manifest, or the folder of an `atoll.toml`.
    #[arg(default_value = "atoll.toml")]
    pub file: PathBuf,
    /// Run it in the background, and return when it is up.
    #[arg(short, long)]
    pub detach: bool,
    /// Print a line of JSON for everything that happens or is printed.
    #[arg(long)]
    pub json: bool,
    /// What `--detach` starts.
    #[arg(long, hide = true, conflicts_with_all = ["detach", "json"])]
    pub in_background: bool,
    /// Serve meters for Prometheus at http://ADDR/metrics; only a port means this machine only.
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<MetricsAddress>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub spans: SpanArgs,
}

const CHECK_HELP: &str = "Examples:
  atoll check                        ./atoll.toml: its components are read, wired and linked
  atoll check shop/atoll.toml        another one
  atoll check --json | jq .named     for programs
  atoll check --schema > atoll.schema.json
                                     for editors: `#:schema ./atoll.schema.json` as a manifest's first line";

/// `atoll check`
#[derive(Debug, clap::Args)]
#[command(after_long_help = CHECK_HELP)]
pub struct Check {
    /// A manifest.
    #[arg(default_value = "atoll.toml")]
    pub file: PathBuf,
    /// Print JSON instead of text.
    #[arg(long, conflicts_with = "schema")]
    pub json: bool,
    /// Print the JSON schema of manifests, for editors.
    #[arg(long)]
    pub schema: bool,
}

/// A command with a file and nothing else.
#[derive(Debug, clap::Args)]
pub struct File {
    /// A component.
    pub file: PathBuf,
}

/// `atoll compile`
#[derive(Debug, clap::Args)]
pub struct Compile {
    /// A component.
    pub file: PathBuf,
    /// Where the image goes.
    #[arg(short, long, value_name = "IMAGE")]
    pub output: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Args, Command};

    #[test]
    fn the_declaration_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_follows_the_file_is_the_guests() {
        let line = ["atoll", "run", "--tree", "--env", "K=V", "a.wasm", "--env", "x", "--tree", "--", "-v"];
        let args = Args::try_parse_from(line).expect("a command line");
        let Command::Run(run) = args.command else { panic!("not run") };
        assert!(run.tree);
        assert_eq!(run.vars.len(), 1);
        assert_eq!(run.program, ["a.wasm", "--env", "x", "--tree", "--", "-v"]);
    }

    #[test]
    fn help_teaches() {
        let mut command = Args::command();
        insta::assert_snapshot!(command.render_long_help().to_string());
        let run = command.find_subcommand_mut("run").expect("there is one");
        insta::assert_snapshot!(run.render_long_help().to_string());
    }
}
