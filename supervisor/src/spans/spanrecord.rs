//! A span that has ended, with its times and what happened in it.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use tracing::field::{Field, Visit};

/// Where spans come from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The tree's name.
    pub tree: String,
    /// The operating-system process that runs it.
    pub os_pid: u32,
    /// The trace that all of its spans belong to; not 0.
    pub trace: u128,
}

/// What a field of a span holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
}

/// Names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(&'static str, Value)>);

/// Something that happened at one time within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When, nanoseconds since 1970.
    pub at_unix_ns: u64,
    /// What, and what is known of it; `message` is the name.
    pub fields: Fields,
}

/// A span that has ended, or begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number; 0 is nobody's.
    pub id: u64,
    /// That of the span that it is a part of.
    pub parent: Option<u64>,
    /// What kind of thing it tells of: `tree`, `domain`, `call`.
    pub kind: &'static str,
    /// When it began, nanoseconds since 1970.
    pub began_unix_ns: u64,
    /// When it ended, nanoseconds since 1970.
    pub ended_unix_ns: u64,
    /// What is known of it.
    pub fields: Fields,
    /// What happened in it.
    pub moments: Vec<Moment>,
}

impl Origin {
    /// A tree that runs in this process, with a trace of its own.
    #[must_use]
    pub fn new(tree: &str) -> Origin {
        // What a hash table is seeded with is different each time.
        let random = || u128::from(RandomState::new().build_hasher().finish());
        Origin {
            tree: tree.to_owned(),
            os_pid: std::process::id(),
            trace: (random() << 64 | random()).max(1),
        }
    }
}

impl Fields {
    /// A field's text; none if it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// A field's number; none if it is not there.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.find(name)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(of, _)| *of == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Number(value));
    }
}

impl Moment {
    /// What happened.
    #[must_use]
    pub fn name(&self) -> &str {
        self.fields.text("message").unwrap_or_default()
    }
}
