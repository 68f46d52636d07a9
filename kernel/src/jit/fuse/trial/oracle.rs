//! For random types and values, and for random damage to them, an adapter does what lifting and lowering one after the
//! other does.

use std::sync::{Arc, Mutex, PoisonError};

use abi::fault::Trap;
use abi::flat::CoreType;
use abi::plan::Passing;
use abi::run;
use abi::sample::Sampler;
use abi::side::{Encoding, Side};
use abi::types::{FuncType, ResourceType};
use abi::value::Value;

use super::half::Half;
use super::ploy::Ploy;
use super::rig::{CORE, DEFINED, POST_RETURN, Rig, World, allocate, guests_of, memory_of};
use crate::domain::Domain;

pub const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];

/// What the callee left for the test.
#[derive(Default)]
pub struct Seen {
    /// Its arguments.
    pub args: Option<Vec<Value>>,
    /// What its result is to be lifted as, where it was damaged.
    result: Option<Result<Option<Value>, Trap>>,
    /// Why it could not read its arguments or return its result.
    failed: Option<Trap>,
}

/// A callee that keeps its arguments and returns `result`, with this damage done to it.
pub fn callee(world: &mut World, ty: &FuncType, result: Option<Value>, damage: Vec<u8>) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (keep, ty) = (Arc::clone(&seen), ty.clone());
    let (params, results) = (Passing::params(&ty), Passing::results(&ty));
    world.guests().core = Some(Box::new(move |domain, slots| {
        let mut seen = keep.lock().unwrap_or_else(PoisonError::into_inner);
        let args = run::lift_params(&mut Half::new(domain, 1), &ty, &params, slots);
        let core = args.and_then(|args| {
            seen.args = Some(args);
            returned(&mut Half::new(domain, 1), &ty, &results, result.as_ref())
        });
        let mut core = core.inspect_err(|trap| seen.failed = Some(trap.clone()))?;
        if !damage.is_empty() {
            damaged(domain, 1, &damage, &mut core, &Passing::lifted(&params, &results).1);
            seen.result = Some(forgotten(domain, 1, |half| run::lift_results(half, &ty, &results, &core)));
        }
        slots[..core.len()].copy_from_slice(&core);
        Ok(())
    }));
    seen
}

/// The core values of a result, as a lifted function returns them.
fn returned(
    side: &mut dyn Side,
    ty: &FuncType,
    results: &Passing,
    value: Option<&Value>,
) -> Result<Vec<u64>, Trap> {
    match (results, &ty.result, value) {
        (Passing::Flat(_), Some(ty), Some(value)) => run::lower_flat(side, ty, value),
        (Passing::Memory(layout), Some(ty), Some(value)) => {
            let pointer = side.allocate(0, 0, layout.align, layout.size)?;
            run::store(side, ty, value, pointer)?;
            Ok(vec![u64::from(pointer)])
        }
        _ => Ok(Vec::new()),
    }
}

/// Runs the interpreter as in a call, and undoes what it did to the handles.
fn forgotten<T>(domain: &mut Domain, process: u32, lift: impl FnOnce(&mut dyn Side) -> T) -> T {
    let before = guests_of(domain).handles.clone();
    guests_of(domain).handles.enter().expect("calls of a trial are not nested");
    let result = lift(&mut Half::new(domain, process));
    guests_of(domain).handles.clone_from(&before);
    result
}

/// Flips bits of core values and of memory, copies core values over others, and puts small numbers into memory.
fn damaged(domain: &mut Domain, process: usize, damage: &[u8], core: &mut [u64], types: &[CoreType]) {
    for flip in damage.chunks_exact(3) {
        let (at, bit) = (usize::from(flip[1]) << 8 | usize::from(flip[2]), flip[0] & 63);
        let copies = flip[0] & 128 != 0;
        if flip[0] & 64 == 0 && !core.is_empty() {
            let at = at % core.len();
            let wide = matches!(types[at], CoreType::I64 | CoreType::F64);
            let value = if copies { core[usize::from(bit) % core.len()] } else { core[at] ^ 1 << (bit & 31) };
            core[at] = match (wide, copies) {
                (true, false) => core[at] ^ 1 << bit,
                (true, true) => value,
                (false, _) => value & 0xFFFF_FFFF,
            };
        } else {
            let memory = memory_of(domain, process);
            let at = at % memory.len();
            memory[at] = if copies { bit } else { memory[at] ^ 1 << (bit & 7) };
            guests_of(domain).grants[process].push(at as u64..at as u64 + 1);
        }
    }
}

pub fn same<T: std::fmt::Debug>(have: &T, want: &T, ty: &FuncType) {
    assert_eq!(format!("{have:?}"), format!("{want:?}"), "{ty}");
}

/// Adds the pointer to the results, if the call has one.
pub fn with_pointer(world: &mut World, ty: &FuncType, mut core: Vec<u64>) -> Vec<u64> {
    if let Passing::Memory(layout) = Passing::results(ty) {
        let pointer = allocate(&mut world.domain, 0, [0; 2], layout.align, layout.size);
        core.push(u64::from(pointer.expect("a test needs no more than the capacity")));
    }
    core
}

