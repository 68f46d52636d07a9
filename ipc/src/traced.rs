//! Calls as they are made: each a line with who called whom, with what, what came back, and how long that took.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kernel::component::observe::feed::{CallEvent, Outcome};
use kernel::component::observe::watcher::Watcher;
use kernel::jit::compile_error::CompileError;
use kernel::sched::park::now_ns;

use crate::edges::EdgeRow;
use crate::launched::Launched;

/// A call over an edge. Its display form is a line of a trace:
/// `front → store  shop:kv/store#get("k1") = ok("v")  1.2 µs`.
#[derive(Clone, Debug)]
pub struct TracedCall {
    /// The edge, as it stood when the trace began.
    pub edge: Arc<EdgeRow>,
    /// When the call began, nanoseconds since 1970.
    pub began_unix_ns: u64,
    /// How long it took.
    pub took_ns: u64,
    /// Its arguments as WAVE, in parentheses; cut where they are long.
    pub args: Box<str>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Edges of a running tree that are watched. Dropping it ends that.
#[derive(Debug)]
pub struct Trace {
    watcher: Watcher,
    rows: Vec<Arc<EdgeRow>>,
    /// What is to be added to the machine's time.
    offset_ns: u64,
}

impl Launched {
    /// Traces the edges that are `chosen`: tells every call over them from now on, `room` at a time. Guests go on
    /// meanwhile; the edges of a domain of which none is traced cost nothing.
    ///
    /// # Errors
    /// There is no room for the code that reports calls.
    pub fn trace(&self, chosen: impl Fn(&EdgeRow) -> bool, room: usize) -> Result<Trace, CompileError> {
        self.watch_edges(chosen, room.max(1))
    }

    /// Counts and times the calls over the edges that are chosen, as long as what this gives is held: those that are
    /// fused are not counted otherwise.
    ///
    /// # Errors
    /// As [`Launched::trace`].
    pub fn count(&self, chosen: impl Fn(&EdgeRow) -> bool) -> Result<Trace, CompileError> {
        self.watch_edges(chosen, 0)
    }

    fn watch_edges(&self, chosen: impl Fn(&EdgeRow) -> bool, room: usize) -> Result<Trace, CompileError> {
        let rows: Vec<_> = self.edges().into_iter().map(Arc::new).collect();
        let wanted: Vec<bool> = rows.iter().map(|row| chosen(row)).collect();
        let watcher = self.tree().watch(&|number, _| wanted[number as usize], room)?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ns = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        Ok(Trace { watcher, rows, offset_ns: unix_ns.wrapping_sub(now_ns()) })
    }
}

impl Trace {
    /// The calls that have ended since the last time, in that order; waits for the first one, `timeout` at most.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> Vec<TracedCall> {
        let call = |CallEvent { edge, began_ns, took_ns, args, outcome }| TracedCall {
            edge: Arc::clone(&self.rows[edge as usize]),
            began_unix_ns: began_ns.wrapping_add(self.offset_ns),
            took_ns,
            args,
            outcome,
        };
        self.watcher.wait(timeout).into_iter().map(call).collect()
    }

    /// How many calls nobody read in time. They are lost, the oldest first.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.watcher.lost()
    }
}

impl fmt::Display for TracedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (caller, callee, function) =
            (self.edge.caller.name(), self.edge.callee.name(), &self.edge.function);
        // A server's name is in the function's.
        let callee = if matches!(self.edge.callee, crate::edges::End::Server(_)) { "host" } else { callee };
        write!(f, "{caller} → {callee}  {function}{}", self.args)?;
        match &self.outcome {
            Outcome::Returned(Some(value)) => write!(f, " = {value}")?,
            Outcome::Returned(None) => {}
            Outcome::Trapped(why) => write!(f, " ✗ {why}")?,
        }
        write!(f, "  {}", Took(self.took_ns))
    }
}

/// A time as people write it, with three digits.
struct Took(u64);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            ns @ 0..1_000 => return write!(f, "{ns} ns"),
            ns @ 1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
            ns @ 1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
            ns => (ns as f64 / 1e9, "s"),
        };
        let digits = if value < 9.95 { 1 } else { 0 };
        write!(f, "{value:.digits$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::Took;

    #[test]
    fn times_are_short() {
        let shown = |ns| Took(ns).to_string();
        assert_eq!([0, 999, 1_234].map(shown), ["0 ns", "999 ns", "1.2 µs"]);
        assert_eq!([12_345, 1_500_000, 2_000_000_000].map(shown), ["12 µs", "1.5 ms", "2.0 s"]);
    }
}
