//! For machines: what becomes of a tree, of its domains and of calls, as `tracing` spans with process and edge names.
//!
//! Nobody is asked for anything until somebody wants it: without `--spans` no thread is started, no edge is watched, and the tree
//! runs as if this were not here. With it, guests never wait for whoever reads: all queues are bounded, and what does not fit is
//! lost and counted.
//!
//! - [`telling`]: from what the tree does to `tracing`; [`nesting`]: which call was made within which
//! - [`collecting`]: the `tracing` subscriber of the console; [`spanrecord`]: a span that has ended, with its times
//! - [`spantext`]: spans as lines for people; [`otlp_json`]: in OpenTelemetry's JSON, a line a batch
//! - [`otlp_http`]: the same, sent to a collector, if the feature `otel` lets it

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, bounded};
use ipc::edge_glob::EdgeGlob;
use tracing::Dispatch;

use self::collecting::{Collector, Sink};
use self::export::HAS_EXPORT;
use self::otlp_http::{Endpoint, Exporter};
use self::otlp_json::JsonLines;
use self::spanrecord::Origin;
use self::spantext::TextLines;
use self::telling::Teller;
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::steward::Steward;

pub mod collecting;
#[cfg(test)]
mod collector_tests;
pub mod nesting;
pub mod otlp_http;
pub mod otlp_json;
pub mod spanrecord;
#[cfg(test)]
mod spans_tests;
pub mod spantext;
pub mod telling;

#[cfg(feature = "otel")]
mod export {
    /// Whether spans are sent to collectors.
    pub const HAS_EXPORT: bool = true;
}

#[cfg(not(feature = "otel"))]
mod export {
    /// Whether spans are sent to collectors.
    pub const HAS_EXPORT: bool = false;
}

/// How long the end of a run waits for whoever takes the last spans.
const LAST: Duration = Duration::from_secs(5);

/// What is told as spans, and to whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SpanArgs {
    /// Tell what becomes of the tree and its domains as spans; with a pattern also every call over the edges that fit it, as
    /// `atoll trace --edge` has them: '*', 'front->*', 'shop:kv/*'.
    #[arg(
        long,
        value_name = "GLOB",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        env = "ATOLL_SPANS",
        hide_env = true,
        help_heading = SPANS
    )]
    pub spans: Option<String>,
    /// Where spans go: a file, which gets OpenTelemetry's JSON if its name ends with .json or .jsonl, else text; or a collector, as
    /// http://HOST:4318 (OTLP over HTTP, if atoll was built with the feature `otel`). If it is not said: the collector that
    /// OTEL_EXPORTER_OTLP_ENDPOINT names, else standard error.
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "ATOLL_SPANS_TO",
        hide_env = true,
        help_heading = SPANS
    )]
    pub spans_to: Option<String>,
}

const SPANS: &str = "Spans";

impl SpanArgs {
    /// As they are written on a command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let word =
            |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("--{name}={value}"));
        [word("spans", &self.spans), word("spans-to", &self.spans_to)].into_iter().flatten().collect()
    }
}

/// A tree whose life is told. Dropping it tells the end, and waits until that has been taken, or for some seconds.
#[derive(Debug)]
pub struct Spans {
    is_over: Arc<AtomicBool>,
    teller: Thread,
    /// Closed when all is told.
    told: Receiver<()>,
}

impl Spans {
    /// Begins to tell, if somebody wants it.
    ///
    /// # Errors
    /// Spans cannot go where they are to go, or calls cannot be traced.
    pub fn begin(args: &SpanArgs, steward: &Arc<dyn Steward>) -> Result<Option<Spans>, Complaint> {
        let Some(glob) = &args.spans else { return Ok(None) };
        let sink = sink(args.spans_to.as_deref(), Origin::new(steward.name()))?;
        Spans::tell(glob, steward, sink).map(Some)
    }

    /// Begins to tell a sink. An empty pattern means no calls.
    fn tell(glob: &str, steward: &Arc<dyn Steward>, sink: Box<dyn Sink>) -> Result<Spans, Complaint> {
        let glob = (!glob.is_empty()).then(|| EdgeGlob::new(glob));
        let teller = Teller::new(steward, glob.as_ref())?;
        let collector = Arc::new(Collector::new(sink, now_unix_ns));
        let is_over = Arc::<AtomicBool>::default();
        let (until, told) = bounded::<()>(0);
        let over = Arc::clone(&is_over);
        let tell = move || {
            let _until = until;
            let dispatch = Dispatch::new(Arc::clone(&collector));
            teller.tell(&dispatch, &over, &|| collector.flush());
            collector.close();
        };
        let thread = thread::Builder::new().name("atoll-spans".to_owned()).spawn(tell);
        let thread =
            thread.map_err(|error| Complaint::new(Exit::Failed, "spans cannot be told").because(error))?;
        Ok(Spans { is_over, teller: thread.thread().clone(), told })
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.teller.unpark();
        // Nothing is ever sent: it ends with the thread, or the time is up.
        let _ = self.told.recv_timeout(LAST);
    }
}

/// Nanoseconds since 1970.
fn now_unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Where spans go.
fn sink(to: Option<&str>, origin: Origin) -> Result<Box<dyn Sink>, Complaint> {
    match to {
        Some(to) if to.contains("://") => collector(to, origin),
        Some(file) => {
            let lines = File::create(file).map_err(|error| {
                Complaint::new(Exit::Failed, format!("--spans-to {file}: cannot be written")).because(error)
            })?;
            let is_json = [".json", ".jsonl"].iter().any(|end| file.ends_with(end));
            let lines: Box<dyn Write + Send> = Box::new(lines);
            Ok(if is_json {
                Box::new(JsonLines::new(lines, origin))
            } else {
                Box::new(TextLines::new(lines))
            })
        }
        None => usual(origin),
    }
}

/// Where spans go if nobody says.
fn usual(origin: Origin) -> Result<Box<dyn Sink>, Complaint> {
    let named = if HAS_EXPORT { Endpoint::of_environment(|name| std::env::var(name).ok())? } else { None };
    Ok(match named {
        Some(endpoint) => Box::new(Exporter::new(endpoint, origin, note)?),
        None => Box::new(TextLines::new(Box::new(io::stderr()))),
    })
}

fn collector(url: &str, origin: Origin) -> Result<Box<dyn Sink>, Complaint> {
    if !HAS_EXPORT {
        let what = format!("--spans-to {url}: this atoll cannot speak with a collector");
        return Err(Complaint::new(Exit::Usage, what)
            .advise("build it so that it can: `cargo build --release --features otel`")
            .advise("or write a file: --spans-to spans.jsonl; collectors read such files"));
    }
    let endpoint = Endpoint::base(url)
        .map_err(|error| Complaint::new(Exit::Usage, format!("--spans-to {url}")).because(error))?;
    Ok(Box::new(Exporter::new(endpoint, origin, note)?))
}

fn note(text: &str) {
    // If nobody can read it, nobody is told.
    let _ = writeln!(io::stderr(), "note: {text}");
}
