//! What the processes of a tree have printed: the last lines of each, for whoever comes to read them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::limits::{LOG_BYTES, LOG_LINE_BYTES, LOG_LINES, LOG_PROCESSES};

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Whoever runs the process says what became of it.
    Lifecycle,
}

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Its number among all lines of the tree, from 0.
    pub number: u64,
    /// When it was complete: nanoseconds since 1970.
    pub at_ns: u64,
    /// The path of the process.
    pub path: String,
    /// Where it came from.
    pub stream: Stream,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// Some lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Page {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// Whether lines that were asked for are not kept any more.
    pub missed: bool,
    /// Where to read on: the number after the last line, or where the lines end now.
    pub next: u64,
}

/// Is told of each line once it is complete, in order. Must not wait, nor ask the logs.
pub type Listener = dyn Fn(&Line) + Send + Sync;

/// The last lines of every process of a tree.
pub struct Logs {
    state: Mutex<State>,
    more: Condvar,
    clock: fn() -> u64,
}

#[derive(Default)]
struct State {
    next: u64,
    rings: BTreeMap<String, Ring>,
    /// How many lines of a process are kept, where somebody has said so.
    bounds: BTreeMap<String, usize>,
    listener: Option<Arc<Listener>>,
}

/// The last lines of one process.
struct Ring {
    lines: VecDeque<Line>,
    /// How many there may be.
    most: usize,
    bytes: usize,
    /// The number of the last line that was let go.
    lost: Option<u64>,
    /// What was printed after the last end of a line.
    begun: BTreeMap<Stream, Vec<u8>>,
}

impl Default for Logs {
    fn default() -> Logs {
        Logs::with_clock(unix_ns)
    }
}

