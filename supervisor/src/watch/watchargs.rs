//! What can be asked of trees that run, as the command line has it.

/// How a process or a tree is named, at the end of each help text.
const NAMES: &str = "A process is named by its pid (3), its name (store) or its path (shop/store); where several trees have one like that,
with the tree's name or its supervisor's number before it (shop:3, 4711:store). A tree is named by either of these, or by
one of its processes.";

/// Examples, and how things are named.
fn help(examples: &str) -> String {
    format!("Examples:\n{examples}\n\n{NAMES}")
}

/// `atoll ps`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll ps                 every process of every tree that you run
  atoll ps shop            those of one tree
  atoll ps --json          the same for programs: [{\"name\", \"file\", \"os_pid\", \"processes\": […], …}]"))]
pub struct Ps {
    /// Only this tree, or this process with those below it.
    pub name: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `atoll trace`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll trace store                       calls of store and by it, as they are made
  atoll trace shop --edge 'front->*'      in a whole tree, those over edges that fit
  atoll trace shop --edge 'shop:kv/*' -n 10
  atoll trace shop --latency --for 5s     no calls, but how long they take

A pattern is tried on an edge's function (shop:kv/store#get) and on its ends (front->store); * stands for anything.
Traced calls are slower; when nobody traces any more nothing is left of that."))]
pub struct Trace {
    /// A process or a tree that runs.
    #[arg(value_name = "PID|NAME")]
    pub name: String,
    /// Only edges that fit this pattern.
    #[arg(long, value_name = "GLOB")]
    pub edge: Option<String>,
    /// Say how long calls take instead of printing each; for a second if nothing else is said.
    #[arg(long)]
    pub latency: bool,
    /// Stop after N calls.
    #[arg(short, long, value_name = "N", conflicts_with = "latency")]
    pub number: Option<u64>,
    /// Stop after this time.
    #[arg(long = "for", value_name = "TIME")]
    pub span: Option<crate::measure::Span>,
    /// Print a JSON object a call instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `atoll dump`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll dump store                  into store-2-gen0.core, here
  atoll dump store -o /tmp/it.core  into that file

A dump is a WebAssembly module in the tool conventions' coredump format: the call chain, the memories, the globals."))]
pub struct Dump {
    /// Where it goes.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub whom: Whom,
}

/// `atoll route`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll route store                       who provides what store imports, and over what
  atoll route store wasi:sockets          only what has this in its name
  atoll route app.wasm                    of a file, as `atoll run` without options would have it
  atoll route atoll.toml                  of every process of a manifest, and which line would grant what is not"))]
pub struct Route {
    /// A process that runs, or a component, or a manifest.
    #[arg(value_name = "PID|NAME|FILE")]
    pub name: String,
    /// Only imports with this in their names.
    pub import: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `atoll top`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll top                  every tree that you run, once a second
  atoll top --interval 5s    more seldom, as over a slow line"))]
pub struct Top {
    /// How often to look; 1s if it is not said.
    #[arg(short, long, value_name = "TIME")]
    pub interval: Option<crate::measure::Span>,
}

/// `atoll kill`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll kill store               end the domain of store; its supervisor may start it again
  atoll kill --for-good store    end it, and leave it ended"))]
pub struct Kill {
    /// Leave it ended, whatever its supervisor's policy is.
    #[arg(long)]
    pub for_good: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub whom: Whom,
}

/// `atoll restart`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll restart store        fresh state, the same name, the next generation
  atoll restart shop:3       the process with pid 3 in the tree shop"))]
pub struct Restart {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub whom: Whom,
}

/// A process, and how to print.
#[derive(Debug, clap::Args)]
pub struct Whom {
    /// A process that runs: its pid, name or path.
    #[arg(value_name = "PID|NAME")]
    pub name: String,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `atoll inspect`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll inspect store            libraries, memories, handles, quotas, threads, edges, faults
  atoll inspect --json shop:3    the same for programs"))]
pub struct Inspect {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub whom: Whom,
}

/// `atoll logs`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll logs                     what all processes have printed, as far as it is kept
  atoll logs -f store            go on as store prints
  atoll logs -n 20 shop          the last 20 lines of a tree
  atoll logs --json shop         a JSON object a line"))]
pub struct LogsArgs {
    /// Go on until the tree ends.
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with the last N lines.
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u32>,
    /// A tree or a process; the only tree if it is not said.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print a JSON object a line instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `atoll call`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll call shop 'order(4)'                     a function that the tree exports, arguments in WAVE
  atoll call 'demo:shop/front#order(4)'          of the only tree that runs
  atoll call --timeout 2s shop 'order(7)'        wait 2 seconds at most; the callee goes on"),
    override_usage = "atoll call [OPTIONS] [NAME] CALL")]
pub struct CallArgs {
    /// The tree, and `FUNCTION(ARGUMENTS)` or `INTERFACE#FUNCTION(ARGUMENTS)`.
    #[arg(required = true, num_args = 1..=2, value_names = ["NAME", "CALL"])]
    pub words: Vec<String>,
    /// How long to wait for the result.
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<crate::measure::Span>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `atoll down`
#[derive(Debug, clap::Args)]
#[command(after_long_help = help("  \
  atoll down             shut the only tree that runs down, in order, as Ctrl-C does
  atoll down shop        that one
  atoll down --all       every one"))]
pub struct Down {
    /// The tree; the only one if it is not said.
    #[arg(conflicts_with = "all")]
    pub name: Option<String>,
    /// Every tree of this user.
    #[arg(long)]
    pub all: bool,
    /// Do not wait until it has ended.
    #[arg(long)]
    pub no_wait: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}
