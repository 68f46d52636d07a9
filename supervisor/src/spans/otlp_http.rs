//! Spans over HTTP to a collector: OTLP/HTTP with JSON, one request a batch, on a thread of its own.
//!
//! A collector that is slow, absent or out of its mind costs the tree nothing: the queue is bounded, a request has a time limit, what
//! cannot be delivered is counted and given up, and only the first kilobytes of an answer are read.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::collecting::Sink;
use super::otlp_json::request;
use super::spanrecord::{Origin, Record};
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::{COLLECTOR_ANSWER_BYTES, SPANS_AT_ONCE, SPANS_QUEUED};

/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);
/// How long one request may take, from connecting to the answer's first line.
const WHOLE: Duration = Duration::from_secs(2);
/// How long the end waits for what is still queued.
const LAST: Duration = Duration::from_secs(3);

/// Where a collector takes traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    path: String,
    /// Further lines of a request's head.
    headers: String,
}

/// No such place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is another protocol.
    #[error("expected http://HOST:PORT; for https let a collector on this machine pass spans on")]
    Protocol,
    /// The rest of the address is none.
    #[error("expected http://HOST:PORT, as http://127.0.0.1:4318")]
    Address,
    /// A header is none.
    #[error("expected headers as NAME=VALUE,NAME=VALUE")]
    Header,
}

impl Endpoint {
    /// The traces of a collector with this address.
    ///
    /// # Errors
    /// It is none.
    pub fn base(url: &str) -> Result<Endpoint, EndpointError> {
        let mut endpoint = Endpoint::exact(url)?;
        endpoint.path = format!("{}/v1/traces", endpoint.path.trim_end_matches('/'));
        Ok(endpoint)
    }

    /// Exactly this address.
    ///
    /// # Errors
    /// It is none.
    pub fn exact(url: &str) -> Result<Endpoint, EndpointError> {
        let rest = url.strip_prefix("http://").ok_or(EndpointError::Protocol)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain(rest) || authority.contains(['@', '?', '#']) {
            return Err(EndpointError::Address);
        }
        let bracket = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority[bracket..].rfind(':').map(|colon| bracket + colon) {
            Some(colon) => (&authority[..colon], authority[colon + 1..].parse()),
            None => (authority, Ok(80)),
        };
        let port = port.map_err(|_| EndpointError::Address)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(EndpointError::Address);
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Endpoint { host: host.to_owned(), port, path: path.to_owned(), headers: String::new() })
    }

    /// What OpenTelemetry's variables say; none if they say nothing.
    ///
    /// # Errors
    /// What one of them says cannot be.
    pub fn of_environment(var: impl Fn(&str) -> Option<String>) -> Result<Option<Endpoint>, Complaint> {
        let wrong = |name: &str, value: &str, error| {
            Complaint::new(Exit::Usage, format!("{name}={value}")).because(error)
        };
        let said =
            |name: &'static str| var(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let endpoint = match (said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), said("OTEL_EXPORTER_OTLP_ENDPOINT"))
        {
            (Some((name, url)), _) => Endpoint::exact(&url).map_err(|error| wrong(name, &url, error))?,
            (None, Some((name, url))) => Endpoint::base(&url).map_err(|error| wrong(name, &url, error))?,
            (None, None) => return Ok(None),
        };
        match said("OTEL_EXPORTER_OTLP_HEADERS") {
            // A header may be a secret: it is not repeated.
            Some((name, headers)) => {
                endpoint.with_headers(&headers).map(Some).map_err(|error| wrong(name, "…", error))
            }
            None => Ok(Some(endpoint)),
        }
    }

    fn with_headers(mut self, headers: &str) -> Result<Endpoint, EndpointError> {
        for header in headers.split(',') {
            let (name, value) = header.split_once('=').ok_or(EndpointError::Header)?;
            let (name, value) = (name.trim(), value.trim().replace("%20", " "));
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if !is_name || value.chars().any(char::is_control) {
                return Err(EndpointError::Header);
            }
            self.headers.push_str(&format!("{name}: {value}\r\n"));
        }
        Ok(self)
    }
}

