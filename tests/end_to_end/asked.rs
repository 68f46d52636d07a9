//! Trees that run, asked and steered from outside: `ps`, `tree`, `inspect`, `call`, `kill`, `restart`, `down`.

use std::io::{Read, Write};

use nix::sys::signal::Signal;

use crate::background::{Background, masked};
use crate::shell::{Scratch, atoll};

/// A process that never comes to an end, and one that works beside it.
const BUSY: &str = r#"(component
  (component $spin
    (core module $m (func (export "spin") (loop (br 0))))
    (core instance $i (instantiate $m))
    (func (export "spin") (canon lift (core func $i "spin"))))
  (component $work
    (import "spin" (func $spin))
    (core module $m
      (import "" "spin" (func $spin))
      (memory (export "memory") 1)
      (global $count (mut i32) (i32.const 0))
      (func (export "count") (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.get $count))
      (func $blow (export "blow") (unreachable))
      (func (export "wait") (call $spin)))
    (core func $spin' (canon lower (func $spin)))
    (core instance $args (export "spin" (func $spin')))
    (core instance $i (instantiate $m (with "" (instance $args))))
    (func (export "count") (result u32) (canon lift (core func $i "count")))
    (func (export "blow") (canon lift (core func $i "blow")))
    (func (export "wait") (canon lift (core func $i "wait"))))
  (instance $spinner (instantiate $spin))
  (instance $other (instantiate $spin))
  (instance $worker (instantiate $work (with "spin" (func $other "spin"))))
  (export "spin" (func $spinner "spin"))
  (export "count" (func $worker "count"))
  (export "blow" (func $worker "blow"))
  (export "wait" (func $worker "wait")))"#;

/// Runs it, with each process in a domain of its own, and leaves the machine to others.
fn busy(name: &str) -> Background {
    let options = ["--isolate", "all", "--cpu-cap", "spinner=2%", "--cpu-cap", "other=2%"];
    Background::run(name, BUSY, &[&options[..], &["--invoke", "spin()"]].concat())
}

#[test]
fn a_tree_is_listed_shown_and_inspected() {
    let busy = busy("shown");
    let listed = busy.atoll(&["ps"]).run().exits(0);
    insta::assert_snapshot!(masked(&listed.stdout, busy.os_pid()));
    let json: serde_json::Value =
        serde_json::from_str(&busy.atoll(&["ps", "--json"]).run().exits(0).stdout).unwrap();
    assert_eq!(json[0]["os_pid"], busy.os_pid());
    assert_eq!(json[0]["processes"][1]["path"], "/busy/spinner");
    assert_eq!(json[0]["processes"][1]["condition"]["kind"], "running");
    let tree = busy.atoll(&["tree", "busy"]).run().exits(0);
    assert!(
        tree.stdout.contains("/busy/worker  pid ") && tree.stdout.contains("✓ /busy/other  over a boundary"),
        "{}",
        tree.stdout
    );
    let part = busy.atoll(&["tree", "worker"]).run().exits(0).stdout;
    assert!(part.contains("/busy/worker") && !part.contains("/busy/spinner"), "{part}");
    let inspected = busy.atoll(&["inspect", "busy/worker"]).run().exits(0);
    insta::assert_snapshot!(masked(&inspected.stdout, busy.os_pid()));
    let json = busy.atoll(&["inspect", "--json", "worker"]).run().exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["process"]["path"], "/busy/worker");
}

#[test]
fn a_domain_in_a_process_of_its_own_is_seen() {
    let options = ["--isolate", "all", "--placement", "spinner=process", "--memory", "spinner=1MiB"];
    let options = [&options[..], &["--cpu-weight", "spinner=50", "--call-time", "1h", "--invoke", "spin()"]];
    let busy = Background::run("apart", BUSY, &options.concat());
    busy.until(&["ps", "spinner"], "running");
    let inspected = busy.atoll(&["inspect", "spinner"]).run().exits(0).stdout;
    for part in [
        "/busy/spinner  pid 2/gen0  running",
        ", in OS process ",
        ", cpu weight 50",
        "what keeps its OS process from harm\n",
        "  no new privileges\n",
        "not known\n  it runs in an OS process of its own",
    ] {
        assert!(inspected.contains(part), "{part}:\n{inspected}");
    }
    let json = busy.atoll(&["inspect", "--json", "spinner"]).run().exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["domain"]["placement"], "process");
    assert!(json["domain"]["confinement"]["os_pid"].is_u64());
    let quota = |name: &str| json["quotas"].as_array().unwrap().iter().find(|quota| quota["name"] == name);
    assert_eq!(quota("memory").unwrap()["allowed"], 1 << 20);
    assert_eq!(quota("call time").unwrap()["allowed"], 3_600_000_000_000_u64);
    assert_eq!(quota("mailbox").unwrap()["of"], "domain");
}

#[test]
fn functions_are_called_from_outside() {
    let busy = busy("called");
    busy.atoll(&["call", "busy", "count()"]).run().exits(0).prints("1\n");
    busy.atoll(&["call", "count"]).run().exits(0).prints("2\n");
    busy.atoll(&["call", "--json", "busy", "count()"]).run().exits(0).prints("{\n  \"result\": \"3\"\n}\n");
    busy.atoll(&["call", "busy", "cuont()"]).run().exits(126).says(&["did you mean `count`?"]);
    busy.atoll(&["call", "busy", "count(1)"]).run().exits(2).says(&["arguments of `count`"]);
    busy.atoll(&["call", "nobody", "count()"]).run().exits(127).says(&["no tree is called `nobody`"]);
    // Who waits for what does not come back waits as long as it wants.
    let late = busy.atoll(&["call", "--timeout", "100ms", "busy", "wait()"]).run().exits(125);
    late.says(&["nothing has come back in time", "the callee goes on"]);
    let waits = busy.until(&["ps"], "wait: other/gen0 (mailbox 0)");
    insta::assert_snapshot!(masked(&waits, busy.os_pid()));
    busy.atoll(&["restart", "worker"]).run().exits(0).prints("/busy/worker restarted\n");
    let fault = busy.atoll(&["call", "busy", "blow()"]).run().exits(134).prints("");
    fault.says(&["fault: wasm `unreachable` instruction executed", "process /busy/worker", "!blow"]);
    busy.until(&["ps"], "FAULT: wasm `unreachable` instruction executed in worker#blow");
    let inspected = busy.atoll(&["inspect", "worker"]).run().exits(0).stdout;
    assert!(inspected.contains("faults, oldest first"), "{inspected}");
}

#[test]
fn calls_are_traced_while_they_are_made() {
    let busy = busy("traced");
    let mut trace = busy.atoll(&["trace", "busy", "--edge", "*count*", "-n", "2"]).spawn();
    // It is not known when it has begun: whoever is traced is called until it has seen enough.
    while !trace.has_ended() {
        busy.atoll(&["call", "busy", "count()"]).run().exits(0);
    }
    let lines = trace.ends().exits(0).stdout;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.lines().all(|line| line.starts_with("host → worker  count() = ")), "{lines}");
    let edges = busy.atoll(&["inspect", "worker"]).run().exits(0).stdout;
    assert!(edges.contains("worker → other") && edges.contains("host → worker"), "{edges}");
    let none = busy.atoll(&["trace", "worker", "--edge", "nothing"]).run().exits(127);
    none.says(&["no edge of `worker` fits `nothing`"]);
    let quiet = busy.atoll(&["trace", "worker", "--latency", "--for", "10ms"]).run().exits(0).prints("");
    quiet.says(&["no calls in 10.0 ms"]);
}

