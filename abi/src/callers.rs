//! Random trees of processes that call each other: their text, and what they answer. For tests and fuzzers of whoever carries
//! calls.
//!
//! Each process exports `go: func(x: u32) -> u32`, which calls the processes that it imports as the low bits of `x` say, and
//! `served: func() -> u32`, how often that was. It imports processes before it only, so every call ends. The tree exports
//! both of each process, with its number behind the name.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::sample::Sampler;

/// Processes of a tree, at most.
const MOST: u32 = 6;
/// The same where failures may be got over: any of many answers is right then, and all of them are made.
const MOST_FORGIVING: u32 = 4;
/// What a process that gets over a failure takes for the answer.
const INSTEAD: u32 = 13;
/// Bytes of memory that a process begins with.
pub const MEMORY_BYTES: u64 = 1 << 16;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whom it may call.
    pub imports: Vec<u32>,
    /// Whether it sometimes traps.
    pub is_faulty: bool,
}

/// The processes of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callers {
    /// Each, by its number.
    pub all: Vec<Caller>,
    /// Whether `go` returns a `result<u32>`, so that who calls gets over a failure if it is told of it.
    pub is_forgiving: bool,
}

impl Callers {
    /// A tree made of the sampler's choices.
    pub fn of(sampler: &mut Sampler<'_>) -> Callers {
        let is_forgiving = sampler.below(4) == 3;
        let most = if is_forgiving { MOST_FORGIVING } else { MOST };
        let count = 2 + sampler.below(most - 1);
        let faults = sampler.below(3) == 2;
        let caller = |at: u32| {
            let imports = if at == 0 { 0 } else { sampler.below(3).min(at) };
            let imports = (0..imports).map(|_| sampler.below(at)).collect();
            Caller { imports, is_faulty: faults && sampler.below(3) == 0 }
        };
        Callers { all: (0..count).map(caller).collect(), is_forgiving }
    }

