//! Code that is watched does what it did, and notes what it does.

use std::sync::Arc;

use abi::fault::Trap;
use atoll_kernel::domain::externs::Extern;
use atoll_kernel::domain::{Domain, DomainOptions};
use atoll_kernel::jit::engine::{Engine, EngineOptions};
use atoll_kernel::jit::watch::{Board, Watch};

/// Every kind of edge: `if` with and without `else`, with results, branches that carry values, a table, loops.
const MODULE: &str = r#"(module
    (memory (export "memory") 1)
    (data (i32.const 8) "open sesame")
    (func $same (param i32 i32 i32) (result i32)
        (i32.eq (i32.load8_u (local.get 0)) (i32.load8_u (local.get 1))))
    (func (export "edges") (param i32) (result i32)
        (local $sum i32)
        (if (i32.lt_u (local.get 0) (i32.const 10)) (then (local.set $sum (i32.const 1))))
        (local.set $sum (i32.add (local.get $sum)
            (if (result i32) (i32.and (local.get 0) (i32.const 1))
                (then (i32.const 10)) (else (i32.const 20)))))
        (i32.add (local.get $sum)
            (block $two (result i32)
                (block $one (result i32)
                    (br_table $one $two $one (i32.const 100) (local.get 0)))
                (i32.const 200) (i32.add))))
    (func (export "spin") (param i32)
        (loop $again
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (local.get 0))))
    (func (export "fill") (param i32)
        (memory.fill (i32.const 0) (i32.const 7) (local.get 0))
        (memory.copy (i32.const 1) (i32.const 0) (i32.sub (local.get 0) (i32.const 1))))
    (tag $odd) (tag $large)
    (func (export "throws") (param i32) (result i32)
        (block $odd (block $other
            (try_table (catch $odd $odd) (catch_all $other)
                (if (i32.gt_u (local.get 0) (i32.const 9)) (then (throw $large)))
                (if (i32.and (local.get 0) (i32.const 1)) (then (throw $odd))))
            (return (i32.const 1)))
            (return (i32.const 2)))
        (i32.const 3))
    (func (export "passes") (param i32) (result i32)
        (block $large
            (try_table (catch $large $large)
                (try_table (catch $odd 1)
                    (if (i32.gt_u (local.get 0) (i32.const 9)) (then (throw $large)))
                    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $odd)))))
            (return (i32.const 1)))
        (i32.const 3))
    (func (export "magic") (param i64) (result i32)
        (i64.eq (local.get 0) (i64.const 0x1234_5678_9abc)))
    (func (export "texts") (result i32)
        (call $same (i32.const 8) (i32.const 9) (i32.const 4))))"#;

struct Guest {
    domain: Domain,
    instance: atoll_kernel::instance::InstanceIndex,
    board: Arc<Board>,
}

impl Guest {
    fn new(watch: Watch) -> Guest {
        let options = EngineOptions { verify: true, watch, ..EngineOptions::default() };
        let engine = Engine::with(options).expect("this machine is supported");
        let wasm = wat::parse_str(MODULE).expect("the text is well-formed");
        let library = engine.library(&wasm).expect("it compiles");
        assert!(library.is_watched());
        let mut domain = Domain::new(&engine, DomainOptions::default());
        let instance = domain.instantiate(&library, &[], None).expect("it needs nothing");
        Guest { domain, instance, board: Arc::clone(engine.board().expect("it watches")) }
    }

    fn call(&mut self, name: &str, args: &[u128], results: usize) -> Result<Vec<u128>, Trap> {
        let Some(Extern::Func(func)) = self.domain.export(self.instance, name) else { panic!("no {name}") };
        let mut values = vec![0; results];
        self.domain.call(&func, args, &mut values).map_err(|fault| fault.trap)?;
        Ok(values)
    }

    fn edges(&mut self) -> Vec<(u32, u8)> {
        let mut edges = Vec::new();
        self.board.take_edges(|edge, count| edges.push((edge, count)));
        edges
    }
}