#[test]
fn a_process_is_dumped_while_it_runs() {
    let busy = busy("dumped");
    let file = busy.runtime().join("it.core").display().to_string();
    let said = busy.atoll(&["dump", "spinner", "-o", &file]).run().exits(0).stdout;
    assert!(said.starts_with(&format!("{file}: ")) && said.ends_with(" of /busy/spinner\n"), "{said}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"\0asm"));
    let inspected = busy.atoll(&["inspect", "spinner"]).run().exits(0).stdout;
    assert!(inspected.contains("threads\n  running\n") && inspected.contains("m!spin at "), "{inspected}");
    busy.atoll(&["dump", "nobody", "-o", &file]).run().exits(127);
}

#[test]
fn imports_are_followed_to_who_provides_them() {
    let busy = busy("routed");
    let routes = busy.atoll(&["route", "worker"]).run().exits(0).stdout;
    assert!(routes.starts_with("/busy/worker\n  ✓ spin  /busy/other  "), "{routes}");
    busy.atoll(&["kill", "other"]).run().exits(0);
    let gone = busy.until(&["route", "worker", "spin"], "✗ spin  /busy/other");
    assert!(
        gone.contains("it has ended") && gone.contains("to change that: `atoll restart busy/other`"),
        "{gone}"
    );
    busy.atoll(&["route", "worker", "nothing"])
        .run()
        .exits(127)
        .says(&["imports nothing that is called `nothing`"]);
    let file = busy.atoll(&["route", &crate::shell::guest("bank.wasm")]).run().exits(0).stdout;
    assert!(file.contains("✓ wasi:"), "{file}");
}

#[test]
fn meters_are_scraped() {
    let mut busy = Background::run(
        "metered",
        BUSY,
        &["--isolate", "all", "--cpu-cap", "spinner=2%", "--metrics", "0", "--invoke", "spin()"],
    );
    busy.atoll(&["call", "busy", "count()"]).run().exits(0);
    let note = busy.note("meters are at http://");
    let address = note.rsplit("http://").next().and_then(|rest| rest.split('/').next()).expect("an address");
    let mut line = std::net::TcpStream::connect(address).expect("somebody listens");
    line.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut page = String::new();
    line.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for meter in [
        "atoll_process_up{tree=\"busy\",process=\"/busy/worker\"} 1\n",
        "atoll_process_calls_total{tree=\"busy\",process=\"/busy/worker\"} 1\n",
        "atoll_edge_calls_total{tree=\"busy\",caller=\"host\",callee=\"/busy/worker\",function=\"count\"",
    ] {
        assert!(page.contains(meter), "{meter}\n{page}");
    }
}

#[test]
fn processes_are_killed_and_restarted() {
    let mut busy = busy("steered");
    busy.atoll(&["call", "count()"]).run().exits(0).prints("1\n");
    busy.atoll(&["restart", "--json", "worker"]).run().exits(0);
    // Fresh state, the same name, the next generation.
    busy.atoll(&["call", "count()"]).run().exits(0).prints("1\n");
    busy.until(&["inspect", "worker"], "/gen1  ready");
    busy.atoll(&["kill", "worker"]).run().exits(0).prints("/busy/worker killed\n");
    busy.until(&["ps"], "exited: killed: atoll kill");
    busy.atoll(&["call", "count()"]).run().exits(134).says(&["the domain is gone"]);
    busy.atoll(&["kill", "spiner"]).run().exits(127).says(&["did you mean `spinner`?"]);
    let down = busy.atoll(&["down", "busy"]).run().exits(0);
    assert!(down.stdout.ends_with(" is down\n"), "{}", down.stdout);
    assert_eq!(busy.ends(), 143, "as after SIGTERM");
    busy.atoll(&["ps", "--json"]).run().exits(0).prints("[]\n");
    busy.atoll(&["down"]).run().exits(127).says(&["no tree runs"]);
}

#[test]
fn what_the_dead_leave_is_cleared_away() {
    let busy = busy("dead");
    let socket = busy.socket();
    busy.die();
    assert!(socket.exists());
    busy.atoll(&["ps"]).run().exits(0).prints("").says(&["no tree runs"]);
    assert!(!socket.exists());
}

#[test]
fn who_does_not_answer_is_told_from_who_is_not_there() {
    let busy = busy("stopped");
    busy.signal(Signal::SIGSTOP);
    let listed = busy.atoll(&["ps"]).run().exits(0).prints("");
    assert!(!listed.stderr.contains("no tree runs"), "{}", listed.stderr);
    let os_pid = busy.os_pid();
    let silent = [&format!("the supervisor {os_pid} cannot be asked"), "it is stopped"];
    listed.says(&silent);
    let advice = format!("`kill -CONT {os_pid}`");
    for args in [&["inspect", "spinner"][..], &["down"], &["down", "--all"]] {
        busy.atoll(args).run().exits(125).says(&[&silent[..], &["no tree answers", &advice]].concat());
    }
    busy.signal(Signal::SIGCONT);
    busy.until(&["ps"], "busy/spinner");
}

#[test]
fn a_folder_that_others_can_enter_is_not_used_and_that_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("open-folder");
    let folder = scratch.path().join("atoll");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let runtime = scratch.path().display().to_string();
    let ask = |args: &[&str]| atoll(args).env("XDG_RUNTIME_DIR", &runtime).run();
    let shop = crate::shell::root().join("examples/shop").display().to_string();
    ask(&["up", "-d", &shop]).exits(125).says(&["a tree in the background needs a control socket", "0700"]);
    ask(&["ps"]).exits(0).prints("").says(&["sockets are not looked for", "0700"]);
    ask(&["down"]).exits(125).says(&["no tree answers", "0700"]);
}

