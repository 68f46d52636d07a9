//! Control clients that are nobody's friends: each is answered or cut off, and the tree goes on.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use abi::control::greeting::Greeting;
use abi::control::request::Request;

use crate::background::Background;

const IDLE: &str = r#"(component
  (core module $m (func (export "spin") (loop (br 0))) (func (export "one") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (component $spin
    (core module $m (func (export "spin") (loop (br 0))))
    (core instance $i (instantiate $m))
    (func (export "spin") (canon lift (core func $i "spin"))))
  (instance $spinner (instantiate $spin))
  (export "spin" (func $spinner "spin"))
  (func (export "one") (result u32) (canon lift (core func $i "one"))))"#;

fn idle(name: &str) -> Background {
    Background::run(name, IDLE, &["--isolate", "all", "--cpu-cap", "spinner=2%", "--invoke", "spin()"])
}

/// Says something, and gives all that comes back until the other side hangs up.
fn say(tree: &Background, bytes: &[u8]) -> Vec<u8> {
    let mut line = tree.connect();
    line.set_read_timeout(Some(Duration::from_secs(60))).expect("a time that is not zero");
    // Who is hung up on cannot finish its sentence.
    let _ = line.write_all(bytes);
    heard(&mut line)
}

fn heard(line: &mut UnixStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match line.read_to_end(&mut heard) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not hung up on: {error}"),
        _ => heard,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_well(tree: &Background) {
    tree.atoll(&["call", "one()"]).run().exits(0).prints("1\n");
}

#[test]
fn garbage_is_answered_and_cut_off() {
    let tree = idle("garbage");
    let greeting = Greeting::new("intruder").to_bytes();
    for stranger in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[0xff; 100_000], b"atollctx\x01\0\0\0\0\0"]
    {
        assert!(text(&say(&tree, stranger)).contains("not a greeting of atoll's console"));
    }
    let framed = |length: u32, bytes: &[u8]| [&greeting[..], &length.to_le_bytes(), bytes].concat();
    // Lengths that nobody means, and messages that are none.
    for (length, what) in [(u32::MAX, "more than the"), (1 << 20, "more than the"), (0, "are not a request")]
    {
        let answer = text(&say(&tree, &framed(length, &[])));
        assert!(answer.contains(what), "{answer}");
    }
    let huge_inside = [&[4][..], &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]].concat();
    for message in [&[0xff][..], &[4, 200], &huge_inside, &[1, 1]] {
        let answer = text(&say(&tree, &framed(u32::try_from(message.len()).unwrap(), message)));
        assert!(answer.contains("are not a request"), "{message:?}: {answer}");
    }
    is_well(&tree);
}

#[test]
fn another_version_is_told_in_words() {
    let tree = idle("version");
    let mut bytes = Greeting::new("atoll 99").to_bytes();
    bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
    let answer = text(&say(&tree, &bytes));
    assert!(answer.starts_with("atollctl") && answer.contains("the client speaks version 99"), "{answer}");
    is_well(&tree);
}

#[test]
fn the_slow_are_cut_off_and_nobody_waits_for_them() {
    let tree = idle("slow");
    let began = Instant::now();
    let greeting = Greeting::new("slow").to_bytes();
    let (silent, mut dripping) = (tree.connect(), tree.connect());
    let drip = thread::spawn(move || {
        // One byte at a time is not fast enough, however steady.
        for byte in greeting.iter().cycle() {
            if dripping.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(700));
            assert!(began.elapsed() < Duration::from_secs(60), "a slow client is served for ever");
        }
    });
    // Somebody who asks and does not listen.
    let mut deaf = tree.connect();
    deaf.write_all(&Greeting::new("deaf").to_bytes()).unwrap();
    let ask = Request::Tree.to_frame().unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    while deaf.write_all(&ask).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(60), "who does not listen is answered for ever");
    }
    is_well(&tree);
    drip.join().unwrap();
    let mut silent = silent;
    silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(text(&heard(&mut silent)), "");
}

#[test]
fn only_so_many_are_let_in() {
    let tree = idle("many");
    let crowd: Vec<UnixStream> = (0..100).map(|_| tree.connect()).collect();
    let mut last = tree.connect();
    last.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let answer = text(&heard(&mut last));
    assert!(answer.contains("32 clients are here already"), "{answer}");
    let told = tree.atoll(&["ps"]).run().exits(0);
    told.says(&["32 clients are here already"]);
    drop(crowd);
    tree.until(&["ps"], "busy");
    is_well(&tree);
}

#[test]
fn another_user_is_turned_away() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let tree = idle("stranger");
    // As if the folder were open: the operating system alone says who asks.
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    [tree.runtime(), &tree.runtime().join("atoll"), &tree.socket()].into_iter().for_each(open);
    let mut stranger = Command::new(std::env::current_exe().unwrap());
    stranger.args(["--exact", "intruders::the_stranger", "--nocapture"]);
    stranger.env("ATOLL_TEST_SOCKET", tree.socket()).uid(65534).gid(65534);
    // Where others cannot read what is built here there is nobody to try it.
    let Ok(outcome) = stranger.output() else { return };
    let said = text(&outcome.stdout);
    assert!(
        said.contains("this tree belongs to user 0; you are user 65534"),
        "{said}\n{}",
        text(&outcome.stderr)
    );
}

/// What [`another_user_is_turned_away`] runs as another user.
#[test]
fn the_stranger() {
    let Some(socket) = std::env::var_os("ATOLL_TEST_SOCKET") else { return };
    let mut line = UnixStream::connect(socket).expect("the folder is open");
    let _ = line.write_all(&Greeting::new("stranger").to_bytes());
    println!("{}", text(&heard(&mut line)));
}
