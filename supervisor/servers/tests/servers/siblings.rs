//! Two processes of one tree, each alone in its domain, of which one is granted something: with the grant it works, and
//! the sibling, which has the same code, cannot do it.

use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::value::Value;
use ipc::launched::Launched;
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::{Machine, MachineOptions};
use servers::wasi::Builder;
use servers::{Buffer, Grants, Input, Network, Origin, Output, Wasi};

use crate::folder::Folder;

/// What a probe imports; its parent imports the same and passes it on.
const IMPORTS: &str = include_str!("probe_imports.wat");
/// What a probe does with it.
const PROBE: &str = include_str!("probe.wat");

/// Names of what [`IMPORTS`] imports, with the names that it gives them.
fn imported() -> impl Iterator<Item = (&'static str, &'static str)> {
    IMPORTS.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix("(import \"")?.split_once("\" (instance ")?;
        Some((name, rest.split([' ', ')']).next()?))
    })
}

/// A tree of the root and two probes, `one` and `two`.
pub struct Siblings {
    pub launched: Launched,
    _system: System,
}

impl Siblings {
    /// Launches the tree; `grant` says what its processes are granted, whose paths are `/pair/one` and `/pair/two`.
    pub fn launch(grant: impl FnOnce(Builder, &dyn Fn(&str) -> u32) -> Builder) -> Siblings {
        let with: String =
            imported().map(|(name, id)| format!("(with \"{name}\" (instance {id}))")).collect();
        let text = format!(
            "(component {IMPORTS} (component $Probe {IMPORTS} {PROBE})
               (instance $one (instantiate $Probe {with})) (instance $two (instantiate $Probe {with}))
               (export \"one\" (instance $one)) (export \"two\" (instance $two)))"
        );
        let engine = Engine::new().unwrap();
        let executable = Executable::parse(&engine, &wat::parse_str(text).unwrap()).unwrap();
        let mut imports = Imports::default();
        servers::register(&mut imports);
        let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("pair") };
        let linked = Arc::new(executable.link(&imports, &options).unwrap());
        let index = |path: &str| {
            let found = linked.processes().iter().position(|process| process.path == path);
            found.unwrap_or_else(|| panic!("no {path}")) as u32
        };
        let wasi = grant(Wasi::builder().named_as_in(&linked), &index).build().unwrap();
        let system =
            System::on(Machine::start(MachineOptions { workers: Some(1), ..Default::default() }).unwrap());
        let tree = executable.launch(&linked, Box::new(wasi)).unwrap();
        let placement = Placement { mailbox: 4, ..Placement::default() };
        let launched = system.run(tree, placement);
        Siblings { launched, _system: system }
    }

    /// Grants `grants` to `/pair/one` and nothing to others.
    pub fn one_has(grants: Grants) -> Siblings {
        Siblings::launch(|builder, index| builder.grant(index("/pair/one"), grants).deny_others())
    }

    pub fn call(&self, probe: &str, name: &str, args: &[u64]) -> Result<u64, Fault> {
        ask(&self.launched, probe, name, args)
    }

    /// What both probes answer: the one that was granted something, and its sibling.
    pub fn both(&self, name: &str, args: &[u64]) -> [u64; 2] {
        ["one", "two"].map(|probe| self.call(probe, name, args).unwrap())
    }
}

