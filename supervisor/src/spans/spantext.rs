//! Spans as lines for people: seconds since the first line, what it is about, and what became of it.

use std::io::Write;

use super::collecting::Sink;
use super::spanrecord::{Fields, Moment, Record, Value};
use crate::watch::columns::{harmless, span};

/// Writes lines. Where they cannot be written, nothing more is.
pub struct TextLines {
    to: Option<Box<dyn Write + Send>>,
    lines: String,
    first_unix_ns: Option<u64>,
}

impl TextLines {
    /// Lines that go there.
    #[must_use]
    pub fn new(to: Box<dyn Write + Send>) -> TextLines {
        TextLines { to: Some(to), lines: String::new(), first_unix_ns: None }
    }

    fn push(&mut self, at_unix_ns: u64, text: &str) {
        let first = *self.first_unix_ns.get_or_insert(at_unix_ns);
        let micros = at_unix_ns.saturating_sub(first) / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        self.lines.push_str(&format!("{seconds:>4}.{micros:06}  {}\n", harmless(text)));
    }
}

impl Sink for TextLines {
    fn span(&mut self, record: Record) {
        let took = span(record.ended_unix_ns.saturating_sub(record.began_unix_ns));
        let text = match record.kind {
            "call" => call(&record.fields, &took),
            _ => format!("{}  was there for {took}", about(&record)),
        };
        self.push(record.ended_unix_ns, &text);
    }

    fn moment(&mut self, within: &Record, moment: &Moment) {
        let mut text = format!("{}  {}", about(within), moment.name());
        if let Some(why) = moment.fields.text("error").or(moment.fields.text("because")) {
            text.push_str(&format!(": {why}"));
        }
        for field in &moment.fields.0 {
            match (field.0, &field.1) {
                ("message" | "error" | "because", _) => {}
                // What it is about says so already.
                _ if within.fields.0.contains(field) => {}
                (name, Value::Text(value)) => text.push_str(&format!("  {name}={value}")),
                (name, Value::Number(value)) => text.push_str(&format!("  {name}={value}")),
            }
        }
        self.push(moment.at_unix_ns, &text);
    }

    fn flush(&mut self) {
        let written =
            self.to.as_mut().map(|to| to.write_all(self.lines.as_bytes()).and_then(|()| to.flush()));
        if let Some(Err(_)) = written {
            self.to = None;
        }
        self.lines.clear();
    }
}

/// What a span is about.
fn about(Record { kind, fields, .. }: &Record) -> String {
    match (fields.text("domain"), fields.number("generation"), fields.text("tree")) {
        (Some(domain), Some(generation), _) => format!("{domain}/gen{generation}"),
        (_, _, Some(tree)) => format!("tree {tree}"),
        _ => (*kind).to_owned(),
    }
}

fn call(fields: &Fields, took: &str) -> String {
    let text = |name| fields.text(name).unwrap_or_default();
    let number = fields.number("number").unwrap_or_default();
    let within = fields.number("within").map_or_else(String::new, |within| format!(" in #{within}"));
    let outcome = match (fields.text("error"), fields.text("result")) {
        (Some(why), _) => format!(" ✗ {why}"),
        (None, Some(value)) => format!(" = {value}"),
        (None, None) => String::new(),
    };
    let (caller, callee, function, args) = (text("caller"), text("callee"), text("function"), text("args"));
    format!("#{number}{within}  {caller} → {callee}  {function}{args}{outcome}  {took}")
}