#[test]
fn results_are_the_same_and_edges_are_told_apart() {
    for watch in [Watch::Edges, Watch::Compares] {
        let mut guest = Guest::new(watch);
        let mut runs = Vec::new();
        for (arg, result) in [(0, 321), (1, 111), (2, 321), (11, 310), (12, 320)] {
            assert_eq!(guest.call("edges", &[arg], 1), Ok(vec![result]), "{arg}");
            runs.push(guest.edges());
        }
        assert_ne!(runs[0], runs[1], "another target of the table, another arm of an `if`");
        assert_ne!(runs[2], runs[4], "an `if` without `else` whose condition is false");
        assert_eq!(guest.edges(), []);
        let all = guest.board.edges();
        assert!(runs.iter().flatten().all(|(edge, count)| *edge < all && *count == 1), "{runs:?}");
    }
}

#[test]
fn handlers_of_exceptions_have_edges() {
    let mut guest = Guest::new(Watch::Edges);
    let mut taken = |name: &str, arg, result| {
        assert_eq!(guest.call(name, &[arg], 1), Ok(vec![result]), "{name} {arg}");
        guest.edges()
    };
    // A throw is behind an `if`; so that only handlers can differ, each is compared with what went the same way.
    let (even, odd, large) = (taken("throws", 2, 1), taken("throws", 3, 3), taken("throws", 10, 2));
    let handled = |edges: &[(u32, u8)]| edges.iter().filter(|edge| !even.contains(edge)).count();
    assert_eq!((handled(&odd), handled(&large)), (2, 2), "the arm that throws, and the clause that catches");
    let (even, large) = (taken("passes", 2, 1), taken("passes", 10, 3));
    let new = large.iter().filter(|edge| !even.contains(edge)).count();
    assert_eq!(new, 3, "the arm that throws, the handler that lets it pass, the clause that catches");
}

#[test]
fn counts_stop_at_255_and_steps_at_none() {
    let mut guest = Guest::new(Watch::Edges);
    guest.call("spin", &[1000], 0).expect("it ends");
    assert!(guest.edges().iter().any(|(_, count)| *count == 255));
    guest.board.allow(1000);
    assert_eq!(guest.call("spin", &[2000], 0), Err(Trap::OutOfSteps));
    assert!(guest.board.steps_left() < 0);
    guest.board.allow(1000);
    assert_eq!(guest.call("spin", &[900], 0), Ok(vec![]));
    assert_eq!(guest.board.steps_left(), 99);
}

#[test]
fn bulk_operators_take_steps_by_their_bytes() {
    let mut guest = Guest::new(Watch::Edges);
    guest.board.allow(3000);
    assert_eq!(guest.call("fill", &[65_536], 0), Ok(vec![]));
    assert_eq!(guest.board.steps_left(), 3000 - 1 - 1024 - 1023);
    guest.board.allow(1500);
    assert_eq!(guest.call("fill", &[65_536], 0), Err(Trap::OutOfSteps));
    // What is not there takes none: the trap is the one it would be.
    guest.board.allow(1500);
    assert_eq!(guest.call("fill", &[1 << 31], 0), Err(Trap::MemoryOutOfBounds));
}

#[test]
fn what_is_compared_is_noted() {
    let mut guest = Guest::new(Watch::Compares);
    assert_eq!(guest.call("magic", &[7], 1), Ok(vec![0]));
    let compared = guest.board.take_compares();
    let [pair] = compared.as_slice() else { panic!("{compared:?}") };
    assert_eq!((pair.bits, pair.left, pair.right), (64, 7, 0x1234_5678_9abc));
    assert!(guest.board.take_compares().is_empty());
    guest.call("texts", &[], 1).expect("it returns");
    assert_eq!(guest.board.take_texts(), [[b"open".to_vec(), b"pen ".to_vec()]]);
    for round in 0..40_000 {
        guest.call("magic", &[round], 1).expect("it returns");
    }
    let compared = guest.board.take_compares();
    assert_eq!(compared.last().map(|pair| pair.left), Some(39_999), "the last ones are kept");
}