/// Calls a function of a probe.
fn ask(launched: &Launched, probe: &str, name: &str, args: &[u64]) -> Result<u64, Fault> {
    let func = launched.func(&[probe, name]).unwrap_or_else(|_| panic!("no {probe}#{name}"));
    let args = args.iter().map(|arg| Value::U64(*arg)).collect();
    match launched.call(&func, args)? {
        Some(Value::U64(value)) => Ok(value),
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn arguments_and_environment_are_by_process() {
    let grants = Grants {
        args: vec!["program".into(), "a".into()],
        env: vec![("SECRET".into(), "x".into())],
        ..Grants::nothing()
    };
    let siblings = Siblings::one_has(grants);
    assert_eq!(siblings.both("args", &[]), [2, 0]);
    assert_eq!(siblings.both("vars", &[]), [1, 0]);
}

#[test]
fn standard_streams_are_by_process() {
    let [out, err, other] = [(); 3].map(|_: ()| Buffer::default());
    let (inside, outside) = (out.clone(), other.clone());
    let error = err.clone();
    let siblings = Siblings::launch(move |builder, index| {
        let one = Grants {
            stdin: Some(Input::bytes("hello")),
            stdout: Some(Output::buffer(&inside)),
            stderr: Some(Output::buffer(&error)),
            ..Grants::nothing()
        };
        // What the builder has is for those who have no grants of their own; two has some.
        let two = Grants { stdout: Some(Output::buffer(&outside)), ..Grants::nothing() };
        builder.inherit_stdio().grant(index("/pair/one"), one).grant(index("/pair/two"), two)
    });
    assert_eq!(siblings.both("stdin", &[]), [5, 0]);
    assert_eq!(siblings.both("stdout", &[]), [0, 0]);
    assert_eq!(siblings.both("stderr", &[]), [0, 0]);
    assert_eq!((out.contents(), err.contents()), (b"out".to_vec(), b"err".to_vec()));
    assert_eq!(other.contents(), b"out");
}

#[test]
fn files_are_by_process() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), "12345").unwrap();
    let siblings = Siblings::one_has(Grants { dirs: vec![folder.grant("", true)], ..Grants::nothing() });
    assert_eq!(siblings.both("dirs", &[]), [1, 0]);
    assert_eq!(siblings.call("one", "file", &[]).unwrap(), 5);
    // The sibling cannot name the directory either, though the servers keep both processes' in one place.
    for handle in 0..20 {
        assert!(siblings.call("two", "forged", &[handle]).is_err(), "handle {handle}");
        let siblings = Siblings::one_has(Grants { dirs: vec![folder.grant("", true)], ..Grants::nothing() });
        assert_eq!(siblings.call("one", "file", &[]).unwrap(), 5);
        assert!(siblings.call("two", "forged", &[handle]).is_err(), "handle {handle}");
    }
}

#[test]
fn a_directory_that_is_handed_on_is_the_others_to_use() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), "12345").unwrap();
    let siblings = Siblings::one_has(Grants { dirs: vec![folder.grant("", true)], ..Grants::nothing() });
    let func = |probe, name| siblings.launched.func(&[probe, name]).unwrap();
    let given = siblings.launched.call(&func("one", "give"), Vec::new()).unwrap().unwrap();
    assert!(matches!(given, Value::Own(_)));
    assert_eq!(siblings.launched.call(&func("two", "take"), vec![given]), Ok(Some(Value::U64(5))));
    assert_eq!(siblings.call("two", "dirs", &[]).unwrap(), 0);
}

/// What a probe answers that is denied something of a network.
const DENIED: u64 = 1001;

#[test]
fn the_network_is_by_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (here, any) = (format!("127.0.0.1:{port}"), "127.0.0.1:0");
    let nothing = Network::default;
    let all = [
        ("connect", Network { connect: vec![here.parse().unwrap()], ..nothing() }),
        ("listen", Network { listen: vec![any.parse().unwrap()], ..nothing() }),
        ("udp", Network { udp_listen: vec![any.parse().unwrap()], ..nothing() }),
        ("name", Network { resolve: vec!["localhost".parse().unwrap()], ..nothing() }),
    ];
    for (granted, network) in all {
        let siblings = Siblings::one_has(Grants { network, ..Grants::nothing() });
        for name in ["connect", "listen", "udp", "name"] {
            let args = [u64::from(port)];
            let args = if name == "connect" { &args[..] } else { &[] };
            let one = if name == granted { 0 } else { DENIED };
            assert_eq!(siblings.both(name, args), [one, DENIED], "{name}, with {granted} granted");
        }
        if granted == "connect" {
            let mut said = [0; 3];
            std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut said).unwrap();
            assert_eq!(&said, b"out");
        }
    }
}

