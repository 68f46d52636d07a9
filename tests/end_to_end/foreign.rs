//! More real components: `$SHARED/guests`, with what each must print according to the `EXPECTED.md` beside them. They are too
//! big to commit (CPython, StarlingMonkey, SQLite), so these tests say that they are skipped where the folder is missing.

use std::path::PathBuf;
use std::time::Duration;

use crate::shell::{Outcome, Scratch, atoll, root};

/// Compiling 18 MB on a loaded machine with one core.
const LONG: Duration = Duration::from_secs(900);

/// A guest of that folder, or none where there is no such folder.
fn foreign(name: &str) -> Option<String> {
    let shared = std::env::var_os("SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let file = shared.join("guests").join(name);
    if !file.exists() {
        println!("skipped: {} is not there; set SHARED to the folder that has guests/", file.display());
        return None;
    }
    Some(file.display().to_string())
}

#[test]
fn c_hello() {
    let Some(file) = foreign("c_zig_hello.wasm") else { return };
    let outcome = atoll(["run", "--env", "K=v", &file, "x", "y"]).stdin("abc\n").run();
    let expected = "hello from C, argc=3 x y\nK=v\nstdin=abc\nclock ok=1 pi=3.1415926536\n";
    outcome.exits(1).prints(expected).says(&["to stderr"]);
}

#[test]
fn c_file_io() {
    let Some(file) = foreign("c_zig_fileio.wasm") else { return };
    let scratch = Scratch::new("fileio");
    let grant = format!("{}::/d", scratch.path().display());
    atoll(["run", "--dir", &grant, &file, "/d"]).run().exits(0).prints(concat!(
        "size=8890 isreg=1\nlast=tail\nlines=1001\npread=line 1\nENOENT ok=1\nlink->b.txt\nentry b.txt\nentries=1\n",
        "content=LINE 0fopen outside sandbox: No such file or directory\nok\n",
    ));
}

#[test]
fn c_sqlite() {
    let Some(file) = foreign("c_zig_sqlite.wasm") else { return };
    let expected = "3.50.2\n20000|300015000.0|row1|row9999\n777|1165.5\n0,1,2,3,4,5,6\n";
    atoll(["run", &file]).within(LONG).run().exits(0).prints(expected);
    let scratch = Scratch::new("sqlite");
    let grant = format!("{}::/d", scratch.path().display());
    atoll(["run", "--dir", &grant, &file, "/d/x.db"]).within(LONG).run().exits(0);
    assert!(scratch.path().join("x.db").exists(), "the database is not in the granted folder");
}

#[test]
fn cpp_hello() {
    let Some(file) = foreign("cpp_clang_hello.wasm") else { return };
    let expected = "a=1\nb=2\nvirtual sum 6\n~D2 ~D1 ~D0 \ndone\n";
    atoll(["run", &file, "b", "a", "b"]).run().exits(0).prints(expected);
}

#[test]
fn rust_hello_as_component_and_as_preview1_module() {
    for name in ["rust_hello_wasip2.wasm", "rust_hello_p1.wasm"] {
        let Some(file) = foreign(name) else { return };
        let scratch = Scratch::new(name);
        let grant = format!("{}::.", scratch.path().display());
        let expected = format!(
            "hello from rust std, args=[\"{name}\", \"a\"]\nenv=[(\"K\", \"V\")]\nsum of squares=285\nclock ok=true\n\
             slept ok=true\nstdin=\"hi\\n\"\nfile=\"written by rust\\n\"\n"
        );
        atoll(["run", "--dir", &grant, "--env", "K=V", &file, "a"])
            .stdin("hi\n")
            .run()
            .exits(0)
            .prints(&expected);
    }
}

#[test]
fn rust_geo_composed() {
    let Some(file) = foreign("rust_geo_composed.wasm") else { return };
    let expected = r#"circle 12.5664
triangle Ok(6.0)
err Err("nothing has no area")
bounds Some(Rect { min: Point { x: -2.0, y: 3.0 }, max: Point { x: 1.0, y: 5.0 } }) None
describe Shape::Rectangle(Rect { min: Point { x: 0.0, y: 0.0 }, max: Point { x: 1.0, y: 2.0 } }) Attrs(FILLED | HIDDEN) Unit::Cm
merged a+b n=3 area=7.142 [Shape::Rectangle(Rect { min: Point { x: 0.0, y: 0.0 }, max: Point { x: 2.0, y: 2.0 } }), Shape::Circle((Point { x: 0.0, y: 0.0 }, 1.0)), Shape::Nothing]
reverse ["три", "zwei", "one"]
checksum 371690f901abd145
100k calls sum 1.0471818432856951e15
"#;
    atoll(["run", &file]).run().exits(0).prints(expected).says(&["100k cross-component calls in"]);
    let tree = atoll(["tree", "--json", &file]).run().exits(0).stdout;
    let tree: serde_json::Value = serde_json::from_str(&tree).expect("JSON");
    assert_eq!(tree["root"]["children"].as_array().map(Vec::len), Some(2), "{tree}");
}

#[test]
fn rust_geo_lib_is_called() {
    let Some(file) = foreign("rust_geo_lib.wasm") else { return };
    let call = "area(polygon([{x:0,y:0},{x:4,y:0},{x:0,y:3}]))";
    atoll(["run", "--invoke", call, &file]).run().exits(0).prints("ok(6)\n");
}

#[test]
fn kernels_without_imports() {
    let calls = [
        ("as_kernels.wasm", "fib(25)", "75025\n"),
        ("as_kernels.wasm", "sum(1000)", "249750\n"),
        ("zig_kernels.wasm", "fib(25)", "75025\n"),
        ("zig_kernels.wasm", "crc(1000)", "1961098049\n"),
    ];
    for (name, call, expected) in calls {
        let Some(file) = foreign(name) else { return };
        atoll(["run", "--invoke", call, &file]).run().exits(0).prints(expected);
    }
}

/// Compiles once, as these are big, and hands the image to `test`.
fn compiled(name: &str, test: impl Fn(&str)) {
    let Some(file) = foreign(name) else { return };
    let scratch = Scratch::new(name);
    // The image has the component's name: it is what the guest sees as its own.
    let image = scratch.path().join(name).display().to_string();
    atoll(["compile", &file, "-o", &image]).within(LONG).run().exits(0);
    test(&image);
}

#[test]
fn javascript() {
    compiled("js_sm_lib.wasm", |image| {
        let calls = [
            (r#"greet({name: "Ann", age: 30, tags: ["a","b"]})"#, "\"Hello Ann (30) [a,b]\"\n"),
            (r#"older({name: "Bo", age: 1, tags: []}, 4)"#, "{name: \"Bo\", age: 5, tags: []}\n"),
            ("area(rect((2.0, 3.5)))", "ok(7)\n"),
            ("area(empty)", "err(\"empty shape\")\n"),
            ("next-color(blue)", "red\n"),
            ("sort([3,-1,2])", "[-1, 2, 3]\n"),
            ("fib(20)", "6765\n"),
            ("maybe(some(\"abc\"))", "some(3)\n"),
            ("maybe(none)", "none\n"),
        ];
        for (call, expected) in calls {
            atoll(["run", "--invoke", call, image]).within(LONG).run().exits(0).prints(expected);
        }
    });
}

#[test]
fn python() {
    compiled("py_cli.wasm", |image| {
        let outcome: Outcome =
            atoll(["run", "--env", "K=v", image, "a1"]).stdin("xx\n").within(LONG).run().exits(0);
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        assert!(lines[0].starts_with("hello from CPython 3.14.0"), "{}", lines[0]);
        let rest = [
            "argv ['py_cli.wasm', 'a1']",
            "env K = v",
            "sha256 ba7816bf8f01cfea",
            "fib(20) = 6765 json {\"a\": [1, 2.5, null]}",
            "stdin 'xx\\n'",
        ];
        assert_eq!(lines[1..], rest);
        outcome.says(&["to stderr"]);
    });
}