/// Calls; gives the result as the caller lifts it.
pub fn call(world: &mut World, ty: &FuncType, core: &[u64]) -> Result<Option<Value>, Trap> {
    let results = Passing::results(ty);
    let mut returned = world.call(core).map_err(|fault| fault.trap)?;
    if let Passing::Memory(_) = &results {
        returned.extend(core.last());
    }
    let value = run::lift_results(&mut Half::new(&mut world.domain, 0), ty, &results, &returned);
    // What is in memory twice is whatever was written last.
    let overlapping = world.guests().overlapping;
    Ok(value
        .or_else(|trap| if overlapping { Ok(None) } else { Err(trap) })
        .expect("what was lowered is lifted"))
}

/// What goes wrong in a call.
#[derive(Debug, Default)]
pub struct Plot {
    /// What is done to core values and memory, three bytes each.
    pub damage: Vec<u8>,
    /// Whether it is done to the results, not to the parameters.
    pub damage_results: bool,
    /// What each process's `realloc` does instead.
    pub ploys: [Vec<Ploy>; 2],
    /// The pointer to the results that the caller passes instead.
    pub pointer: Option<u32>,
}

/// Calls of a random type, each with random values and with what `plots` makes go wrong. Caller and callee have random
/// encodings; where the caller has the first of them, the callee has a `post-return`.
///
/// # Panics
/// If the adapter does anything but what the interpreter does, or changes what it may not change.
pub fn attempts(mut sampler: Sampler<'_>, rounds: u32, plot: impl Fn(&mut Sampler<'_>) -> Plot) {
    sampler.resources = vec![DEFINED, ResourceType(1), ResourceType::host(0)];
    let [from, to] = [(); 2].map(|()| sampler.below(3) as usize);
    let ty = sampler.func(6, 3);
    let rig = Rig::new(&ty, [ENCODINGS[from], ENCODINGS[to]], from == 0);
    for _ in 0..rounds {
        let plot = plot(&mut sampler);
        let args: Vec<Value> = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
        let result = ty.result.as_ref().map(|ty| sampler.value(ty));
        attempt(&mut rig.world(), &ty, args, result, plot, from == 0);
    }
}

fn attempt(
    world: &mut World,
    ty: &FuncType,
    args: Vec<Value>,
    result: Option<Value>,
    plot: Plot,
    post_return: bool,
) {
    let params = Passing::params(ty);
    let lowered = run::lower_params(&mut Half::new(&mut world.domain, 0), ty, &params, &args);
    world.guests().grants = Default::default();
    let mut core = with_pointer(world, ty, lowered.expect("values of their types"));
    let pointed = plot.pointer.and_then(|pointer| misdirected(world, ty, &mut core, pointer));
    let mut want = Ok(args);
    if !plot.damage_results && !plot.damage.is_empty() {
        let types = Passing::lifted(&params, &Passing::results(ty)).0;
        damaged(&mut world.domain, 0, &plot.damage, &mut core[..types.len()], &types);
        want = forgotten(&mut world.domain, 0, |half| run::lift_params(half, ty, &params, &core));
        if matches!(want, Err(Trap::Limit { .. })) {
            // A value that no host could hold; the adapter makes none.
            return;
        }
    }
    let damage = if plot.damage_results { plot.damage } else { Vec::new() };
    let seen = callee(world, ty, result.clone(), damage);
    world.guests().ploys = plot.ploys.map(Into::into);
    let before = [0, 1].map(|process| memory_of(&mut world.domain, process).to_vec());
    let got = call(world, ty, &core);
    unchanged(world, &before);
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    judge(world, ty, Expected { want, result, pointed }, seen, &got);
    if got.is_ok() {
        let post_returned = world.guests().log.last() == Some(&(POST_RETURN, false));
        assert_eq!(post_returned, post_return, "post-return is called last, and may not call out");
        for (import, may_leave) in &world.guests().log {
            assert_eq!(*may_leave, *import == CORE);
        }
        assert_eq!([0, 1].map(|process| world.domain.flags(process)), [3; 2]);
        assert_eq!(world.guests().handles.depth(), 0);
    }
}

struct Expected {
    /// The parameters as the interpreter lifts them.
    want: Result<Vec<Value>, Trap>,
    /// What the callee returns.
    result: Option<Value>,
    /// What the caller's pointer to the results must lead to.
    pointed: Option<Trap>,
}

