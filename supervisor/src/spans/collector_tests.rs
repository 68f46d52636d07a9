//! Collectors of every kind: one that is as it should be, and those that are slow, absent, or out of their mind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

use super::Spans;
use super::collecting::Sink;
use super::otlp_http::{Endpoint, Exporter};
use super::spanrecord::{Fields, Origin, Record};
use super::spans_tests::Shop;
use crate::limits::SPANS_QUEUED;

/// Lets `serve` have every connection, each on its own thread.
fn listen(serve: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for line in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(line.unwrap()));
        }
    });
    at
}

/// Reads one request: its first line, and its body.
fn hear(line: &TcpStream) -> (String, Vec<u8>) {
    let mut line = BufReader::new(line);
    let (mut first, mut length) = (String::new(), 0);
    line.read_line(&mut first).unwrap();
    loop {
        let mut header = String::new();
        line.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).unwrap();
    (first.trim().to_owned(), body)
}

/// An exporter to there, and what a person is told.
fn exporter(at: SocketAddr) -> (Exporter, Receiver<String>) {
    let (told, notes) = channel();
    let endpoint = Endpoint::base(&format!("http://{at}")).unwrap();
    let exporter =
        Exporter::new(endpoint, Origin::new("shop"), move |note| told.send(note.to_owned()).unwrap());
    (exporter.unwrap(), notes)
}

fn attribute<'j>(span: &'j Json, key: &str) -> &'j str {
    let attributes = span["attributes"].as_array().unwrap().iter();
    let mut found =
        attributes.filter(|attribute| attribute["key"] == key).map(|found| &found["value"]["stringValue"]);
    found.next_back().and_then(Json::as_str).unwrap_or("")
}

#[test]
fn a_collector_gets_lives_and_calls_within_calls() {
    let (heard, requests) = channel();
    let at = listen(move |mut line| {
        heard.send(hear(&line)).unwrap();
        line.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    });
    let (exporter, notes) = exporter(at);
    let shop = Shop::open();
    let spans = Spans::tell("*", &shop.steward, Box::new(exporter)).unwrap();
    shop.order();
    drop(spans);
    assert_eq!(notes.try_iter().next(), None, "all was delivered");
    let mut spans = Vec::new();
    for (first, body) in requests.try_iter() {
        assert_eq!(first, "POST /v1/traces HTTP/1.1");
        let request: Json = serde_json::from_slice(&body).unwrap();
        let resource = &request["resourceSpans"][0];
        assert_eq!(attribute(&resource["resource"], "service.name"), "shop");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).cloned().collect::<Vec<_>>();
    let parent = |span: &Json| {
        let mut parents = spans.iter().filter(|other| other["spanId"] == span["parentSpanId"]);
        parents.next().cloned().unwrap_or_else(|| panic!("no parent of {span}"))
    };
    let [tree] = &named("tree shop")[..] else { panic!("no tree in {spans:#?}") };
    assert_eq!((&tree["parentSpanId"], &tree["status"]), (&Json::Null, &Json::Null));
    let takes = named("take");
    let ends: Vec<_> =
        takes.iter().map(|take| (attribute(take, "atoll.caller"), attribute(take, "atoll.callee"))).collect();
    assert_eq!(ends, [("/shop/cart", "/shop/store"); 3]);
    assert_eq!(attribute(&takes[0], "atoll.args"), "(4)");
    for take in &takes {
        let names = [parent(take), parent(&parent(take)), parent(&parent(&parent(take)))];
        assert_eq!(names.each_ref().map(|span| &span["name"]), ["add", "order", "tree shop"]);
        assert_eq!(take["traceId"], tree["traceId"]);
        let time = |span: &Json, which| span[which].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time(&names[0], "startTimeUnixNano") <= time(take, "startTimeUnixNano"));
        assert!(time(take, "endTimeUnixNano") <= time(&names[0], "endTimeUnixNano"));
    }
    let [first, second] = &named("domain /shop/store")[..] else { panic!("not two lives in {spans:#?}") };
    assert_eq!((&first["status"]["code"], &second["status"]), (&2.into(), &Json::Null));
    assert_eq!(parent(first)["name"], "tree shop");
    let events: Vec<_> = first["events"].as_array().unwrap().iter().map(|event| &event["name"]).collect();
    assert_eq!(events, ["started", "faulted", "ended"]);
}

#[test]
fn a_failed_call_has_an_error() {
    let (heard, requests) = channel();
    let at = listen(move |mut line| {
        heard.send(hear(&line).1).unwrap();
        line.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    });
    let shop = Shop::that("trap");
    let spans = Spans::tell("cart->store", &shop.steward, Box::new(exporter(at).0)).unwrap();
    shop.call("order(12)");
    drop(spans);
    let bodies: Vec<Json> = requests.try_iter().map(|body| serde_json::from_slice(&body).unwrap()).collect();
    let spans =
        bodies.iter().flat_map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap());
    let spans: Vec<_> = spans.collect();
    let take = spans.iter().find(|span| span["name"] == "take").expect("a call");
    assert_eq!(take["status"]["code"], 2, "{take:#?}");
    let message = take["status"]["message"].as_str().unwrap();
    assert!(message.contains("unreachable"), "{message}");
    // The calls into the cart are not watched: all that is known is the tree.
    let tree = spans.iter().find(|span| span["name"] == "tree shop").expect("a tree");
    assert_eq!(take["parentSpanId"], tree["spanId"]);
}

#[test]
fn a_bad_collector_ends_nothing_and_is_told_of() {
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = listen(|line| {
        thread::sleep(Duration::from_secs(600));
        drop(line);
    });
    let mad = listen(|mut line| {
        let _ = line.write_all(&[0xff; 1 << 16]);
    });
    let slow = listen(|mut line| {
        while line.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let busy = listen(|mut line| {
        hear(&line);
        line.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
    });
    let trials = [absent, silent, mad, slow, busy].map(|at| {
        thread::spawn(move || {
            let (exporter, notes) = exporter(at);
            let shop = Shop::open();
            let spans = Spans::tell("*", &shop.steward, Box::new(exporter)).unwrap();
            shop.order();
            drop(spans);
            assert!(shop.call("ring()").contains("Ok"));
            notes.try_recv().expect("a note")
        })
    });
    for trial in trials {
        let note = trial.join().expect("the run went on");
        // A tree, three domains and one that began again; of three orders three calls each.
        let count: u32 = note.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(count, 1 + Shop::LIVES + 9, "{note}");
        assert!(note.contains("spans of shop did not get to http://127.0.0.1:"), "{note}");
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let silent = listen(|line| {
        thread::sleep(Duration::from_secs(600));
        drop(line);
    });
    let (mut exporter, notes) = exporter(silent);
    let sent = SPANS_QUEUED * 2;
    for id in 0..sent as u64 {
        let (began_unix_ns, ended_unix_ns) = (id, id + 1);
        let (fields, moments) = (Fields::default(), Vec::new());
        exporter.span(Record {
            id,
            parent: None,
            kind: "call",
            began_unix_ns,
            ended_unix_ns,
            fields,
            moments,
        });
    }
    exporter.close();
    let note = notes.try_recv().expect("a note");
    assert!(note.starts_with(&format!("{sent} spans of shop did not get to ")), "{note}");
}