/// Exports spans.
pub struct Exporter {
    queue: Option<Sender<Record>>,
    /// How many spans nobody got.
    undelivered: Arc<AtomicU64>,
    /// How many are queued or under way.
    waiting: Arc<AtomicU64>,
    /// Gives the last reason why some were not delivered, and is closed when all has been tried.
    tried: Receiver<String>,
    note: Box<dyn Fn(&str) + Send>,
    origin: Origin,
    endpoint: Endpoint,
}

impl Exporter {
    /// Exports to a collector. `note` gets what a person should know.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn new(
        endpoint: Endpoint,
        origin: Origin,
        note: impl Fn(&str) + Send + 'static,
    ) -> Result<Exporter, Complaint> {
        let note = Box::new(note);
        let (queue, queued) = bounded(SPANS_QUEUED);
        let (trying, tried) = bounded(1);
        let (undelivered, waiting) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut delivery = Delivery {
            endpoint: endpoint.clone(),
            origin: origin.clone(),
            undelivered: Arc::clone(&undelivered),
            waiting: Arc::clone(&waiting),
            failed: None,
        };
        let deliver = move || {
            delivery.run(&queued);
            let _ = delivery.failed.map(|why| trying.send(why));
        };
        let thread = thread::Builder::new().name("atoll-otlp".to_owned()).spawn(deliver);
        thread.map_err(|error| Complaint::new(Exit::Failed, "spans cannot be exported").because(error))?;
        Ok(Exporter { queue: Some(queue), undelivered, waiting, tried, note, origin, endpoint })
    }
}

impl Sink for Exporter {
    fn span(&mut self, record: Record) {
        // Never waits: whoever tells would lose calls meanwhile.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let is_queued = self.queue.as_ref().is_some_and(|queue| queue.try_send(record).is_ok());
        if !is_queued {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.undelivered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&mut self) {}

    fn close(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        // Closing the queue is what ends the thread, when it has tried the rest.
        drop(queue);
        let (is_late, why) = match self.tried.recv_timeout(LAST) {
            Ok(why) => (false, why),
            Err(RecvTimeoutError::Disconnected) => (false, "too many at once".to_owned()),
            Err(RecvTimeoutError::Timeout) => (true, "the collector takes too long".to_owned()),
        };
        let waiting = if is_late { self.waiting.load(Ordering::Relaxed) } else { 0 };
        let count = self.undelivered.load(Ordering::Relaxed) + waiting;
        if count > 0 {
            let (Endpoint { host, port, path, .. }, tree) = (&self.endpoint, &self.origin.tree);
            (self.note)(&format!("{count} spans of {tree} did not get to http://{host}:{port}{path}: {why}"));
        }
    }
}

/// The other end of the queue.
struct Delivery {
    endpoint: Endpoint,
    origin: Origin,
    undelivered: Arc<AtomicU64>,
    waiting: Arc<AtomicU64>,
    failed: Option<String>,
}

impl Delivery {
    fn run(&mut self, queued: &Receiver<Record>) {
        while let Ok(first) = queued.recv() {
            let mut batch = vec![first];
            let until = Instant::now() + GATHER;
            while batch.len() < SPANS_AT_ONCE {
                match queued.recv_deadline(until) {
                    Ok(record) => batch.push(record),
                    Err(_) => break,
                }
            }
            let body = request(&self.origin, &batch).to_string();
            if let Err(error) = post(&self.endpoint, body.as_bytes()) {
                self.undelivered.fetch_add(batch.len() as u64, Ordering::Relaxed);
                self.failed = Some(error.to_string());
            }
            self.waiting.fetch_sub(batch.len() as u64, Ordering::Relaxed);
        }
    }
}

/// Posts a body; an answer that is not a success is an error.
fn post(endpoint: &Endpoint, body: &[u8]) -> io::Result<()> {
    let until = Instant::now() + WHOLE;
    let left = || until.saturating_duration_since(Instant::now());
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the collector takes too long");
    let in_time = || Some(left()).filter(|left| !left.is_zero()).ok_or_else(late);
    let Endpoint { host, port, path, headers } = endpoint;
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "its host has no address");
    let mut line = None;
    for address in (host.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, in_time()?) {
            Ok(connected) => {
                line = Some(connected);
                break;
            }
            Err(error) => refused = error,
        }
    }
    let mut line = line.ok_or(refused)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    for mut part in [head.as_bytes(), body] {
        while !part.is_empty() {
            line.set_write_timeout(Some(in_time()?))?;
            let written = line.write(part)?;
            part = &part[written..];
        }
    }
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < COLLECTOR_ANSWER_BYTES {
        line.set_read_timeout(Some(in_time()?))?;
        let mut bytes = [0; 1024];
        match line.read(&mut bytes)? {
            0 => break,
            read => answer.extend_from_slice(&bytes[..read]),
        }
    }
    judge(&answer)
}

