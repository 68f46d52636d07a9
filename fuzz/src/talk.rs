//! The console's protocol: whatever bytes a client sends, it is answered or hung up on; what is sent arrives.

use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use abi::control::framing::{Inbox, framed};
use abi::control::greeting::Greeting;
use abi::control::log_line::{LogLine, Source};
use abi::control::process_row::{Condition, ProcessRow, Supervision, TreeSummary};
use abi::control::refusal::Refusal;
use abi::control::request::Request;
use abi::control::response::Response;
use abi::control::treeview::{ProcessView, TreeView};
use abi::limits::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use arbitrary::{Result, Unstructured};
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;
use supervisor::control::conversation::converse;
use supervisor::control::patience::Line;
use supervisor::control::reception::Reception;
use supervisor::steward::Steward;
use supervisor::unsupervised::Unsupervised;

/// Messages of one conversation.
const MESSAGES: u32 = 8;
/// The deepest tree that is made.
const DEPTH: u32 = 6;
/// What a client reads before it stops.
const ANSWERED_BYTES: usize = 1 << 20;

const TREE: &str = r#"(component
  (component $work
    (core module $m
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "blow") (unreachable)))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "blow") (canon lift (core func $i "blow"))))
  (instance $worker (instantiate $work))
  (export "add" (func $worker "add"))
  (export "blow" (func $worker "blow")))"#;

/// One case.
pub fn check(data: &[u8]) {
    decoders(data);
    let mut bytes = Unstructured::new(data);
    // Bytes that are used up make the rest of a case empty.
    let _ = case(&mut bytes);
}

fn case(bytes: &mut Unstructured<'_>) -> Result<()> {
    match bytes.int_in_range(0..=3)? {
        0 => arrives(bytes),
        1 => {
            let stream = bytes.bytes(bytes.len())?;
            converse_with(stream);
            Ok(())
        }
        _ => {
            let mut stream = conversation(bytes)?;
            damage(bytes, &mut stream)?;
            converse_with(&stream);
            Ok(())
        }
    }
}

/// What is decoded is what it is encoded to again; whatever does not decode is refused.
fn decoders(data: &[u8]) {
    if let Ok(request) = Request::from_bytes(data) {
        let frame = request.to_frame().expect("what came in a frame fits one");
        assert_eq!(Request::from_bytes(&frame[4..]), Ok(request));
    }
    if let Ok(response) = Response::from_bytes(data) {
        assert_eq!(Response::from_bytes(&response.to_frame()[4..]), Ok(response));
    }
    // The same frames come out however the stream is cut.
    let whole = frames(data, data.len().max(1));
    assert_eq!(frames(data, 3), whole);
}

