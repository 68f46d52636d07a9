//! A small tree, and what is told of it.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ipc::launched::Launched;
use ipc::system::{Placement, System};
use kernel::component::linked::Linked;
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;
use servers::Wasi;
use tracing::{Dispatch, dispatcher, info_span};

use super::collecting::{Collector, Sink};
use super::otlp_json::{JsonLines, request};
use super::spanrecord::{Fields, Moment, Origin, Record, Value};
use super::spantext::TextLines;
use super::{SpanArgs, Spans};
use crate::confine::Boundaries;
use crate::launch;
use crate::steward::{Steward, domain_of};
use crate::unsupervised::Unsupervised;

/// `examples/shop.wat`, with a store that fails alone.
pub struct Shop {
    linked: Arc<Linked>,
    pub steward: Arc<dyn Steward>,
    _system: System,
}

impl Shop {
    /// How many domains it has, and a second life of one.
    pub const LIVES: u32 = 3;

    pub fn open() -> Shop {
        Shop::that("error")
    }

    /// One whose store gives its callers this when it fails.
    pub fn that(on_fault: &str) -> Shop {
        let engine = Engine::new().expect("a compiler");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop.wat");
        let component = wat::parse_file(file).expect("a component");
        let executable = launch::parse(&engine, "shop.wat", &component).expect("it compiles");
        let on_fault = on_fault.parse().expect("a reaction");
        let boundaries = Boundaries {
            isolate: vec!["store".to_owned()],
            on_fault: vec![on_fault],
            ..Boundaries::default()
        };
        let linked = Arc::new(launch::link("shop.wat", &executable, &boundaries).expect("it links"));
        let options = MachineOptions { workers: Some(1), ..MachineOptions::default() };
        let system = System::start(options).expect("a machine");
        let wasi = Box::new(Wasi::builder().build().expect("servers"));
        let quotas = kernel::quota::Quotas::default();
        let launched =
            system.launch_within(&engine, Arc::clone(&linked), wasi, quotas, |_, _| Placement::default());
        let launched = Arc::new(launched.expect("it comes up"));
        let steward = Arc::new(Unsupervised::new("shop", "examples/shop.wat", &launched));
        Shop { linked, steward, _system: system }
    }

    pub fn launched(&self) -> &Arc<Launched> {
        self.steward.launched()
    }

    /// Calls an export, and says what came back.
    pub fn call(&self, call: &str) -> String {
        let (func, args) = launch::invocation("shop.wat", &self.linked, call, "here").expect("an export");
        format!("{:?}", self.launched().call(&func, args))
    }

    /// Orders something, something that ends the store, and something of the store's next life.
    pub fn order(&self) {
        assert!(self.call("order(4)").contains("40"), "an order");
        assert!(self.call("order(12)").contains("Err"), "an order of what ends the store");
        let store = domain_of(self.launched(), "/shop/store").expect("a store");
        self.launched().restart(store, "a test").expect("a machine");
        assert!(self.call("order(5)").contains("90"), "an order of the next life");
    }
}

/// A file that can be read while it is written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Without what is different each time: the time, and how long things took.
fn timeless(line: &str) -> String {
    let (_, line) = line.trim_start().split_once("  ").expect("a time comes first");
    let line = line.split("  was there for ").next().unwrap();
    if line.starts_with('#') { line.rsplit_once("  ").unwrap().0.to_owned() } else { line.to_owned() }
}

#[test]
fn lives_and_calls_are_told_as_text() {
    let (shop, file) = (Shop::open(), Shared::default());
    let spans = Spans::tell("*", &shop.steward, Box::new(TextLines::new(Box::new(file.clone())))).unwrap();
    shop.order();
    drop(spans);
    let text = file.text();
    println!("{text}");
    let (calls, lives): (Vec<String>, _) = text.lines().map(timeless).partition(|line| line.starts_with('#'));
    insta::assert_snapshot!([calls, lives].concat().join("\n"));
}

