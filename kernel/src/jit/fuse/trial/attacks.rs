//! Guests that do what they like: any core values, any bytes in memory, an allocator that lies, any handle.

use std::sync::OnceLock;

use abi::flat::CoreType;
use abi::sample::Sampler;
use abi::side::Encoding;
use abi::types::ResourceType;

use super::oracle::{Plot, attempts};
use super::ploy::Ploy;
use super::rig::{CORE, DEFINED, DESTROYED, POST_RETURN, REALLOC, Rig, host};
use crate::jit::fuse::spec::AdapterSpec;
use crate::vm::flags::{MAY_ENTER, MAY_LEAVE};

/// Types of the handles that are made and dropped: with a destructor, without one, and another domain's.
const HANDLE_TYPES: [ResourceType; 3] = [DEFINED, ResourceType(1), DESTROYED];
/// Calls for which one adapter is compiled: that takes far longer than a call.
const ROUNDS: u32 = 8;

/// Calls between two processes that agree with the interpreter: values of a random type in random encodings arrive, and
/// damage to them traps alike.
///
/// # Panics
/// If they do not agree.
pub fn try_calls(choices: &[u8]) {
    attempts(Sampler::new(choices), ROUNDS, |sampler| match sampler.below(3) {
        0 => Plot::default(),
        which => Plot { damage: damage(sampler), damage_results: which == 1, ..Plot::default() },
    });
}

/// The same with a hostile guest on each side.
///
/// # Panics
/// If the adapter changes what it may not, goes on where it must trap, or traps for another reason.
pub fn try_hostile(choices: &[u8]) {
    attempts(Sampler::new(choices), ROUNDS, |sampler| {
        let ploys = [(); 2].map(|()| (0..sampler.below(4)).map(|_| Ploy::any(sampler)).collect());
        let pointer = match sampler.below(8) {
            0 => Some(sampler.below(128)),
            1 => Some(u32::MAX - sampler.below(32)),
            2 => Some(1 << sampler.below(32)),
            _ => None,
        };
        let damage_results = sampler.below(2) == 1;
        Plot { damage: damage(sampler), damage_results, ploys, pointer }
    });
}

/// `resource.new`, `resource.rep` and `resource.drop` in any order with any handles, in compiled code and in the tables
/// of the interpreter, while scopes open and close and handles are lent.
///
/// # Panics
/// If a result, a trap or what is left differs.
pub fn try_handles(choices: &[u8]) {
    static RIG: OnceLock<Rig> = OnceLock::new();
    let mut sampler = Sampler::new(choices);
    let types = HANDLE_TYPES;
    let mut world = RIG.get_or_init(handle_rig).world();
    let mut model = world.guests().handles.clone();
    // Choices that have ended are all the first one.
    for _ in 0..choices.len() {
        let process = sampler.below(2);
        let which = sampler.below(3) as usize;
        let ty = types[which];
        let index = sampler.below(8);
        let handles = &mut world.guests().handles;
        match sampler.below(10) {
            0 => assert_eq!(handles.enter(), model.enter()),
            1 => assert_eq!(handles.exit(), model.exit()),
            2 => assert_eq!(handles.lend(process, ty, index), model.lend(process, ty, index)),
            3 => assert_eq!(handles.borrow(process, ty, index), model.borrow(process, ty, index)),
            builtin => {
                let builtin = (builtin % 3) as usize;
                let want = match builtin {
                    0 => model.add_own(process, ty, index).map(|index| vec![u64::from(index)]),
                    1 => model.rep(process, ty, index).map(|rep| vec![u64::from(rep)]),
                    _ => model.drop(process, ty, index).map(|_| Vec::new()),
                };
                let nth = (process as usize * types.len() + which) * 3 + builtin;
                let got = world.call_nth(nth, process, &[u64::from(index)]).map_err(|fault| fault.trap);
                assert_eq!(got, want, "{process} {ty:?} {builtin} {index}");
                // A fault ends its process; here it goes on.
                world.domain.set_flags(process, MAY_ENTER | MAY_LEAVE);
            }
        }
    }
    let handles = &mut world.guests().handles;
    for (process, ty) in [0, 1].into_iter().flat_map(|process| types.map(|ty| (process, ty))) {
        for index in 0..choices.len() as u32 + 2 {
            assert_eq!(handles.rep(process, ty, index), model.rep(process, ty, index));
            assert_eq!(handles.drop(process, ty, index), model.drop(process, ty, index));
        }
    }
}

/// The three built-ins of every type for both processes, in the order of their numbers.
fn handle_rig() -> Rig {
    let specs = (0..2).flat_map(|process| {
        HANDLE_TYPES.into_iter().flat_map(move |ty| {
            [
                AdapterSpec::ResourceNew { process, ty },
                AdapterSpec::ResourceRep { process, ty },
                AdapterSpec::ResourceDrop { process, ty },
            ]
        })
    });
    let slots =
        [REALLOC[0], REALLOC[1], CORE, POST_RETURN].map(|import| host(import, 2, &[CoreType::I32], &[]));
    Rig::with(slots.into(), specs.collect(), [Encoding::Utf8; 2])
}

fn damage(sampler: &mut Sampler<'_>) -> Vec<u8> {
    (0..3 * sampler.below(6)).map(|_| sampler.below(256) as u8).collect()
}