#[test]
fn wrong_names_are_answered_with_what_to_do() {
    let busy = busy("misnamed");
    let says =
        |args: &[&str], code: i32, parts: &[&str]| drop(busy.atoll(args).run().exits(code).says(parts));
    says(&["inspect", "spiner"], 127, &["no process is called `spiner`", "did you mean `spinner`?"]);
    says(&["inspect", "4000000000"], 127, &["no process has the pid 4000000000", "`atoll ps`"]);
    says(&["down", "4000000000"], 127, &["no supervisor has the number 4000000000", "`atoll ps`"]);
    says(&["tree", "nobody"], 127, &["nobody: no such file, and no tree or process", "`atoll ps`"]);
    let file = busy.runtime().join("busy.wat").display().to_string();
    says(&["up", &file], 126, &["expected `=`", &format!("`atoll run {file}` runs it")]);
    // Another tree of the same name.
    let other = Background::beside(&busy, &["--isolate", "all", "--cpu-cap", "2%", "--invoke", "spin()"]);
    let numbers = [busy.os_pid(), other.os_pid()].map(|os_pid| os_pid.to_string());
    says(&["inspect", "spinner"], 127, &["`spinner` is 2 processes", "say which", &numbers[0], &numbers[1]]);
    says(&["down", "busy"], 127, &["`busy` is 2 trees", "say which by its number", &numbers[0], &numbers[1]]);
    says(&["down"], 127, &["2 trees run", "`atoll down --all`"]);
    busy.atoll(&["inspect", &format!("{}:spinner", numbers[1])]).run().exits(0);
    busy.atoll(&["down", "--all", "--json"]).run().exits(0);
    busy.atoll(&["ps"]).run().exits(0).prints("").says(&["no tree runs", "`atoll up`"]);
}

#[test]
fn a_tree_that_has_ended_leaves_nothing() {
    let mut busy = busy("ended");
    let (socket, folder) = (busy.socket(), busy.runtime().join("atoll"));
    busy.atoll(&["kill", "spinner"]).run().exits(0);
    assert_eq!(busy.ends(), 134);
    assert!(!socket.exists());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}
