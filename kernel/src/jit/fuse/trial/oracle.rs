//! For random types and values, and for random damage to them, an adapter does what lifting and lowering one after the
//! other does.

use std::sync::{Arc, Mutex};

use abi::fault::Trap;
use abi::flat::CoreType;
use abi::plan::Passing;
use abi::run;
use abi::sample::Sampler;
use abi::side::{Encoding, Side};
use abi::types::{FuncType, ResourceType};
use abi::value::Value;
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::half::Half;
use super::rig::{CORE, DEFINED, POST_RETURN, World, allocate, guests_of, memory_of};
use crate::domain::Domain;

pub const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];

/// What the callee left for the test.
#[derive(Default)]
pub struct Seen {
    /// Its arguments.
    pub args: Option<Vec<Value>>,
    /// What its result is to be lifted as, where it was damaged.
    result: Option<Result<Option<Value>, Trap>>,
}

/// A callee that keeps its arguments and returns `result`, with this damage done to it.
pub fn callee(world: &mut World, ty: &FuncType, result: Option<Value>, damage: Vec<u8>) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (keep, ty) = (Arc::clone(&seen), ty.clone());
    let (params, results) = (Passing::params(&ty), Passing::results(&ty));
    world.guests().core = Some(Box::new(move |domain, slots| {
        let mut half = Half::new(domain, 1);
        let args = run::lift_params(&mut half, &ty, &params, slots)?;
        let mut core = match (&results, &ty.result, &result) {
            (Passing::Flat(_), Some(ty), Some(value)) => run::lower_flat(&mut half, ty, value)?,
            (Passing::Memory(layout), Some(ty), Some(value)) => {
                let side: &mut dyn Side = &mut half;
                let pointer = side.allocate(0, 0, layout.align, layout.size)?;
                run::store(&mut half, ty, value, pointer)?;
                vec![u64::from(pointer)]
            }
            _ => Vec::new(),
        };
        drop(half);
        let mut seen = keep.lock().unwrap();
        seen.args = Some(args);
        if !damage.is_empty() {
            damaged(domain, 1, &damage, &mut core, &Passing::lifted(&params, &results).1);
            seen.result = Some(forgotten(domain, 1, |half| run::lift_results(half, &ty, &results, &core)));
        }
        slots[..core.len()].copy_from_slice(&core);
        Ok(())
    }));
    seen
}

/// Runs the interpreter and undoes what it did to the handles.
fn forgotten<T>(domain: &mut Domain, process: u32, lift: impl FnOnce(&mut dyn Side) -> T) -> T {
    let before = guests_of(domain).handles.clone();
    let result = lift(&mut Half::new(domain, process));
    guests_of(domain).handles.clone_from(&before);
    result
}

/// Flips bits of core values and of memory.
fn damaged(domain: &mut Domain, process: usize, damage: &[u8], core: &mut [u64], types: &[CoreType]) {
    let memory = memory_of(domain, process);
    for flip in damage.chunks_exact(3) {
        let (at, bit) = (usize::from(flip[1]) << 8 | usize::from(flip[2]), flip[0] & 63);
        if flip[0] & 64 == 0 && !core.is_empty() {
            let at = at % core.len();
            let wide = matches!(types[at], CoreType::I64 | CoreType::F64);
            core[at] ^= 1 << if wide { bit } else { bit & 31 };
        } else {
            memory[at % memory.len()] ^= 1 << (bit & 7);
        }
    }
}

fn same<T: std::fmt::Debug>(have: &T, want: &T, ty: &FuncType) {
    assert_eq!(format!("{have:?}"), format!("{want:?}"), "{ty}");
}

/// Adds the pointer to the results, if the call has one.
pub fn with_pointer(world: &mut World, ty: &FuncType, mut core: Vec<u64>) -> Vec<u64> {
    if let Passing::Memory(layout) = Passing::results(ty) {
        core.push(u64::from(allocate(&mut world.domain, 0, [0; 2], layout.align, layout.size)));
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
    Ok(value.expect("what an adapter lowered can be lifted"))
}

/// A call of a random type with random values; `damage` is done to the parameters or to the results.
fn try_call(choices: &[u8], damage: &[u8], damage_results: bool, sides: (usize, usize)) {
    let mut sampler = Sampler::new(choices);
    sampler.resources = vec![DEFINED, ResourceType(1), ResourceType::host(0)];
    let ty = sampler.func(6, 3);
    let args: Vec<Value> = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
    let result = ty.result.as_ref().map(|ty| sampler.value(ty));
    let mut world = World::new(&ty, [ENCODINGS[sides.0], ENCODINGS[sides.1]], sides.0 == 0);
    let params = Passing::params(&ty);
    let lowered = run::lower_params(&mut Half::new(&mut world.domain, 0), &ty, &params, &args);
    let mut core = with_pointer(&mut world, &ty, lowered.unwrap());
    let mut want = Ok(args);
    if !damage_results && !damage.is_empty() {
        let types = Passing::lifted(&params, &Passing::results(&ty)).0;
        damaged(&mut world.domain, 0, damage, &mut core[..types.len()], &types);
        want = forgotten(&mut world.domain, 0, |half| run::lift_params(half, &ty, &params, &core));
    }
    let damage = if damage_results { damage } else { &[] };
    let seen = callee(&mut world, &ty, result.clone(), damage.to_vec());
    let got = call(&mut world, &ty, &core);
    let mut seen = seen.lock().unwrap();
    let expected = match want {
        Err(trap) => {
            assert!(
                seen.args.is_none() && !world.guests().called(CORE),
                "the adapter finds it, not the callee"
            );
            Err(trap)
        }
        Ok(args) => {
            same(&seen.args, &Some(args), &ty);
            seen.result.take().unwrap_or(Ok(result))
        }
    };
    same(&got, &expected, &ty);
    if got.is_ok() {
        let post_return = world.guests().log.last() == Some(&(POST_RETURN, false));
        assert_eq!(post_return, sides.0 == 0, "post-return is called last, and may not call out");
        for (import, may_leave) in &world.guests().log {
            assert_eq!(*may_leave, *import == CORE);
        }
        assert_eq!([0, 1].map(|process| world.domain.flags(process)), [3; 2]);
        assert_eq!(world.guests().handles.depth(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_arrive(choices in prop::collection::vec(any::<u8>(), 0..500), from in 0_usize..3, to in 0_usize..3) {
        try_call(&choices, &[], false, (from, to));
    }

    #[test]
    fn damaged_parameters_trap_alike(
        choices in prop::collection::vec(any::<u8>(), 0..300),
        damage in prop::collection::vec(any::<u8>(), 3..18),
        from in 0_usize..3,
        to in 0_usize..3,
    ) {
        try_call(&choices, &damage, false, (from, to));
    }

    #[test]
    fn damaged_results_trap_alike(
        choices in prop::collection::vec(any::<u8>(), 0..300),
        damage in prop::collection::vec(any::<u8>(), 3..18),
        from in 0_usize..3,
        to in 0_usize..3,
    ) {
        try_call(&choices, &damage, true, (from, to));
    }
}