#[test]
fn who_waits_for_a_peer_leaves_the_worker_and_can_be_killed() {
    let network = Network { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Network::default() };
    let siblings = Siblings::launch(|builder, index| {
        builder.grant(index("/pair/one"), Grants { network, ..Grants::nothing() })
    });
    let launched = &siblings.launched;
    let waiting = launched.func(&["one", "await"]).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| ask(launched, "one", "await", &[]));
        let waits = || siblings.launched.domain(waiting.domain).unwrap();
        while waits().calls() < 1 || !waits().thread().unwrap().is_idle() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // There is one worker, and it is free.
        assert!(siblings.call("two", "now", &[]).is_ok());
        assert!(waits().thread().unwrap().is_idle());
        siblings.launched.kill(waiting.domain, "a test").unwrap();
        assert_eq!(call.join().unwrap().unwrap_err().trap, Trap::Killed("a test".to_owned()));
    });
}

#[test]
fn what_a_dead_process_listened_at_is_free() {
    let network = || Network { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Network::default() };
    let siblings = Siblings::one_has(Grants { network: network(), ..Grants::nothing() });
    let domain = siblings.launched.func(&["one", "listen"]).unwrap().domain;
    // More than a process may have open at once, were they not closed with their process.
    for _ in 0..servers::limits::MAX_SOCKETS / 100 {
        for _ in 0..150 {
            assert_eq!(siblings.call("one", "listen", &[]).unwrap(), 0);
        }
        siblings.launched.restart(domain, "a test").unwrap();
    }
}

#[test]
fn clocks_and_random_numbers_are_by_process_and_faults_without() {
    let origin = Origin::Manifest { file: "shop.toml".into(), table: "processes.one.grants".into() };
    let grants = |random, clocks| Grants { random, clocks, origin: origin.clone(), ..Grants::nothing() };
    for (random, clocks) in [(true, true), (false, true), (true, false)] {
        let siblings = Siblings::one_has(grants(random, clocks));
        for (name, granted, key, interface) in [
            ("random", random, "random = true", "wasi:random/random"),
            ("seed", random, "random = true", "wasi:random/insecure-seed"),
            ("now", clocks, "clocks = true", "wasi:clocks/monotonic-clock"),
            ("date", clocks, "clocks = true", "wasi:clocks/wall-clock"),
            ("sleep", clocks, "clocks = true", "wasi:clocks/monotonic-clock"),
        ] {
            let siblings = if granted { &siblings } else { &Siblings::one_has(grants(random, clocks)) };
            match siblings.call("one", name, &[]) {
                Ok(_) => assert!(granted, "{name}"),
                Err(fault) => {
                    assert!(!granted, "{name}: {fault}");
                    let text = fault.to_string();
                    for part in ["/pair/one (pid", interface, key, "[processes.one.grants]", "shop.toml"] {
                        assert!(text.contains(part), "{part} is not in: {text}");
                    }
                    assert_eq!(&*fault.process_name, "/pair/one");
                }
            }
        }
        let fault = siblings.call("two", "now", &[]).unwrap_err().to_string();
        assert!(fault.contains("/pair/two (pid") && fault.contains("Grants::clocks"), "{fault}");
    }
}

#[test]
fn grants_outlive_a_restart() {
    let siblings = Siblings::one_has(Grants { args: vec!["a".into()], clocks: true, ..Grants::nothing() });
    assert_eq!(siblings.both("args", &[]), [1, 0]);
    for probe in ["one", "two"] {
        let domain = siblings.launched.func(&[probe, "args"]).unwrap().domain;
        siblings.launched.restart(domain, "a test").unwrap();
    }
    assert_eq!(siblings.both("args", &[]), [1, 0]);
    assert!(siblings.call("one", "now", &[]).is_ok());
    assert!(siblings.call("two", "now", &[]).is_err());
}

#[test]
fn who_has_none_of_its_own_has_the_builders() {
    let siblings = Siblings::launch(|builder, index| {
        builder.args(["x", "y", "z"]).grant(index("/pair/two"), Grants::nothing())
    });
    assert_eq!(siblings.both("args", &[]), [3, 0]);
    assert!(siblings.call("one", "now", &[]).is_ok());
    assert!(siblings.call("two", "now", &[]).is_err());
}