fn frames(data: &[u8], step: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut inbox, mut found) = (Inbox::new("a request", MAX_REQUEST_BYTES), Vec::new());
    for part in data.chunks(step) {
        inbox.push(part);
        loop {
            match inbox.frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

/// A message that is made arrives as it was, through frames that are cut anywhere.
fn arrives(bytes: &mut Unstructured<'_>) -> Result<()> {
    let response = response(bytes)?;
    let stream = response.to_frame();
    let step = bytes.int_in_range(1..=64)?;
    let mut inbox = Inbox::new("an answer", MAX_RESPONSE_BYTES);
    let mut arrived = None;
    for part in stream.chunks(step) {
        assert_eq!(arrived, None, "a frame came before it was whole");
        inbox.push(part);
        arrived = inbox.frame().expect("its length is right");
    }
    let arrived = arrived.expect("all of it has been pushed");
    assert_eq!(Response::from_bytes(&arrived), Ok(response));
    Ok(())
}

/// A client that behaves.
fn conversation(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut stream = Greeting::new(&text(bytes)?).to_bytes();
    for _ in 0..bytes.int_in_range(1..=MESSAGES)? {
        stream.extend(request(bytes)?.to_frame().expect("short texts fit"));
        if bytes.ratio(1, 8)? {
            stream.extend(framed(bytes.bytes(4)?));
        }
    }
    Ok(stream)
}

/// Some bytes of it are others.
fn damage(bytes: &mut Unstructured<'_>, stream: &mut Vec<u8>) -> Result<()> {
    for _ in 0..bytes.int_in_range(0..=4)? {
        let at = bytes.choose_index(stream.len())?;
        stream[at] = bytes.arbitrary()?;
    }
    if bytes.ratio(1, 4)? {
        stream.truncate(bytes.choose_index(stream.len())?);
    }
    Ok(())
}

fn text(bytes: &mut Unstructured<'_>) -> Result<String> {
    let known = [
        "",
        "/work",
        "/work/worker",
        "worker",
        "add(1, 2)",
        "blow()",
        "add",
        "ä\u{1b}[2J\n",
        "work:iface#f([",
    ];
    if bytes.ratio(3, 4)? { Ok((*bytes.choose(&known)?).to_owned()) } else { bytes.arbitrary() }
}

fn request(bytes: &mut Unstructured<'_>) -> Result<Request> {
    let (path, by) = (text(bytes)?, text(bytes)?);
    let some = bytes.ratio(1, 2)?.then(|| path.clone());
    Ok(match bytes.int_in_range(0..=14)? {
        0 => Request::Alive,
        1 => Request::Summary,
        2 => Request::Tree,
        3 => Request::Edges,
        4 => Request::Inspect { path },
        5 => Request::Kill { path, by, for_good: bytes.arbitrary()? },
        6 => Request::Restart { path, by },
        7 => Request::Down { by },
        8 => Request::Logs {
            path: some,
            from: bytes.arbitrary()?,
            tail: bytes.arbitrary()?,
            wait_ms: bytes.arbitrary()?,
        },
        9 => Request::Call { call: path },
        10 => Request::Route { path },
        11 => {
            let (edge, only_count) = (bytes.ratio(1, 2)?.then_some(by), bytes.arbitrary()?);
            Request::Trace { path: some, edge, only_count }
        }
        12 => Request::Traced { wait_ms: bytes.arbitrary()? },
        13 => Request::Dump { path },
        _ => Request::DumpFrom { offset: bytes.arbitrary()? },
    })
}

fn response(bytes: &mut Unstructured<'_>) -> Result<Response> {
    Ok(match bytes.int_in_range(0..=5)? {
        0 => Response::Done,
        1 => {
            let advice = (0..bytes.int_in_range(0..=3)?).map(|_| text(bytes)).collect::<Result<_>>()?;
            Response::Refused(Refusal { exit: bytes.arbitrary()?, what: text(bytes)?, cause: None, advice })
        }
        2 => Response::Summary(summary(bytes)?),
        3 => {
            Response::Tree(TreeView { file: text(bytes)?, root: process_view(bytes, 0)?, faults: Vec::new() })
        }
        4 => {
            let line = LogLine {
                sequence: bytes.arbitrary()?,
                time_ns: bytes.arbitrary()?,
                path: text(bytes)?,
                source: *bytes.choose(&[Source::Stdout, Source::Stderr, Source::Lifecycle])?,
                text: text(bytes)?,
            };
            Response::Lines {
                lines: vec![line; bytes.int_in_range(0..=3)?],
                next: bytes.arbitrary()?,
                missed: true,
            }
        }
        _ => Response::Returned(Some(text(bytes)?)),
    })
}

fn summary(bytes: &mut Unstructured<'_>) -> Result<TreeSummary> {
    let row = |bytes: &mut Unstructured<'_>| -> Result<ProcessRow> {
        let condition = match bytes.int_in_range(0..=2)? {
            0 => Condition::Running,
            1 => Condition::Waiting { path: text(bytes)?, generation: bytes.arbitrary()?, mailbox: 1 },
            _ => Condition::Faulted { trap: text(bytes)?, place: Some(text(bytes)?) },
        };
        let supervised = bytes.ratio(1, 2)?.then(Supervision::default);
        let (pid, path, cpu_ns) = (bytes.arbitrary()?, text(bytes)?, bytes.arbitrary()?);
        Ok(ProcessRow { pid, path, cpu_ns, condition, supervised, ..ProcessRow::default() })
    };
    let processes = (0..bytes.int_in_range(0..=4)?).map(|_| row(bytes)).collect::<Result<_>>()?;
    Ok(TreeSummary { name: text(bytes)?, processes, ..TreeSummary::default() })
}

fn process_view(bytes: &mut Unstructured<'_>, depth: u32) -> Result<ProcessView> {
    let most = if depth < DEPTH { 3 } else { 0 };
    let children = (0..bytes.int_in_range(0..=most)?).map(|_| process_view(bytes, depth + 1));
    let children = children.collect::<Result<_>>()?;
    Ok(ProcessView { path: text(bytes)?, pid: bytes.arbitrary()?, children, ..ProcessView::default() })
}

/// A supervisor hears this, and nothing after it.
fn converse_with(stream: &[u8]) {
    let mut line = Recorded { said: stream, answered: 0 };
    converse(&mut line, reception());
}

/// A client that was recorded: it says everything at once and does not wait.
struct Recorded<'s> {
    said: &'s [u8],
    answered: usize,
}

impl Line for Recorded<'_> {
    fn receive(&mut self, bytes: &mut [u8], _: Instant) -> io::Result<usize> {
        let count = self.said.len().min(bytes.len()).min(37);
        let (now, later) = self.said.split_at(count);
        bytes[..count].copy_from_slice(now);
        self.said = later;
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8], _: Instant) -> io::Result<()> {
        assert!(bytes.len() <= MAX_RESPONSE_BYTES + 4, "an answer of {} bytes", bytes.len());
        self.answered += bytes.len();
        // Who does not read is written to until there is no room.
        if self.answered > ANSWERED_BYTES { Err(ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    fn has_hung_up(&mut self) -> bool {
        true
    }
}

/// A tree that is asked by all cases: whatever they do to it, it answers the next one.
fn reception() -> &'static Reception {
    static RECEPTION: OnceLock<(Reception, Arc<dyn Steward>)> = OnceLock::new();
    let (reception, _) = RECEPTION.get_or_init(|| {
        let engine = Engine::new().expect("a compiler for this machine");
        let binary = wat::parse_str(TREE).expect("it is WebAssembly text");
        let executable = Executable::parse(&engine, &binary).expect("it is a component");
        let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("work") };
        let linked = executable.link(&Imports::default(), &options).expect("it needs nobody");
        // The machine lives as long as the fuzzer.
        let machine = MachineOptions { workers: Some(1), ..MachineOptions::default() };
        let system = Box::leak(Box::new(System::start(machine).expect("there are threads")));
        let launched = system.launch(&engine, Arc::new(linked), Box::new(()), Placement::default());
        let launched = Arc::new(launched.expect("it comes up"));
        let steward: Arc<dyn Steward> = Arc::new(Unsupervised::new("work", "work.wat", &launched));
        (Reception::new(Arc::downgrade(&steward)), steward)
    });
    reception
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_thousand_cases_end() {
        let mut state = 1_u64;
        for length in 0..1000 {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            check(&(0..length).map(|_| next()).collect::<Vec<u8>>());
        }
    }
}
