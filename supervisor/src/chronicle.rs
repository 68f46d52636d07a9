//! What `atoll up` prints while a tree runs: what its processes print, with their names, and what becomes of them.
//!
//! Whoever prints in the tree does not wait for the terminal: lines that it is too slow for are counted, and kept in the logs.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use serde::Serialize;

use crate::limits::LINES_ON_THE_WAY;
use crate::logs::{Line, Logs, Stream};
use crate::paint::{Paint, Role};
use crate::tend::happening::Happening;

/// How it is printed.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Not at all.
    Nothing,
    /// For people.
    Text(Paint),
    /// One JSON object a line.
    Json,
}

/// Prints in a thread of its own.
#[derive(Debug)]
pub struct Chronicle {
    teller: Teller,
    printer: JoinHandle<()>,
}

/// Tells a chronicle what happens.
#[derive(Clone, Debug)]
pub struct Teller {
    tree: String,
    logs: Arc<Logs>,
    entries: SyncSender<Entry>,
    missed: Arc<AtomicU64>,
}

/// What is to be printed.
#[derive(Debug)]
enum Entry {
    Line(Line),
    Happening(Happening),
    /// The last one.
    End(Sender<()>),
}

/// A line of output as a program reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Printed<'l> {
    event: &'static str,
    process: &'l str,
    stream: Stream,
    text: &'l str,
}

impl Chronicle {
    /// Prints what is printed in a tree of this name, and what is told of it.
    #[must_use]
    pub fn begin(shape: Shape, tree: &str, logs: &Arc<Logs>) -> Chronicle {
        let (entries, received) = sync_channel(LINES_ON_THE_WAY);
        let missed = Arc::<AtomicU64>::default();
        let teller =
            Teller { tree: tree.to_owned(), logs: Arc::clone(logs), entries, missed: Arc::clone(&missed) };
        let listener = teller.clone();
        logs.listen(Arc::new(move |line: &Line| {
            // What becomes of a process is told by whoever keeps it in the logs, too.
            if line.stream != Stream::Lifecycle {
                listener.send(Entry::Line(line.clone()));
            }
        }));
        let tree = tree.to_owned();
        let printer = thread::spawn(move || print(shape, &tree, &received, &missed));
        Chronicle { teller, printer }
    }

    /// For whoever tells.
    #[must_use]
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Waits until everything that was told is printed.
    pub fn end(self) {
        let (done, wait) = std::sync::mpsc::channel();
        // A printer that has ended has nothing more to print.
        if self.teller.entries.send(Entry::End(done)).is_ok() && wait.recv().is_ok() {
            let _ = self.printer.join();
        }
    }
}

impl Teller {
    /// Tells what has happened: it is printed, and kept in the logs of whom it happened to.
    pub fn tell(&self, happening: &Happening) {
        let subject = happening.subject().unwrap_or(&self.tree);
        self.logs.say(subject, Stream::Lifecycle, &happening.to_string());
        if matches!(happening, Happening::Ended { .. } | Happening::Faulted { .. }) {
            self.logs.end(subject);
        }
        self.send(Entry::Happening(happening.clone()));
    }

    fn send(&self, entry: Entry) {
        if let Err(TrySendError::Full(_)) = self.entries.try_send(entry) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn print(shape: Shape, tree: &str, entries: &Receiver<Entry>, missed: &AtomicU64) {
    let mut out = std::io::stdout();
    let mut width = tree.len();
    while let Ok(entry) = entries.recv() {
        let entry = match entry {
            Entry::End(done) => {
                // Whoever waits for it may have stopped to.
                let _ = done.send(());
                return;
            }
            entry => entry,
        };
        let lost = missed.swap(0, Ordering::Relaxed);
        let text = match shape {
            Shape::Nothing => continue,
            Shape::Text(paint) => text(tree, &entry, lost, &mut width, paint),
            Shape::Json => json(&entry, lost),
        };
        // Nobody reads it any more: the tree goes on.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// A path without the tree's name, which all of them have.
fn short<'p>(tree: &str, path: &'p str) -> &'p str {
    let below = path.strip_prefix('/').and_then(|path| path.strip_prefix(tree)).unwrap_or(path);
    below.strip_prefix('/').unwrap_or(path)
}

fn text(tree: &str, entry: &Entry, lost: u64, width: &mut usize, paint: Paint) -> String {
    let (name, sign, body) = match entry {
        Entry::Line(line) => {
            let text: String = line.text.chars().map(harmless).collect();
            (short(tree, &line.path), "│", text)
        }
        Entry::Happening(happening) => {
            let role = if happening.is_bad() { Role::Bad } else { Role::Aside };
            let name = happening.subject().map_or(tree, |subject| short(tree, subject));
            (name, "●", paint.text(role, happening).to_string())
        }
        Entry::End(_) => return String::new(),
    };
    *width = name.chars().count().max(*width);
    let padding = " ".repeat(*width - name.chars().count());
    let mut text = String::new();
    if lost > 0 {
        let note = format!("{lost} lines came too fast to be shown; `atoll logs` has the last ones");
        text = format!("{}\n", paint.text(Role::Note, note));
    }
    text + &format!("{}{padding} {sign} {body}\n", paint.text(Role::Name, name))
}

/// What a terminal might obey is shown as something else.
fn harmless(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

fn json(entry: &Entry, lost: u64) -> String {
    let written = match entry {
        Entry::Line(Line { path, stream, text, .. }) => {
            serde_json::to_string(&Printed { event: "printed", process: path, stream: *stream, text })
        }
        Entry::Happening(happening) => serde_json::to_string(happening),
        Entry::End(_) => return String::new(),
    };
    let written = written.expect("strings and numbers always have a JSON form");
    let missed =
        if lost > 0 { format!("{{\"event\":\"missed\",\"lines\":{lost}}}\n") } else { String::new() };
    missed + &written + "\n"
}

#[cfg(test)]
mod tests {
    use super::{Entry, Happening, Line, Paint, Stream, json, text};

    #[test]
    fn lines_have_names() {
        let line = |path: &str, text: &str| {
            let (path, text) = (path.to_owned(), text.to_owned());
            Entry::Line(Line { number: 0, at_ns: 0, path, stream: Stream::Stdout, text })
        };
        let entries = [
            Entry::Happening(Happening::Started { process: "/shop/store".to_owned(), generation: 0 }),
            line("/shop/front", "ann: tea 3"),
            line("/shop/cart/face", "\u{1b}[2J"),
            Entry::Happening(Happening::Up { supervisor: "shop".to_owned() }),
        ];
        let mut width = 4;
        let shown: String =
            entries.iter().map(|entry| text("shop", entry, 0, &mut width, Paint::PLAIN)).collect();
        insta::assert_snapshot!(shown, @r"
        store ● started (gen0)
        front │ ann: tea 3
        cart/face │ �[2J
        shop      ● is up
        ");
        let shown: String = entries[..2].iter().map(|entry| json(entry, 3)).collect();
        insta::assert_snapshot!(shown, @r#"
        {"event":"missed","lines":3}
        {"event":"started","process":"/shop/store","generation":0}
        {"event":"missed","lines":3}
        {"event":"printed","process":"/shop/front","stream":"stdout","text":"ann: tea 3"}
        "#);
    }
}
