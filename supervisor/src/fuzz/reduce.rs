//! A finding made small: fewer calls, then simpler values, as long as the same is wrong.

use abi::vary::shrink::simpler;

use super::steps::{Sequence, Step};
use super::surface::Surface;

/// A smaller sequence of which `still` holds as it does of `sequence`; it is asked at most `tries` times.
pub fn reduce(
    surface: &Surface,
    sequence: &Sequence,
    mut tries: usize,
    mut still: impl FnMut(&Sequence) -> bool,
) -> Sequence {
    let mut least = sequence.clone();
    let mut accept = |least: &mut Sequence, candidate: Sequence| {
        if tries == 0 {
            return false;
        }
        tries -= 1;
        let better = still(&candidate);
        if better {
            *least = candidate;
        }
        better
    };
    if least.answers != 0 {
        let plain = Sequence { answers: 0, ..least.clone() };
        accept(&mut least, plain);
    }
    loop {
        let before = least.clone();
        fewer(&mut least, &mut accept);
        simplify(surface, &mut least, &mut accept);
        if least == before {
            return least;
        }
    }
}

/// Leaves out calls: halves, quarters …, single ones, from the end.
fn fewer(least: &mut Sequence, accept: &mut impl FnMut(&mut Sequence, Sequence) -> bool) {
    let mut size = least.steps.len();
    while size > 0 {
        let mut end = least.steps.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let mut candidate = least.clone();
            candidate.steps.drain(start..end.min(candidate.steps.len()));
            accept(least, candidate);
            end = start.min(least.steps.len());
        }
        size /= 2;
    }
}

fn simplify(
    surface: &Surface,
    least: &mut Sequence,
    accept: &mut impl FnMut(&mut Sequence, Sequence) -> bool,
) {
    for at in 0..least.steps.len() {
        let Step::Call { entry, args } = &least.steps[at] else { continue };
        let (entry, count) = (*entry, args.len());
        for which in 0..count {
            let (_, ty) = &surface.entries[entry].ty().params[which];
            while let Step::Call { args, .. } = &least.steps[at] {
                let found = simpler(ty, &args[which]).into_iter().any(|value| {
                    let mut candidate = least.clone();
                    if let Step::Call { args, .. } = &mut candidate.steps[at] {
                        args[which] = value;
                    }
                    accept(least, candidate)
                });
                if !found {
                    break;
                }
            }
        }
    }
}