/// Whether an answer that begins so is a success.
fn judge(answer: &[u8]) -> io::Result<()> {
    let mut words = answer.split(|byte| byte.is_ascii_whitespace());
    let version = words.next().unwrap_or_default();
    let code = words
        .next()
        .and_then(|code| std::str::from_utf8(code).ok())
        .and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(200..=299) if version.starts_with(b"HTTP/1.") => Ok(()),
        Some(code) if version.starts_with(b"HTTP/1.") => Err(io::Error::other(format!("it answered {code}"))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP/1")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError, judge};

    #[test]
    fn endpoints_are_as_opentelemetry_has_them() {
        let shown = |endpoint: Endpoint| (endpoint.host, endpoint.port, endpoint.path);
        let of = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(Endpoint::base("http://localhost:4318").map(shown), of("localhost", 4318, "/v1/traces"));
        assert_eq!(Endpoint::base("http://[::1]:1/x/").map(shown), of("::1", 1, "/x/v1/traces"));
        assert_eq!(Endpoint::exact("http://10.0.0.1").map(shown), of("10.0.0.1", 80, "/"));
        assert_eq!(Endpoint::base("https://a"), Err(EndpointError::Protocol));
        for wrong in
            ["http://", "http://:1", "http://a:70000", "http://a b", "http://a/\r\nX: y", "http://u@a"]
        {
            assert_eq!(Endpoint::base(wrong), Err(EndpointError::Address), "{wrong}");
        }
    }

    #[test]
    fn the_environment_is_read() {
        let of = |vars: &[(&str, &str)]| {
            let found =
                |name: &str| vars.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
            Endpoint::of_environment(found).map_err(|complaint| complaint.into_words().0)
        };
        assert_eq!(of(&[]), Ok(None));
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");
        assert_eq!(of(&[base]), Ok(Some(Endpoint::base(base.1).unwrap())));
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/t");
        let endpoint = of(&[base, traces, ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=1, y = a%20b")]);
        let endpoint = endpoint.unwrap().unwrap();
        assert_eq!((&*endpoint.path, &*endpoint.headers), ("/t", "x-key: 1\r\ny: a b\r\n"));
        let secret = of(&[base, ("OTEL_EXPORTER_OTLP_HEADERS", "secret\r\n")]);
        assert_eq!(secret, Err("OTEL_EXPORTER_OTLP_HEADERS=…".to_owned()));
    }

    #[test]
    fn only_a_success_is_one() {
        assert!(judge(b"HTTP/1.1 200 OK\r\n").is_ok() && judge(b"HTTP/1.0 202\r\n").is_ok());
        for wrong in [&b""[..], b"HTTP/1.1 503 no\r\n", b"\xff\x00", b"HTTP/1.1", b"ICY 200 OK\r\n"] {
            assert!(judge(wrong).is_err(), "{wrong:?}");
        }
    }
}
