//! Every kind of grant in a manifest: who has it can do what it is for, and its sibling cannot; be they processes of two
//! files, or instances inside of one component.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::running_tests::{Up, up_with};
use crate::complaint::Complaint;
use crate::program::{Content, Program};

/// What a probe imports, and what it does with that.
const IMPORTS: &str = include_str!("../../servers/tests/servers/probe_imports.wat");
const PROBE: &str = include_str!("../../servers/tests/servers/probe.wat");
/// What a probe answers that is denied something of a network.
const DENIED: u64 = 1001;

/// Names of what [`IMPORTS`] imports, with the names that it gives them.
fn imported() -> impl Iterator<Item = (&'static str, &'static str)> {
    IMPORTS.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix("(import \"")?.split_once("\" (instance ")?;
        Some((name, rest.split([' ', ')']).next()?))
    })
}

/// `probe.wat` is a probe, `pair.wat` a component with two of them inside, `one` and `two`, which it exports.
fn probe(path: &Path) -> Result<Program, Complaint> {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let with: String = imported().map(|(name, id)| format!("(with \"{name}\" (instance {id}))")).collect();
    let text = match &*name {
        "probe.wat" => format!("(component {IMPORTS} {PROBE})"),
        _ => format!(
            "(component {IMPORTS} (component $Probe {IMPORTS} {PROBE})
               (instance $one (instantiate $Probe {with})) (instance $two (instantiate $Probe {with}))
               (export \"one\" (instance $one)) (export \"two\" (instance $two)))"
        ),
    };
    let bytes = wat::parse_str(text).expect("a component");
    Ok(Program { path: name.clone(), name, content: Content::Component(bytes) })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests")
}

/// Two probes, and whom to ask for the answers of each.
struct Pair {
    tree: Up,
    probes: [(&'static str, &'static [&'static str]); 2],
}

impl Pair {
    /// Two processes of one file. The first is granted something.
    fn apart(grants: &str) -> Pair {
        let text = format!(
            "name = \"t\"\n[process.one]\ncomponent = \"probe.wat\"\n[process.one.grants]\n{grants}\n\
             [process.two]\ncomponent = \"probe.wat\"\n"
        );
        let tree = up_with(&text, &folder(), &probe);
        Pair { tree, probes: [("/t/one", &[]), ("/t/two", &[])] }
    }

    /// Two instances inside of one component, of one domain. The first is granted something, the component around them
    /// everything.
    fn inside(grants: &str) -> Pair {
        let text = format!(
            "name = \"t\"\n[process.pair]\ncomponent = \"pair.wat\"\n{ALL}\n[process.\"pair/one\".grants]\n{grants}\n"
        );
        let tree = up_with(&text, &folder(), &probe);
        Pair { tree, probes: [("/t/pair", &["one"]), ("/t/pair", &["two"])] }
    }

    /// What the two answer; nothing if the call is a fault.
    fn both(&self, func: &str, args: &[u64]) -> [Option<u64>; 2] {
        self.probes.map(|(path, names)| {
            let names: Vec<&str> = names.iter().copied().chain([func]).collect();
            self.tree.ask(path, &names, args).ok()
        })
    }
}

/// Everything, for somebody whom it does not help.
const ALL: &str = r#"
[process.pair.grants]
dirs = ["parts::/parts"]
env = { A = "b", C = "d", E = "f" }
args = ["x", "y", "z"]
clocks = true
random = true
[process.pair.grants.network]
connect = ["127.0.0.0/8"]
listen = ["127.0.0.1:0"]
udp = ["127.0.0.0/8"]
udp-listen = ["127.0.0.1:0"]
resolve = ["*"]"#;

/// A grant, the function that needs it, its arguments, and what it answers with and without.
type Case<'c> = (&'c str, &'c str, &'c [u64], Option<u64>, Option<u64>);

fn check(cases: &[Case<'_>], of: fn(&str) -> Pair, without: impl Fn(&Case<'_>) -> Option<u64>) {
    for case in cases {
        let (grants, func, args, granted, _) = case;
        assert_eq!(of(grants).both(func, args), [*granted, without(case)], "{func} with {grants}");
    }
}

#[test]
fn a_grant_is_one_processs() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let [here, net, near, elsewhere] = ["127.0.0.1", "127.0.0.0/8", "127.0.0.1", "10.0.0.0/8"]
        .map(|peer| format!("network = {{ connect = [\"{peer}:{port}\"] }}"));
    let (near, port) = (near.replace(&port.to_string(), &format!("{}", port ^ 1)), [u64::from(port)]);
    let (yes, no) = (Some(0), Some(DENIED));
    let cases: &[Case<'_>] = &[
        ("dirs = [\"parts::/parts:ro\"]", "dirs", &[], Some(1), Some(0)),
        ("dirs = [\"parts::/parts\", \"good::/good\"]", "dirs", &[], Some(2), Some(0)),
        ("env = { KEY = \"v\" }", "vars", &[], Some(1), Some(0)),
        ("args = [\"a\", \"b\"]", "args", &[], Some(3), Some(1)),
        (&here, "connect", &port, yes, no),
        (&net, "connect", &port, yes, no),
        // Another port, another net, and a name that nobody has looked up.
        (&near, "connect", &port, no, no),
        (&elsewhere, "connect", &port, no, no),
        ("network = { connect = [\"localhost\"] }", "connect", &port, no, no),
        ("network = { connect = [\"localhost\"] }", "name", &[], yes, no),
        ("network = { resolve = [\"localhost\"] }", "name", &[], yes, no),
        ("network = { resolve = [\"*.example.com\"] }", "name", &[], no, no),
        ("network = { listen = [\"127.0.0.1:0\"] }", "listen", &[], yes, no),
        ("network = { listen = [\"[::1]:0\"] }", "listen", &[], no, no),
        ("network = { udp-listen = [\"127.0.0.1:0\"] }", "udp", &[], yes, no),
        ("network = { udp = [\"127.0.0.1\"] }", "udp", &[], yes, no),
    ];
    check(cases, Pair::apart, |(.., without)| *without);
    // An instance that is not named has not even a name to be its argument.
    check(cases, Pair::inside, |(_, func, .., without)| if *func == "args" { Some(0) } else { *without });
}

#[test]
fn clocks_and_random_numbers_are_one_processs() {
    for (key, func) in
        [("clocks", "now"), ("clocks", "date"), ("clocks", "sleep"), ("random", "random"), ("random", "seed")]
    {
        // Siblings of one domain that does not fault: whoever is on no faulting stack lives.
        for pair in [Pair::apart(&format!("{key} = true")), Pair::inside(&format!("{key} = true"))] {
            assert!(matches!(pair.both(func, &[]), [Some(_), None]), "{func} with {key}");
        }
    }
}

#[test]
fn what_is_printed_goes_where_the_manifest_says() {
    for (grants, printed) in [("", &b"out"[..]), ("stdout = \"log\"", b"out"), ("stdout = \"none\"", b"")] {
        let pair = Pair::apart(grants);
        assert_eq!(pair.both("stdout", &[]), [Some(0), Some(0)]);
        let contents = ["/t/one", "/t/two"].map(|path| pair.tree.printed[path].contents());
        assert_eq!(contents, [printed, b"out"], "{grants}");
    }
}

#[test]
fn a_folder_to_read_cannot_be_written_to() {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests");
    let data = std::env::temp_dir().join(format!("atoll-granted-{}", std::process::id()));
    std::fs::create_dir_all(&data).expect("a folder");
    let process = |name: &str, end: &str| {
        format!(
            "[process.{name}]\ncomponent = \"hello.wasm\"\n[process.{name}.grants]\nargs = [\"/d\"]\n\
             dirs = [\"{}::/d{end}\"]\nclocks = true\nrandom = true\n",
            data.display()
        )
    };
    let text = format!("name = \"t\"\n{}{}", process("reads", ":ro"), process("writes", ""));
    let tree = up_with(&text, &guests, &Program::read);
    let last = |path| tree.run(path).lines().last().unwrap_or_default().to_owned();
    let reads = last("/t/reads");
    assert!(["/d: PermissionDenied", "/d: ReadOnlyFilesystem"].contains(&&*reads), "{reads}");
    assert_eq!(std::fs::read_dir(&data).expect("a folder").count(), 0);
    assert_eq!(last("/t/writes"), "/d: \"written\\n\" [\"hello.txt\"]");
    std::fs::remove_dir_all(&data).expect("it was there");
}

#[test]
fn the_other_keys_of_grants_reach_their_process() {
    let text = "name = \"t\"\n[process.one]\ncomponent = \"probe.wat\"\n\
                grants = { cwd = \"/data\", inherit-env = [\"PATH\"], env = { LANG = \"sv\" } }\n\
                [process.two]\ncomponent = \"probe.wat\"\ngrants = { inherit-env = [\"*\"] }\n";
    let tree = up_with(text, &folder(), &probe);
    let path = std::env::var("PATH").expect("tests have one");
    let print =
        |_: &str| super::Printed { stdout: servers::Output::discard(), stderr: servers::Output::discard() };
    let grants = tree.loaded.grants(print);
    let of = |path: &str| {
        let index =
            tree.loaded.processes.iter().find(|process| process.path == path).expect("it is there").index;
        &grants.iter().find(|(of, _)| *of == index).expect("all have some").1
    };
    let said = [("PATH".to_owned(), path), ("LANG".to_owned(), "sv".to_owned())];
    assert_eq!((of("/t/one").cwd.as_deref(), &*of("/t/one").env), (Some("/data"), &said[..]));
    assert!(of("/t/two").env.len() > 1 && of("/t/two").cwd.is_none());
    assert_eq!(tree.ask("/t/one", &["vars"], &[]), Ok(2));
}
