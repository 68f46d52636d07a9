//! Functions of random types, with random values: honest ones, and with one thing wrong.

use abi::fault::Trap;
use abi::flat::CoreType;
use abi::relay::{HEAP, Relay, Relays};
use abi::sample::Sampler;
use abi::types::{FuncType, ResourceType, ValType};
use abi::vary::chance::Chance;

use crate::rung::{Call, Case, Outcome};
use crate::shapes::ENCODINGS;

/// Types that are tried with each run of the tests.
const TYPES: u64 = 24;
/// Calls of each.
const CALLS: usize = 4;
/// Choices that a type and its values are made of.
const CHOICES: usize = 400;

#[test]
fn values_of_random_types_arrive() {
    each_type(|case, calls, _| case.echo(calls));
}

#[test]
fn damage_traps_alike() {
    each_type(|case, calls, chance| {
        let spoilt = Case { front: damaged(&case.ty, &case.front, chance), ..case.clone() };
        spoilt.agree_but(calls, ran_out);
    });
}

/// A rung that copies as it reads runs out of memory for what is too long before it reads what comes after; one that reads
/// everything first finds what is wrong with that.
fn ran_out(interpreted: &Outcome, have: &Outcome) -> bool {
    let exhausted = |outcome: &Outcome| {
        matches!(
            outcome.returned,
            Err(Trap::ReallocOutOfBounds { .. } | Trap::MemoryOutOfBounds | Trap::Limit { .. })
        )
    };
    interpreted.returned.is_err() && (exhausted(have) || exhausted(interpreted))
}

fn each_type(check: impl Fn(&Case, &[Call], &mut Chance)) {
    let types =
        std::env::var("ATOLL_LADDER_TYPES").ok().and_then(|types| types.parse().ok()).unwrap_or(TYPES);
    let (mut seed, mut tried) = (0, 0);
    while tried < types {
        let mut chance = Chance::new(seed);
        seed += 1;
        let choices: Vec<u8> = (0..CHOICES / 8).flat_map(|_| chance.bits().to_le_bytes()).collect();
        let mut sampler = Sampler::new(&choices);
        sampler.resources = vec![ResourceType::host(0), ResourceType::host(1)];
        let ty = sampler.func(6, 3);
        // A relay gives back what it borrowed where it knows the place.
        let nested = |ty: &ValType| ty.has_borrow() && !matches!(ty, ValType::Borrow(_));
        if ty.params.iter().any(|(_, ty)| nested(ty)) || Relays::of(&ty).is_none() {
            continue;
        }
        tried += 1;
        let [front, back] = [(); 2].map(|()| Relay::in_encoding(ENCODINGS[chance.below(3)]));
        let calls: Vec<Call> = (0..CALLS).map(|_| values(&ty, &mut chance)).collect();
        check(&Case { ty, front, back }, &calls, &mut chance);
    }
}

fn values(ty: &FuncType, chance: &mut Chance) -> Call {
    let choices: Vec<u8> = (0..CHOICES / 8).flat_map(|_| chance.bits().to_le_bytes()).collect();
    let mut sampler = Sampler::new(&choices);
    let args = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
    Call { args, result: ty.result.as_ref().map(|ty| sampler.value(ty)) }
}

/// A front that spoils one core value on its way, or one byte in its memory where its parameters are.
fn damaged(ty: &FuncType, front: &Relay, chance: &mut Chance) -> Relay {
    let relays = Relays::of(ty).expect("it was checked");
    let core = relays.core_params();
    let mut front = front.clone();
    if chance.one_in(2) || core.is_empty() {
        let (at, bit) = (HEAP as usize + chance.below(64), 1 << chance.below(8));
        front.before = format!(
            "(i32.store8 (i32.const {at}) (i32.xor (i32.load8_u (i32.const {at})) (i32.const {bit})))"
        );
        return front;
    }
    let spoilt = chance.below(core.len());
    // Small changes that lead elsewhere nearby, and large ones that lead nowhere.
    let bit = [0, 1, 2, 3, 4, 5, 6, 7, 30, 31][chance.below(10)];
    let arg = |(at, ty): (usize, &CoreType)| match ty {
        _ if at != spoilt => format!("(local.get {at})"),
        CoreType::I32 => format!("(i32.xor (local.get {at}) (i32.const {}))", 1_u32 << bit),
        CoreType::I64 => format!("(i64.xor (local.get {at}) (i64.const {}))", 1_u64 << bit),
        CoreType::F32 => format!("(f32.neg (local.get {at}))"),
        CoreType::F64 => format!("(f64.neg (local.get {at}))"),
    };
    front.passes = Some(core.iter().enumerate().map(arg).collect());
    front
}
