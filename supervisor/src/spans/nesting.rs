//! Which call was made within which. Calls are told when they have ended, so a call within another is told first: its parent has no
//! number yet.
//!
//! A process without asynchronous functions serves one call at a time. So a call that it made belongs to the call *into* it that is
//! told next: that one's number is promised in advance. Where not every way into a process is watched, or one is asynchronous,
//! nothing is known, and nothing is said.

use std::collections::HashMap;

use ipc::edges::{EdgeRow, End};

/// Numbers calls, and says which one they were made in.
#[derive(Debug, Default)]
pub struct Nesting {
    last: u64,
    /// The processes, by path, of which it is known; with the call that each serves now, if that has made calls.
    serving: HashMap<String, Option<Promise>>,
}

/// A number that a call will have when it has ended.
#[derive(Clone, Copy, Debug)]
struct Promise {
    number: u64,
    /// When the first call began that was made within it.
    first_ns: u64,
}

/// A call's number, and that of the call that it was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its own, from 1.
    pub number: u64,
    /// The other one's, if that is known.
    pub within: Option<u64>,
}

impl Nesting {
    /// Of calls over edges of which some are watched.
    pub fn new<'e>(edges: impl IntoIterator<Item = (&'e EdgeRow, bool)>) -> Nesting {
        let mut serial = HashMap::new();
        for (edge, is_watched) in edges {
            let End::Process { path, .. } = &edge.callee else { continue };
            let is_serial = is_watched && !edge.ty.starts_with("async");
            *serial.entry(path.clone()).or_insert(true) &= is_serial;
        }
        let serving = serial.into_iter().filter(|(_, is_serial)| *is_serial).map(|(path, _)| (path, None));
        Nesting { last: 0, serving: serving.collect() }
    }

    /// The next call that has ended.
    pub fn place(&mut self, caller: &End, callee: &End, began_ns: u64) -> Nested {
        let promised = match callee {
            End::Process { path, .. } => self.serving.get_mut(path).and_then(Option::take),
            _ => None,
        };
        // What began before it was not made within it: its own call was never told.
        let promised = promised.filter(|promise| promise.first_ns >= began_ns);
        let mut fresh = || {
            self.last += 1;
            self.last
        };
        let number = promised.map_or_else(&mut fresh, |promise| promise.number);
        let within = match caller {
            End::Process { path, .. } => self.serving.get_mut(path).map(|serving| {
                let promise = serving.get_or_insert_with(|| Promise { number: fresh(), first_ns: began_ns });
                promise.first_ns = promise.first_ns.min(began_ns);
                promise.number
            }),
            _ => None,
        };
        Nested { number, within }
    }

    /// Calls were lost: what was promised may be theirs.
    pub fn forget(&mut self) {
        self.serving.values_mut().for_each(|serving| *serving = None);
    }
}