    /// Whether somebody sometimes traps.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.all.iter().any(|caller| caller.is_faulty)
    }

    /// What a process answers if nobody else makes it fail, and how often each is called for that; none if somebody traps.
    pub fn answer(&self, at: u32, x: u32, served: &mut [u32]) -> Option<u32> {
        served[at as usize] += 1;
        if self.traps(at, x) {
            return None;
        }
        let calls = self.calls(at, x);
        calls.into_iter().try_fold(first(at, x), |sum, (callee, y)| {
            Some(sum.wrapping_mul(7).wrapping_add(self.answer(callee, y, served)?))
        })
    }

    /// All that a process of a forgiving tree may answer where any call may fail.
    fn answers(&self, at: u32, x: u32) -> BTreeSet<u32> {
        if self.traps(at, x) {
            return BTreeSet::new();
        }
        self.calls(at, x).into_iter().fold(BTreeSet::from([first(at, x)]), |sums, (callee, y)| {
            let mut terms = self.answers(callee, y);
            terms.insert(INSTEAD);
            sums.iter()
                .flat_map(|sum| terms.iter().map(|term| sum.wrapping_mul(7).wrapping_add(*term)))
                .collect()
        })
    }

    /// Whether a process may answer this: as if all goes well, or, where calls `may_fail`, as who gets over failures.
    #[must_use]
    pub fn may_answer(&self, at: u32, x: u32, answer: u32, may_fail: bool) -> bool {
        match may_fail && self.is_forgiving {
            true => self.answers(at, x).contains(&answer),
            false => self.answer(at, x, &mut vec![0; self.all.len()]) == Some(answer),
        }
    }

    /// The text of the component.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = "(component\n".to_owned();
        for at in (0..).take(self.all.len()) {
            self.write(&mut text, at);
        }
        text + ")"
    }

    fn traps(&self, at: u32, x: u32) -> bool {
        self.all[at as usize].is_faulty && x % 7 == 3
    }

    /// Whom a process calls, and with what.
    fn calls(&self, at: u32, x: u32) -> Vec<(u32, u32)> {
        let imports = (0..).zip(&self.all[at as usize].imports);
        let called = imports.filter(|(index, _)| x >> index & 1 == 1);
        called.map(|(index, callee)| (*callee, x.wrapping_mul(5).wrapping_add(index + 2))).collect()
    }

    fn write(&self, text: &mut String, at: u32) {
        let caller = &self.all[at as usize];
        let ty = if self.is_forgiving { "(result u32)" } else { "u32" };
        // A lowered function puts a `result` where it is told to, behind what this one returns.
        let (into, back) = if self.is_forgiving { (" i32", "") } else { ("", "(result i32)") };
        let [mut imports, mut given, mut core, mut with, mut calls] = <[String; 5]>::default();
        for (index, callee) in caller.imports.iter().enumerate() {
            put(
                &mut imports,
                format_args!(
                    "(import \"a{index}\" (func $a{index} (param \"x\" u32) (result {ty})))
                     (core func $l{index} (canon lower (func $a{index}) (memory $memory)))\n"
                ),
            );
            put(
                &mut core,
                format_args!("(import \"\" \"a{index}\" (func $a{index} (param i32{into}) {back}))"),
            );
            put(&mut given, format_args!("(export \"a{index}\" (func $l{index}))"));
            put(&mut with, format_args!("(with \"a{index}\" (func $c{callee} \"go\"))"));
            let y = format!("(i32.add (i32.mul (local.get $x) (i32.const 5)) (i32.const {}))", index + 2);
            let got = match self.is_forgiving {
                false => format!("(call $a{index} {y})"),
                true => format!(
                    "(call $a{index} {y} (i32.const 16))
                     (select (i32.const {INSTEAD}) (i32.load (i32.const 20)) (i32.load8_u (i32.const 16)))"
                ),
            };
            put(
                &mut calls,
                format_args!(
                    "(if (i32.and (i32.shr_u (local.get $x) (i32.const {index})) (i32.const 1)) (then
                      (i32.mul (local.get $sum) (i32.const 7)) {got} (i32.add) (local.set $sum)))\n"
                ),
            );
        }
        let trap =
            "(if (i32.eq (i32.rem_u (local.get $x) (i32.const 7)) (i32.const 3)) (then (unreachable)))";
        let trap = if caller.is_faulty { trap } else { "" };
        let returned = match self.is_forgiving {
            false => "(local.get $sum)",
            true => {
                "(i32.store8 (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (local.get $sum)) (i32.const 0)"
            }
        };
        put(
            text,
            format_args!(
                r#"(component $C{at}
  (core module $libc (memory (export "memory") 1 4))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  {imports}
  (core module $m (import "" "memory" (memory 1 4)) {core}
    (global $served (mut i32) (i32.const 0))
    (func (export "served") (result i32) (global.get $served))
    (func (export "go") (param $x i32) (result i32) (local $sum i32)
      (global.set $served (i32.add (global.get $served) (i32.const 1)))
      (if (i32.eqz (i32.rem_u (local.get $x) (i32.const 5))) (then (drop (memory.grow (i32.const 1)))))
      {trap}
      (local.set $sum (i32.add (i32.mul (local.get $x) (i32.const 31)) (i32.const {at})))
      {calls} {returned}))
  (core instance $i (instantiate $m (with "" (instance (export "memory" (memory $memory)) {given}))))
  (func (export "go") (param "x" u32) (result {ty}) (canon lift (core func $i "go") (memory $memory)))
  (func (export "served") (result u32) (canon lift (core func $i "served"))))
(instance $c{at} (instantiate $C{at} {with}))
(export "go{at}" (func $c{at} "go"))
(export "served{at}" (func $c{at} "served"))
"#
            ),
        );
    }
}

/// What a process answers if it calls nobody.
fn first(at: u32, x: u32) -> u32 {
    x.wrapping_mul(31).wrapping_add(at)
}

fn put(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}

#[cfg(test)]
mod tests {
    use super::{Caller, Callers, INSTEAD};

    fn callers(is_forgiving: bool) -> Callers {
        let caller = |imports: &[u32], is_faulty| Caller { imports: imports.into(), is_faulty };
        Callers { all: vec![caller(&[], true), caller(&[0], false)], is_forgiving }
    }

    #[test]
    fn who_calls_whom_decides_the_answer() {
        let mut served = [0; 2];
        let callers = callers(false);
        assert_eq!(callers.answer(1, 2, &mut served), Some(2 * 31 + 1));
        assert_eq!(callers.answer(1, 1, &mut served), Some((31 + 1) * 7 + 7 * 31));
        // 3 × 5 + 2 is 3 more than a multiple of 7.
        assert_eq!(callers.answer(1, 3, &mut served), None);
        assert_eq!(served, [2, 3]);
    }

    #[test]
    fn a_failure_may_be_got_over() {
        let callers = callers(true);
        let once = (3 * 31 + 1) * 7;
        assert_eq!(callers.answers(1, 3).into_iter().collect::<Vec<u32>>(), [once + INSTEAD]);
        assert_eq!(callers.answers(1, 1).len(), 2);
        assert!(callers.answers(0, 3).is_empty());
    }
}
