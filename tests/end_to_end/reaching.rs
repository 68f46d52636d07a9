//! The network, as far as options of `run` let a guest reach it.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::shell::{Outcome, Scratch, atoll, guest};

/// A component that tries each thing that can be granted, and says what came of it; 1001 is `access-denied`.
fn probe(scratch: &Scratch) -> String {
    let imports = include_str!("../../supervisor/servers/tests/servers/probe_imports.wat");
    let probe = include_str!("../../supervisor/servers/tests/servers/probe.wat");
    scratch.file("probe.wat", format!("(component {imports} {probe})"))
}

fn call(probe: &str, call: &str, options: &[&str]) -> Outcome {
    let options = options.iter().copied();
    atoll(["run", "--invoke", call].into_iter().chain(options).chain([probe])).run().exits(0)
}

#[test]
fn a_guest_connects_where_it_may() {
    let scratch = Scratch::new("connects");
    let probe = probe(&scratch);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let at = listener.local_addr().expect("it is bound");
    let connect = format!("connect({})", at.port());
    call(&probe, &connect, &["--connect", &at.to_string()]).prints("0\n");
    let mut said = [0; 3];
    listener.accept().expect("it has connected").0.read_exact(&mut said).expect("it has written");
    assert_eq!(&said, b"out");
    for options in [&[][..], &["--connect", "*"], &["--connect", "10.0.0.0/8"], &["--listen", "127.0.0.1:*"]]
    {
        call(&probe, &connect, options).prints("1001\n");
    }
}

/// A program in C that looks a name up, connects, says something, and prints the answer.
#[test]
fn a_c_program_talks_to_whom_it_may() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let dial = |options: &[&str], name: &str| {
        let dialer = guest("dialer.wasm");
        atoll([&["run"], options, &[&dialer, name, &port]].concat())
    };
    let (by_name, by_address) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    for (granted, name) in [(&by_name, "localhost"), (&by_address, "127.0.0.1")] {
        let dialed = dial(&["--connect", granted], name).spawn();
        let mut line = listener.accept().expect("somebody connects").0;
        let mut said = [0; 13];
        line.read_exact(&mut said).expect("it says so much");
        assert_eq!(&said, b"hello from C\n");
        line.write_all(b"good day\n").expect("it listens");
        dialed.ends().exits(0).prints("answer: good day\n");
    }
    dial(&[], "localhost").run().exits(1).prints("look up: access-denied\n");
    dial(&["--connect", "example.com"], "localhost").run().exits(1).prints("look up: access-denied\n");
    // Who may only look up gets no socket, and another port is another grant.
    dial(&["--resolve", "localhost"], "localhost").run().exits(1).prints("socket: access-denied\n");
    dial(&["--connect", "localhost:1"], "localhost").run().exits(1).prints("connect: access-denied\n");
    listener.set_nonblocking(true).expect("it can be");
    assert!(listener.accept().is_err(), "nobody else has connected");
}

#[test]
fn a_guest_listens_and_looks_up_what_it_may() {
    let scratch = Scratch::new("listens");
    let probe = probe(&scratch);
    call(&probe, "listen()", &["--listen", "127.0.0.1:0"]).prints("0\n");
    call(&probe, "listen()", &["--listen", "127.0.0.1:8080"]).prints("1001\n");
    call(&probe, "udp()", &["--udp-listen", "*:0"]).prints("0\n");
    call(&probe, "udp()", &["--udp", "127.0.0.1"]).prints("0\n");
    call(&probe, "udp()", &[]).prints("1001\n");
    call(&probe, "name()", &["--resolve", "localhost"]).prints("0\n");
    call(&probe, "name()", &["--connect", "localhost:80"]).prints("0\n");
    call(&probe, "name()", &["--resolve", "example.com"]).prints("1001\n");
    // What `run` has always granted.
    call(&probe, "vars()", &["--env", "A=b"]).prints("1\n");
    call(&probe, "args()", &[]).prints("1\n");
    call(&probe, "sleep()", &[]).prints("0\n");
}

#[test]
fn rules_that_are_none_say_what_was_expected() {
    let wrong = |option: &str, rule: &str, parts: &[&str]| {
        atoll(["run", option, rule, "x.wasm"]).run().exits(2).says(parts).says(&[rule]);
    };
    wrong("--connect", "a b", &["no peer", "NET/BITS"]);
    wrong("--connect", "host:99999", &["99999", "no port"]);
    wrong("--connect", "10.0.0.0/99", &["no address and no net"]);
    wrong("--udp", "::ffff:1.2.3.4", &["write it as IPv4"]);
    wrong("--listen", "8080", &["ADDRESS:PORT"]);
    wrong("--listen", "localhost:8080", &["no place to listen at"]);
    wrong("--resolve", "a..b", &["no name"]);
}