/// Nanoseconds since 1970.
fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Logs {
    /// Empty logs whose lines get their time from `clock`, nanoseconds since 1970.
    #[must_use]
    pub fn with_clock(clock: fn() -> u64) -> Logs {
        Logs { state: Mutex::default(), more: Condvar::new(), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody be told of each line; whoever was told before is not any more.
    pub fn listen(&self, listener: Arc<Listener>) {
        self.state().listener = Some(listener);
    }

    /// Keeps so many lines of a process from now on, instead of [`LOG_LINES`]; of those that it has the last ones.
    pub fn bound(&self, path: &str, lines: usize) {
        let mut state = self.state();
        state.bounds.insert(path.to_owned(), lines);
        if let Some(ring) = state.rings.get_mut(path) {
            ring.most = lines;
            ring.shrink();
        }
    }

    /// Takes bytes that a process has printed. A line is kept once its end has come.
    pub fn write(&self, path: &str, stream: Stream, mut bytes: &[u8]) {
        let (at_ns, mut state) = ((self.clock)(), self.state());
        while !bytes.is_empty() {
            let Some(ring) = state.ring(path) else { return };
            let begun = ring.begun.entry(stream).or_default();
            let room = LOG_LINE_BYTES - begun.len();
            let (some, ends) = match bytes.iter().take(room).position(|byte| *byte == b'\n') {
                Some(end) => (end, true),
                None => (bytes.len().min(room), false),
            };
            begun.extend_from_slice(&bytes[..some]);
            bytes = &bytes[some + usize::from(ends)..];
            if ends || begun.len() == LOG_LINE_BYTES {
                let text = std::mem::take(begun);
                state.keep(path, stream, at_ns, &text);
            }
        }
        drop(state);
        self.more.notify_all();
    }

    /// Keeps a whole line.
    pub fn say(&self, path: &str, stream: Stream, text: &str) {
        let at_ns = (self.clock)();
        self.state().keep(path, stream, at_ns, text.as_bytes());
        self.more.notify_all();
    }

    /// A process prints no more: what it has printed after its last line is its last line.
    pub fn end(&self, path: &str) {
        let (at_ns, mut state) = ((self.clock)(), self.state());
        let begun = state.rings.get_mut(path).map(|ring| std::mem::take(&mut ring.begun));
        for (stream, text) in begun.unwrap_or_default() {
            if !text.is_empty() {
                state.keep(path, stream, at_ns, &text);
            }
        }
        drop(state);
        self.more.notify_all();
    }

    /// What a process's standard output or error is to be connected to.
    pub fn writer(
        self: &Arc<Logs>,
        path: &str,
        stream: Stream,
    ) -> impl FnMut(&[u8]) -> io::Result<()> + Send + use<> {
        let (logs, path) = (Arc::clone(self), path.to_owned());
        move |bytes| {
            logs.write(&path, stream, bytes);
            Ok(())
        }
    }

    /// The lines from number `from` on, of one process or of all, `most` of them.
    #[must_use]
    pub fn read(&self, from: u64, path: Option<&str>, most: usize) -> Page {
        self.state().page(from, path, most)
    }

    /// The last `most` lines of one process or of all.
    #[must_use]
    pub fn tail(&self, path: Option<&str>, most: usize) -> Page {
        let state = self.state();
        let page = state.page(0, path, usize::MAX);
        let skipped = page.lines.len().saturating_sub(most);
        let lines = page.lines.into_iter().skip(skipped).collect();
        Page { lines, missed: false, next: state.next }
    }

    /// Waits until there is a line of number `from`, for `timeout` at most; whether there is one.
    #[must_use]
    pub fn wait(&self, from: u64, timeout: Duration) -> bool {
        let state = self.state();
        let waited = self.more.wait_timeout_while(state, timeout, |state| state.next <= from);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.next > from
    }
}

impl State {
    fn ring(&mut self, path: &str) -> Option<&mut Ring> {
        if !self.rings.contains_key(path) {
            if self.rings.len() == LOG_PROCESSES {
                return None;
            }
            let most = self.bounds.get(path).copied().unwrap_or(LOG_LINES);
            self.rings.insert(path.to_owned(), Ring::of(most));
        }
        self.rings.get_mut(path)
    }

    fn keep(&mut self, path: &str, stream: Stream, at_ns: u64, text: &[u8]) {
        if self.ring(path).is_none() {
            return;
        }
        let text = String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned();
        let line = Line { number: self.next, at_ns, path: path.to_owned(), stream, text };
        self.next += 1;
        if let Some(listener) = &self.listener {
            listener(&line);
        }
        if let Some(ring) = self.rings.get_mut(path) {
            ring.push(line);
        }
    }

    fn page(&self, from: u64, path: Option<&str>, most: usize) -> Page {
        let wanted = self.rings.iter().filter(|(known, _)| path.is_none_or(|path| path == known.as_str()));
        let (mut lines, mut missed) = (Vec::new(), false);
        for (_, ring) in wanted {
            missed |= ring.lost.is_some_and(|lost| lost >= from);
            let first = ring.lines.partition_point(|line| line.number < from);
            lines.extend(ring.lines.range(first..));
        }
        lines.sort_by_key(|line| line.number);
        let is_cut = lines.len() > most;
        let lines: Vec<Line> = lines.into_iter().take(most).cloned().collect();
        let next = if is_cut { lines.last().map_or(from, |line| line.number + 1) } else { self.next };
        Page { lines, missed, next }
    }
}

impl Ring {
    fn of(most: usize) -> Ring {
        Ring { lines: VecDeque::new(), most, bytes: 0, lost: None, begun: BTreeMap::new() }
    }

    fn push(&mut self, line: Line) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        self.shrink();
    }

    /// Lets the oldest lines go that are too many.
    fn shrink(&mut self) {
        while self.lines.len() > self.most || self.bytes > LOG_BYTES {
            let Some(line) = self.lines.pop_front() else { return };
            self.bytes -= line.text.len();
            self.lost = Some(line.number);
        }
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("next", &self.state().next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Duration, Line, Logs, Mutex, Stream};
    use crate::limits::{LOG_BYTES, LOG_LINE_BYTES, LOG_LINES};

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn lines_are_whole_and_in_order() {
        let logs = Logs::with_clock(|| 7);
        logs.write("/a", Stream::Stdout, b"on");
        logs.write("/b", Stream::Stderr, b"two\r\nthr");
        logs.write("/a", Stream::Stdout, b"e\n");
        logs.write("/b", Stream::Stdout, b"other\n");
        let page = logs.read(0, None, 10);
        assert_eq!(texts(&page.lines), ["two", "one", "other"]);
        assert_eq!((page.next, page.missed, page.lines[1].at_ns), (3, false, 7));
        assert_eq!(page.lines[0].stream, Stream::Stderr);
        logs.end("/b");
        assert_eq!(texts(&logs.read(page.next, None, 10).lines), ["thr"]);
        assert_eq!(texts(&logs.read(0, Some("/b"), 2).lines), ["two", "other"]);
        assert_eq!(logs.read(0, None, 2).next, 2);
        assert_eq!(texts(&logs.tail(None, 1).lines), ["thr"]);
        logs.say("/a", Stream::Lifecycle, "faulted");
        assert_eq!(texts(&logs.tail(Some("/a"), 9).lines), ["one", "faulted"]);
    }

    #[test]
    fn what_is_kept_has_bounds() {
        let logs = Logs::default();
        logs.write("/a", Stream::Stdout, "x\n".repeat(LOG_LINES + 3).as_bytes());
        let page = logs.read(0, None, usize::MAX);
        assert_eq!((page.lines.len(), page.lines[0].number, page.missed), (LOG_LINES, 3, true));
        assert!(!logs.read(3, None, 1).missed);
        // A line without an end does not grow for ever.
        logs.write("/long", Stream::Stdout, &vec![b'y'; 3 * LOG_BYTES]);
        let page = logs.read(0, Some("/long"), usize::MAX);
        assert_eq!(page.lines.len(), LOG_BYTES / LOG_LINE_BYTES);
        assert!(page.lines.iter().all(|line| line.text.len() == LOG_LINE_BYTES) && page.missed);
    }

    #[test]
    fn a_process_can_have_a_bound_of_its_own() {
        let logs = Logs::default();
        logs.bound("/a", 2);
        for path in ["/a", "/b"] {
            logs.write(path, Stream::Stdout, b"1\n2\n3\n");
        }
        let kept = |path| {
            let page = logs.read(0, Some(path), usize::MAX);
            (page.lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join(" "), page.missed)
        };
        assert_eq!((kept("/a"), kept("/b")), (("2 3".to_owned(), true), ("1 2 3".to_owned(), false)));
        logs.say("/a", Stream::Lifecycle, "faulted");
        assert_eq!(kept("/a").0, "3 faulted");
        // Later, of a process that has printed already.
        logs.bound("/b", 1);
        assert_eq!(kept("/b"), ("3".to_owned(), true));
    }

    #[test]
    fn lines_are_waited_for_and_told() {
        let logs = Arc::new(Logs::default());
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hears = Arc::clone(&heard);
        logs.listen(Arc::new(move |line| hears.lock().expect("nobody panics").push(line.text.clone())));
        assert!(!logs.wait(0, Duration::ZERO));
        let mut write = logs.writer("/a", Stream::Stdout);
        let printer = std::thread::spawn(move || write(b"a\nb\n").expect("it takes everything"));
        assert!(logs.wait(1, Duration::from_secs(60)));
        printer.join().expect("it does not panic");
        assert_eq!(*heard.lock().expect("nobody panics"), ["a", "b"]);
    }
}
