//! Spans in the JSON encoding of the OpenTelemetry protocol: ids in hexadecimal, 64-bit numbers as text.
//!
//! A line of a file is what one request over HTTP is: `{"resourceSpans": […]}`.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::collecting::Sink;
use super::spanrecord::{Fields, Moment, Origin, Record, Value};
use crate::limits::SPANS_AT_ONCE;

/// What OpenTelemetry calls a span that neither takes calls from outside nor makes them.
const INTERNAL: u32 = 1;
/// The status of what has failed.
const ERROR: u32 = 2;
/// What our attributes' names begin with.
const PREFIX: &str = "atoll.";

/// A request that exports spans.
#[must_use]
pub fn request(origin: &Origin, records: &[Record]) -> Json {
    let resource = [
        attribute("service.name", &Value::Text(origin.tree.clone())),
        attribute("process.pid", &Value::Number(origin.os_pid.into())),
    ];
    let spans: Vec<Json> = records.iter().map(|record| span(origin, record)).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": "atoll", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

fn span(origin: &Origin, record: &Record) -> Json {
    let mut span = json!({
        "traceId": format!("{:032x}", origin.trace),
        "spanId": format!("{:016x}", record.id),
        "name": name(record),
        "kind": INTERNAL,
        "startTimeUnixNano": record.began_unix_ns.to_string(),
        "endTimeUnixNano": record.ended_unix_ns.to_string(),
        "attributes": attributes(&record.fields),
        "events": record.moments.iter().map(moment).collect::<Vec<_>>(),
    });
    if let Some(parent) = record.parent {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    if let Some(why) = record.fields.text("error") {
        span["status"] = json!({ "code": ERROR, "message": why });
    }
    span
}

/// A span's name: one of few, as OpenTelemetry wants it.
fn name(Record { kind, fields, .. }: &Record) -> String {
    match *kind {
        "call" => fields.text("function").unwrap_or(kind).to_owned(),
        kind => match fields.text(kind) {
            Some(of) => format!("{kind} {of}"),
            None => kind.to_owned(),
        },
    }
}

fn moment(moment: &Moment) -> Json {
    json!({
        "timeUnixNano": moment.at_unix_ns.to_string(),
        "name": moment.name(),
        "attributes": attributes(&moment.fields),
    })
}

/// What is known, but for what has a place of its own.
fn attributes(Fields(fields): &Fields) -> Vec<Json> {
    let has_place = ["message", "number", "within", "began_unix_ns", "took_ns"];
    let others = fields.iter().filter(|(name, _)| !has_place.contains(name));
    others.map(|(name, value)| attribute(&format!("{PREFIX}{name}"), value)).collect()
}

fn attribute(key: &str, value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({ "key": key, "value": { "stringValue": text } }),
        Value::Number(number) => json!({ "key": key, "value": { "intValue": number.to_string() } }),
    }
}

/// Writes lines of JSON. Where they cannot be written, nothing more is.
pub struct JsonLines {
    to: Option<Box<dyn Write + Send>>,
    origin: Origin,
    records: Vec<Record>,
}

impl JsonLines {
    /// Lines that go there.
    #[must_use]
    pub fn new(to: Box<dyn Write + Send>, origin: Origin) -> JsonLines {
        JsonLines { to: Some(to), origin, records: Vec::new() }
    }
}

impl Sink for JsonLines {
    fn span(&mut self, record: Record) {
        self.records.push(record);
        if self.records.len() >= SPANS_AT_ONCE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let records = std::mem::take(&mut self.records);
        if records.is_empty() {
            return;
        }
        let line = format!("{}\n", request(&self.origin, &records));
        let written = self.to.as_mut().map(|to| to.write_all(line.as_bytes()).and_then(|()| to.flush()));
        if let Some(Err(_)) = written {
            self.to = None;
        }
    }
}
