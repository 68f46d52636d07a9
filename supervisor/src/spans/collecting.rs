//! The console's `tracing` subscriber: it keeps what has begun, and hands on what has ended.
//!
//! It belongs to the threads that tell of one tree and to nobody else, so that what a library says by `tracing` is not mixed in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};

use super::spanrecord::{Fields, Moment, Record};
use super::telling::TARGET;
use crate::limits::MOMENTS_OF_A_SPAN;

/// Where spans go.
pub trait Sink: Send {
    /// A span has ended.
    fn span(&mut self, record: Record);

    /// Something has happened within a span that has not ended.
    fn moment(&mut self, _within: &Record, _moment: &Moment) {}

    /// Everything so far should get there.
    fn flush(&mut self);

    /// There is no more.
    fn close(&mut self) {
        self.flush();
    }
}

/// Turns what `tracing` is told into records.
pub struct Collector {
    now_unix_ns: fn() -> u64,
    state: Mutex<State>,
}

struct State {
    last: u64,
    open: HashMap<u64, Open>,
    sink: Box<dyn Sink>,
}

struct Open {
    record: Record,
    handles: usize,
}

impl Collector {
    /// A subscriber that tells `sink`, with a clock: nanoseconds since 1970.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, now_unix_ns: fn() -> u64) -> Collector {
        Collector { now_unix_ns, state: Mutex::new(State { last: 0, open: HashMap::new(), sink }) }
    }

    /// Lets what was told get to where it goes.
    pub fn flush(&self) {
        self.state().sink.flush();
    }

    /// There is no more.
    pub fn close(&self) {
        self.state().sink.close();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let now = (self.now_unix_ns)();
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        let (id, parent, began_unix_ns) = placed(number, attributes.parent(), &fields, now);
        let kind = attributes.metadata().name();
        let moments = Vec::new();
        let record = Record { id, parent, kind, began_unix_ns, ended_unix_ns: 0, fields, moments };
        state.open.insert(number, Open { record, handles: 1 });
        Id::from_u64(number)
    }

    fn record(&self, span: &Id, values: &tracing::span::Record<'_>) {
        if let Some(open) = self.state().open.get_mut(&span.into_u64()) {
            values.record(&mut open.record.fields);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut moment = Moment { at_unix_ns: (self.now_unix_ns)(), fields: Fields::default() };
        event.record(&mut moment.fields);
        let State { open, sink, .. } = &mut *self.state();
        if let Some(open) = event.parent().and_then(|parent| open.get_mut(&parent.into_u64())) {
            sink.moment(&open.record, &moment);
            if open.record.moments.len() < MOMENTS_OF_A_SPAN {
                open.record.moments.push(moment);
            }
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(open) = self.state().open.get_mut(&id.into_u64()) {
            open.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let number = id.into_u64();
        let State { open, sink, .. } = &mut *self.state();
        let Some(closing) = open.get_mut(&number) else { return false };
        closing.handles -= 1;
        if closing.handles > 0 {
            return false;
        }
        let Some(Open { mut record, .. }) = open.remove(&number) else { return false };
        record.ended_unix_ns = match record.fields.number("took_ns") {
            Some(took) => record.began_unix_ns.saturating_add(took),
            None => (self.now_unix_ns)(),
        };
        sink.span(record);
        true
    }
}

/// The id of a span, that of its parent, and when it began. Calls have numbers of their own, by which they name one
/// another; here they are the odd ones.
fn placed(number: u64, parent: Option<&Id>, fields: &Fields, now: u64) -> (u64, Option<u64>, u64) {
    let call = |number: u64| number * 2 + 1;
    let parent = parent.map(|parent| parent.into_u64() * 2);
    match fields.number("number") {
        Some(own) => {
            let within = fields.number("within").map(call);
            (call(own), within.or(parent), fields.number("began_unix_ns").unwrap_or(now))
        }
        None => (number * 2, parent, now),
    }
}