#[test]
fn without_a_pattern_no_call_is_traced() {
    let (shop, file) = (Shop::open(), Shared::default());
    let spans = Spans::tell("", &shop.steward, Box::new(TextLines::new(Box::new(file.clone())))).unwrap();
    shop.call("ring()");
    drop(spans);
    let text = file.text();
    assert!(text.contains("tree shop  launched") && !text.contains("ring"), "{text}");
    let none = Spans::begin(&SpanArgs::default(), &shop.steward).unwrap();
    assert!(none.is_none(), "nobody asked");
}

#[test]
fn a_file_that_cannot_be_written_is_a_complaint() {
    let shop = Shop::open();
    let to = |to: &str| {
        let args = SpanArgs { spans: Some(String::new()), spans_to: Some(to.to_owned()) };
        Spans::begin(&args, &shop.steward).map(drop).map_err(|complaint| complaint.into_words().0)
    };
    assert_eq!(to("/proc/none/x"), Err("--spans-to /proc/none/x: cannot be written".to_owned()));
    assert!(to("ftp://a").is_err());
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_nothing() {
    let shop = Shop::open();
    let sinks: [Box<dyn Sink>; 2] = [
        Box::new(TextLines::new(Box::new(Full))),
        Box::new(JsonLines::new(Box::new(Full), Origin::new("shop"))),
    ];
    for sink in sinks {
        let spans = Spans::tell("*", &shop.steward, sink).unwrap();
        assert!(shop.call("ring()").contains("Ok"));
        drop(spans);
        assert!(shop.call("ring()").contains("Ok"));
    }
}

/// One that hangs: what writes to it never returns.
struct Stuck;

impl Write for Stuck {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        loop {
            std::thread::park();
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_hangs_keeps_nobody_from_ending() {
    let shop = Shop::open();
    let spans = Spans::tell("*", &shop.steward, Box::new(TextLines::new(Box::new(Stuck)))).unwrap();
    assert!(shop.call("order(4)").contains("40"));
    let began = Instant::now();
    drop(spans);
    assert!(began.elapsed() < Duration::from_secs(60), "it waited for what never comes");
    assert!(shop.call("order(4)").contains("80"));
}

#[test]
fn a_request_is_as_opentelemetry_has_it() {
    let text = |text: &str| Value::Text(text.to_owned());
    let origin = Origin { tree: "shop".to_owned(), os_pid: 4711, trace: 0xabc };
    let happened = Fields(vec![("message", text("faulted")), ("error", text("unreachable"))]);
    let call = Record {
        id: 3,
        parent: Some(2),
        kind: "call",
        began_unix_ns: 1_700_000_000_000_000_000,
        ended_unix_ns: 1_700_000_000_000_001_200,
        fields: Fields(vec![
            ("number", Value::Number(1)),
            ("caller", text("/shop/cart")),
            ("callee", text("/shop/store")),
            ("function", text("shop:kv/store#get")),
            ("error", text("unreachable")),
        ]),
        moments: vec![Moment { at_unix_ns: 1_700_000_000_000_000_600, fields: happened }],
    };
    let tree = Record {
        id: 2,
        parent: None,
        kind: "tree",
        fields: Fields(vec![("tree", text("shop"))]),
        moments: Vec::new(),
        ..call
    };
    let request = request(&origin, &[call, tree]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&request).unwrap());
}

#[test]
fn what_others_say_by_tracing_is_not_mixed_in() {
    let file = Shared::default();
    let collector = Arc::new(Collector::new(Box::new(TextLines::new(Box::new(file.clone()))), || 0));
    dispatcher::with_default(&Dispatch::new(Arc::clone(&collector)), || {
        let _other = info_span!("of a library", what = 1);
        let ours = info_span!(target: super::telling::TARGET, "tree", tree = "x\x1b[31m");
        let again = ours.clone();
        drop(ours);
        collector.flush();
        assert_eq!(file.text(), "", "somebody still holds it");
        drop(again);
    });
    collector.flush();
    assert_eq!(file.text(), "   0.000000  tree x\u{fffd}[31m  was there for 0 ns\n");
}