/// Compares how a call ended with how it should have.
fn judge(
    world: &mut World,
    ty: &FuncType,
    expected: Expected,
    seen: Seen,
    got: &Result<Option<Value>, Trap>,
) {
    let Expected { want, result, pointed } = expected;
    if let Some(due) = world.guests().due.take() {
        return same(got, &Err(due), ty);
    }
    let args = match want {
        Ok(args) => args,
        Err(trap) => {
            let called = seen.args.is_some() || world.guests().called(CORE);
            assert!(!called, "the adapter finds it, not the callee");
            return same(got, &Err(trap), ty);
        }
    };
    if world.guests().overlapping {
        if let Err(trap) = got {
            // Handles that were written over are not found in the arguments, so not dropped.
            let lost = matches!(trap, Trap::BorrowsRemain(_)) && seen.args.is_some_and(|have| have != args);
            let reasons = [seen.failed, seen.result.and_then(Result::err), pointed];
            assert!(lost || reasons.contains(&Some(trap.clone())), "{trap}, not one of {reasons:?}: {ty}");
        }
        return;
    }
    if let Some(trap) = seen.failed {
        return same(got, &Err(trap), ty);
    }
    same(&seen.args, &Some(args), ty);
    match (seen.result.unwrap_or(Ok(result)), pointed) {
        (Ok(_), Some(trap)) => same(got, &Err(trap), ty),
        (Err(trap), Some(other)) => assert!(*got == Err(trap) || *got == Err(other), "{got:?}: {ty}"),
        (want, None) => same(got, &want, ty),
    }
}

/// Replaces the pointer to the results; gives the trap that it must lead to.
fn misdirected(world: &mut World, ty: &FuncType, core: &mut [u64], pointer: u32) -> Option<Trap> {
    let Passing::Memory(layout) = Passing::results(ty) else { return None };
    *core.last_mut()? = u64::from(pointer);
    let mut half = Half::new(&mut world.domain, 0);
    let side: &mut dyn Side = &mut half;
    let checked = side.check("results", pointer, layout);
    drop(half);
    let guests = world.guests();
    // Where it can be written it may be in the middle of the parameters.
    guests.overlapping = checked.is_ok();
    guests.grants[0].clear();
    guests.grants[0].push(u64::from(pointer)..u64::from(pointer) + u64::from(layout.size));
    checked.err()
}

/// Holds both memories to what they were, but for what was granted; behind their ends as well.
fn unchanged(world: &mut World, before: &[Vec<u8>; 2]) {
    for (process, before) in before.iter().enumerate() {
        let memory = world.guests().memories[process].clone();
        let page = 4096 - memory.memory.bytes() as u64 % 4096;
        let len = memory.memory.bytes();
        let more = world.domain.memory_grow(&memory, page).map_or(len, |_| len + page as usize);
        let grants = world.guests().grants[process].clone();
        let after = memory_of(&mut world.domain, process);
        assert!(after[len..more].iter().all(|byte| *byte == 0), "written behind the end of memory {process}");
        for (at, byte) in after[..len].iter().enumerate() {
            let same = *byte == before.get(at).copied().unwrap_or(0);
            let granted = || grants.iter().any(|grant| grant.contains(&(at as u64)));
            assert!(same || granted(), "byte {at:#x} of memory {process} was changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::types::ValType;
    use abi::value::Resource;

    use super::*;

    /// Found by `hostile_guest`: a callee whose second list is put over the handle in its first one does not find that
    /// handle, so cannot drop it, and the end of the call says so.
    #[test]
    fn a_handle_that_its_owner_wrote_over_remains() {
        let resource = ResourceType(1);
        let handles = ValType::List(Arc::new(ValType::Option(Arc::new(ValType::Borrow(resource)))));
        let params = [("handles".into(), handles), ("bytes".into(), ValType::List(Arc::new(ValType::U8)))];
        let ty = FuncType { params: params.into(), result: None, is_async: false };
        let borrowed = Value::Borrow(Resource { ty: resource, rep: 7, generation: 0 });
        let args = vec![
            Value::List(vec![Value::Option(Some(Box::new(borrowed)))]),
            Value::List(vec![Value::U8(0); 4]),
        ];
        let ploys = [vec![], vec![Ploy::Honest, Ploy::Again]];
        let mut world = Rig::new(&ty, [Encoding::Utf8; 2], false).world();
        attempt(&mut world, &ty, args, None, Plot { ploys, ..Plot::default() }, false);
        assert!(world.guests().called(CORE) && world.guests().overlapping);
        let remaining = |index| world.guests().handles.rep(1, resource, index) == Ok(7);
        assert!((0..4).any(remaining), "the callee still has it");
    }
    /// Found by `plan_movers`: what a call lends in one parameter it cannot give away in the next, whatever is wrong behind
    /// that.
    #[test]
    fn a_handle_that_is_lent_is_not_given_away_by_the_same_call() {
        let resource = ResourceType(1);
        let second = ValType::Tuple([ValType::Own(resource), ValType::Char].into());
        let params = [("lent".into(), ValType::Borrow(resource)), ("given".into(), second)];
        let ty = FuncType { params: params.into(), result: None, is_async: false };
        let handle = |rep| Resource { ty: resource, rep, generation: 0 };
        let given = Value::Tuple(vec![Value::Own(handle(8)), Value::Char('a')]);
        let args = vec![Value::Borrow(handle(7)), given];
        let mut world = Rig::new(&ty, [Encoding::Utf8; 2], false).world();
        // The first core value is copied over the second, and a bit of the third is flipped: it is no character then.
        for damage in [vec![128, 0, 1], vec![128, 0, 1, 31, 0, 2]] {
            attempt(&mut world, &ty, args.clone(), None, Plot { damage, ..Plot::default() }, false);
            assert!(!world.guests().called(CORE));
        }
    }
}
