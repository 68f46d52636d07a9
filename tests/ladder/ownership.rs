//! Resources that a component defines: made, lent, given away, dropped and used when they are no more, over every rung.

use abi::fault::Trap;
use abi::value::Value;

use crate::rung::{Ask, Rung, each_rung};

/// One component defines counters; the other makes them and does with them what it is told.
const COUNTERS: &str = r#"
(component
  (component $Counters
    (core module $libc
      (memory (export "mem") 1)
      (global $dropped (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "drop") (param $rep i32)
        (if (i32.eq (local.get $rep) (i32.const 666)) (then (unreachable)))
        (global.set $dropped (i32.add (global.get $dropped) (i32.const 1))))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $libc (instantiate $libc))
    (type $counter' (resource (rep i32) (dtor (func $libc "drop"))))
    (export $counter "counter" (type $counter'))
    (core func $new (canon resource.new $counter'))
    (core func $rep (canon resource.rep $counter'))
    (core func $drop (canon resource.drop $counter'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "mem" (memory 1))
      (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "value") (param i32) (result i32) (local.get 0))
      (func (export "both") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "take") (param i32) (result i32) (local $rep i32)
        (local.set $rep (call $rep (local.get 0)))
        (call $drop (local.get 0))
        (local.get $rep))
      (func (export "echo") (param i32) (result i32) (local.get 0))
      ;; Handles of the representations 0 to n-1, in a list.
      (func (export "many") (param $n i32) (result i32) (local $at i32)
        (loop $again
          (if (i32.lt_u (local.get $at) (local.get $n)) (then
            (i32.store (i32.add (i32.const 2048) (i32.shl (local.get $at) (i32.const 2)))
              (call $new (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $again))))
        (i32.store (i32.const 16) (i32.const 2048))
        (i32.store (i32.const 20) (local.get $n))
        (i32.const 16)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))
      (export "mem" (memory $libc "mem"))))))
    (func (export "[constructor]counter") (param "at" u32) (result (own $counter))
      (canon lift (core func $i "new")))
    (func (export "[method]counter.value") (param "self" (borrow $counter)) (result u32)
      (canon lift (core func $i "value")))
    (func (export "[static]counter.both") (param "a" (borrow $counter)) (param "b" (borrow $counter)) (result u32)
      (canon lift (core func $i "both")))
    (func (export "take") (param "it" (own $counter)) (result u32) (canon lift (core func $i "take")))
    (func (export "echo") (param "it" (own $counter)) (result (own $counter)) (canon lift (core func $i "echo")))
    (func (export "many") (param "n" u32) (result (list (own $counter)))
      (canon lift (core func $i "many") (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (func (export "dropped") (result u32) (canon lift (core func $libc "dropped"))))
  (component $User
    (import "counters" (instance $counters
      (export "counter" (type $counter (sub resource)))
      (export "[constructor]counter" (func (param "at" u32) (result (own $counter))))
      (export "[method]counter.value" (func (param "self" (borrow $counter)) (result u32)))
      (export "[static]counter.both" (func (param "a" (borrow $counter)) (param "b" (borrow $counter)) (result u32)))
      (export "take" (func (param "it" (own $counter)) (result u32)))
      (export "echo" (func (param "it" (own $counter)) (result (own $counter))))
      (export "many" (func (param "n" u32) (result (list (own $counter)))))
      (export "dropped" (func (result u32)))))
    (alias export $counters "counter" (type $counter))
    (core module $libc
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $libc))
    (core func $new (canon lower (func $counters "[constructor]counter")))
    (core func $value (canon lower (func $counters "[method]counter.value")))
    (core func $both (canon lower (func $counters "[static]counter.both")))
    (core func $take (canon lower (func $counters "take")))
    (core func $echo (canon lower (func $counters "echo")))
    (core func $dropped (canon lower (func $counters "dropped")))
    (core func $many (canon lower (func $counters "many")
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core func $drop (canon resource.drop $counter))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "value" (func $value (param i32) (result i32)))
      (import "" "both" (func $both (param i32 i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "echo" (func $echo (param i32) (result i32)))
      (import "" "many" (func $many (param i32 i32)))
      (import "" "dropped" (func $dropped (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "mem" (memory 1))
      (func (export "life") (param $n i32) (result i32) (local $it i32) (local $sum i32)
        (local.set $it (call $new (local.get $n)))
        (local.set $sum (call $both (local.get $it) (local.get $it)))
        (local.set $sum (i32.add (local.get $sum) (call $value (local.get $it))))
        (call $drop (local.get $it))
        (i32.add (i32.mul (local.get $sum) (i32.const 100)) (call $dropped)))
      (func (export "given") (param $n i32) (result i32)
        (call $take (call $echo (call $new (local.get $n)))))
      (func (export "listed") (param $n i32) (result i32) (local $at i32) (local $sum i32)
        (call $many (local.get $n) (i32.const 64))
        (loop $again
          (if (i32.lt_u (local.get $at) (i32.load (i32.const 68))) (then
            (local.set $sum (i32.add (local.get $sum) (call $take
              (i32.load (i32.add (i32.load (i32.const 64)) (i32.shl (local.get $at) (i32.const 2)))))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $again))))
        (local.get $sum))
      (func (export "dropped-then-used") (param $n i32) (result i32) (local $it i32)
        (local.set $it (call $new (local.get $n)))
        (call $drop (local.get $it))
        (call $value (local.get $it)))
      (func (export "given-then-used") (param $n i32) (result i32) (local $it i32)
        (local.set $it (call $new (local.get $n)))
        (drop (call $take (local.get $it)))
        (call $value (local.get $it)))
      (func (export "given-twice") (param $n i32) (result i32) (local $it i32)
        (local.set $it (call $new (local.get $n)))
        (drop (call $take (local.get $it)))
        (call $take (local.get $it)))
      (func (export "dropped-twice") (param $n i32) (result i32) (local $it i32)
        (local.set $it (call $new (local.get $n)))
        (call $drop (local.get $it))
        (call $drop (local.get $it))
        (i32.const 0))
      (func (export "forged") (param $n i32) (result i32) (call $value (local.get $n))))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "value" (func $value)) (export "both" (func $both))
      (export "take" (func $take)) (export "echo" (func $echo)) (export "many" (func $many))
      (export "dropped" (func $dropped)) (export "drop" (func $drop)) (export "mem" (memory $libc "mem"))))))
    (func (export "life") (param "n" u32) (result u32) (canon lift (core func $i "life")))
    (func (export "given") (param "n" u32) (result u32) (canon lift (core func $i "given")))
    (func (export "listed") (param "n" u32) (result u32) (canon lift (core func $i "listed")))
    (func (export "dropped-then-used") (param "n" u32) (result u32) (canon lift (core func $i "dropped-then-used")))
    (func (export "given-then-used") (param "n" u32) (result u32) (canon lift (core func $i "given-then-used")))
    (func (export "given-twice") (param "n" u32) (result u32) (canon lift (core func $i "given-twice")))
    (func (export "dropped-twice") (param "n" u32) (result u32) (canon lift (core func $i "dropped-twice")))
    (func (export "forged") (param "n" u32) (result u32) (canon lift (core func $i "forged"))))
  (instance $counters (instantiate $Counters))
  (instance $user (instantiate $User (with "counters" (instance $counters))))
  (export "life" (func $user "life"))
  (export "given" (func $user "given"))
  (export "listed" (func $user "listed"))
  (export "dropped-then-used" (func $user "dropped-then-used"))
  (export "given-then-used" (func $user "given-then-used"))
  (export "given-twice" (func $user "given-twice"))
  (export "dropped-twice" (func $user "dropped-twice"))
  (export "forged" (func $user "forged")))
"#;

fn asked(ask: &mut Ask<'_>, name: &str, n: u32) -> Result<u32, Trap> {
    match ask(name, vec![Value::U32(n)])? {
        Some(Value::U32(answer)) => Ok(answer),
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn lives_of_resources() {
    each_rung(COUNTERS, |rung, ask| {
        // Lent twice in one call; then dropped, and its destructor has run before the next call.
        assert_eq!(asked(ask, "life", 7), Ok(21 * 100 + 1), "{rung:?}");
        assert_eq!(asked(ask, "given", 40), Ok(40), "{rung:?}");
        assert_eq!(asked(ask, "listed", 0), Ok(0), "{rung:?}");
        assert_eq!(asked(ask, "listed", 20), Ok(190), "{rung:?}");
        assert_eq!(asked(ask, "life", 1), Ok(300 + 1 + 1 + 20 + 1), "{rung:?}: as many destructors have run");
    });
}

#[test]
fn handles_that_are_no_more() {
    for name in ["dropped-then-used", "given-then-used", "given-twice", "dropped-twice"] {
        each_rung(COUNTERS, |rung, ask| {
            assert_eq!(asked(ask, name, 5), Err(Trap::UnknownHandle(1)), "{name}, {rung:?}");
            assert_eq!(asked(ask, "given", 5), Err(Trap::CannotEnter), "{rung:?}: a fault ends its process");
        });
    }
    each_rung(COUNTERS, |rung, ask| {
        assert_eq!(asked(ask, "forged", 77), Err(Trap::UnknownHandle(77)), "{rung:?}");
    });
}

/// Nobody waits for a destructor in another domain (docs/decisions/lives.md), unless there is no machine: its fault ends its
/// own domain, and the next call finds that out.
#[test]
fn destructors_that_trap() {
    each_rung(COUNTERS, |rung, ask| {
        let trap = match rung {
            Rung::Interpreted | Rung::Fused | Rung::Nested => Trap::Unreachable,
            Rung::Handoff | Rung::Channel | Rung::Segment | Rung::Segments => Trap::CannotEnter,
        };
        assert_eq!(asked(ask, "life", 666), Err(trap), "{rung:?}");
    });
}
