//! Commands that real toolchains made, with what each must print (`EXPECTED.md` beside them). They are found in
//! `$SHARED/guests`; without that the tests say so and pass.

use std::path::PathBuf;
use std::sync::Arc;

use abi::fault::Trap;
use abi::value::Value;
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::component::linked::Export;
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use servers::wasi::Builder;
use servers::{Buffer, Input, Output, Wasi};

use crate::folder::Folder;

/// How a command ended, and what it printed.
struct Outcome {
    code: Result<u8, String>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn check(&self, code: u8, lines: &[&str]) {
        let printed: Vec<&str> = self.stdout.lines().map(str::trim_end).collect();
        assert_eq!(printed, lines, "ended with {:?}, stderr: {}", self.code, self.stderr);
        assert_eq!(self.code, Ok(code), "stderr: {}", self.stderr);
    }
}

fn guest(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SHARED")?;
    let file = PathBuf::from(folder).join("guests").join(name);
    file.exists().then_some(file)
}

/// Runs a command with its name and `args` as arguments.
fn run(name: &str, args: &[&str], stdin: &str, builder: Builder) -> Option<Outcome> {
    let Some(file) = guest(name) else {
        eprintln!("skipped: $SHARED/guests/{name} is not there");
        return None;
    };
    let (stdout, stderr) = (Buffer::default(), Buffer::default());
    let builder = builder.args([name]).args(args.iter().copied()).stdin(Input::bytes(stdin));
    let builder = builder.stdout(Output::buffer(&stdout)).stderr(Output::buffer(&stderr));
    let mut imports = Imports::default();
    servers::register(&mut imports);
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &std::fs::read(file).unwrap()).unwrap();
    let options = LinkOptions::new(name);
    let linked = Arc::new(executable.link(&imports, &options).unwrap());
    let mut tree = executable.launch(&linked, Box::new(builder.build().unwrap())).unwrap();
    let exports = linked.exports();
    let command = exports.iter().find(|(name, _)| name.starts_with("wasi:cli/run@0.2.")).unwrap().1;
    let Export::Instance(exports) = command else { panic!("wasi:cli/run is no instance") };
    let Some(Export::Func(run)) = exports.get("run") else { panic!("wasi:cli/run has no function `run`") };
    let code = match tree.call(run, &[]) {
        Ok(Some(Value::Result(result))) => Ok(u8::from(result.is_err())),
        Ok(other) => panic!("`run` gave {other:?}"),
        Err(fault) => match fault.trap {
            Trap::Exit(code) => Ok(code),
            _ => Err(format!("{fault}\n{:#?}", fault.frames)),
        },
    };
    let text = |buffer: &Buffer| String::from_utf8_lossy(&buffer.contents()).into_owned();
    Some(Outcome { code, stdout: text(&stdout), stderr: text(&stderr) })
}

#[test]
fn c_sees_arguments_environment_clock_and_standard_streams() {
    let builder = Wasi::builder().env("K", "v");
    let Some(outcome) = run("c_zig_hello.wasm", &["x", "y"], "abc\n", builder) else { return };
    outcome.check(1, &["hello from C, argc=3 x y", "K=v", "stdin=abc", "clock ok=1 pi=3.1415926536"]);
    assert_eq!(outcome.stderr, "to stderr\n");
}

#[test]
fn c_uses_files() {
    let folder = Folder::new();
    let builder = Wasi::builder().preopen(servers::Preopen { guest: "/d".into(), ..folder.grant("", false) });
    let Some(outcome) = run("c_zig_fileio.wasm", &["/d"], "", builder) else { return };
    outcome.check(
        0,
        &[
            "size=8890 isreg=1",
            "last=tail",
            "lines=1001",
            "pread=line 1",
            "ENOENT ok=1",
            "link->b.txt",
            "entry b.txt",
            "entries=1",
            "content=LINE 0fopen outside sandbox: No such file or directory",
            "ok",
        ],
    );
}

#[test]
fn sqlite_queries_in_memory_and_in_a_file() {
    let lines = ["3.50.2", "20000|300015000.0|row1|row9999", "777|1165.5", "0,1,2,3,4,5,6"];
    let Some(outcome) = run("c_zig_sqlite.wasm", &[], "", Wasi::builder()) else { return };
    outcome.check(0, &lines);
    let folder = Folder::new();
    let grant = servers::Preopen { guest: "/d".into(), ..folder.grant("", false) };
    let outcome = run("c_zig_sqlite.wasm", &["/d/x.db"], "", Wasi::builder().preopen(grant)).unwrap();
    outcome.check(0, &lines);
    assert!(std::fs::metadata(folder.path("x.db")).unwrap().len() > 100_000);
}

#[test]
fn cpp_prints() {
    let Some(outcome) = run("cpp_clang_hello.wasm", &["b", "a", "b"], "", Wasi::builder()) else { return };
    outcome.check(0, &["a=1", "b=2", "virtual sum 6", "~D2 ~D1 ~D0", "done"]);
}

#[test]
fn rust_uses_all_that_its_standard_library_does() {
    let folder = Folder::new();
    let grant = servers::Preopen { guest: ".".into(), ..folder.grant("", false) };
    let builder = Wasi::builder().env("K", "V").preopen(grant);
    let Some(outcome) = run("rust_hello_wasip2.wasm", &["a"], "hi\n", builder) else { return };
    outcome.check(
        0,
        &[
            "hello from rust std, args=[\"rust_hello_wasip2.wasm\", \"a\"]",
            "env=[(\"K\", \"V\")]",
            "sum of squares=285",
            "clock ok=true",
            "slept ok=true",
            "stdin=\"hi\\n\"",
            "file=\"written by rust\\n\"",
        ],
    );
}

#[test]
fn two_composed_components_print() {
    let Some(outcome) = run("rust_geo_composed.wasm", &[], "", Wasi::builder()) else { return };
    assert_eq!(outcome.code, Ok(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.starts_with("circle 12.5664\ntriangle Ok(6.0)\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("100k calls sum 1.0471818432856951e15\n"), "{}", outcome.stdout);
}

/// Compiles 6.6 MB of CPython, which takes a while in the profile of tests.
#[test]
#[ignore = "takes minutes"]
fn python_runs() {
    let builder = Wasi::builder().env("K", "v");
    let Some(outcome) = run("py_cli.wasm", &["a1"], "xx\n", builder) else { return };
    outcome.check(
        0,
        &[
            "hello from CPython 3.14.0 on wasi cpython",
            "argv ['py_cli.wasm', 'a1']",
            "env K = v",
            "sha256 ba7816bf8f01cfea",
            "fib(20) = 6765 json {\"a\": [1, 2.5, null]}",
            "stdin 'xx\\n'",
        ],
    );
    assert_eq!(outcome.stderr, "to stderr\n");
}
