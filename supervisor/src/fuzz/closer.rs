//! A closer look at a sequence: what the guest compares in it, and sequences in which that is equal.

use std::collections::{BTreeSet, HashMap};

use abi::value::Value;
use abi::vary::chance::Chance;
use abi::vary::lexicon::Lexicon;
use abi::vary::satisfy::{Pair, satisfying};
use kernel::jit::watch::Compared;

use super::harness::Harness;
use super::steps::{Sequence, Step};
use super::surface::Surface;

/// Sequences that are made of what one sequence was seen to compare.
const CLOSER: usize = 300;
/// Pairs of operands that are kept of one comparison.
const PAIRS_A_SITE: usize = 6;
/// Pairs of operands that are kept at all.
const PAIRS: usize = 600;

/// What was compared while a sequence ran.
#[derive(Debug, Default)]
pub struct Seen {
    numbers: Vec<Compared>,
    texts: BTreeSet<[Vec<u8>; 2]>,
}

/// One argument of one call, replaced.
struct Solution {
    step: usize,
    arg: usize,
    value: Value,
}

/// Solutions, of which any few are kept if there are many.
struct Solutions<'c> {
    kept: Vec<Solution>,
    met: usize,
    chance: &'c mut Chance,
}

impl Seen {
    /// Runs a sequence where comparisons are watched, and adds what was seen.
    pub fn look(&mut self, closer: &Harness, sequence: &Sequence) {
        let board = closer.board();
        let _ = board.take_compares();
        let _ = closer.run(sequence);
        board.take_edges(|_, _| {});
        self.numbers.extend(distinct(board.take_compares()));
        self.texts.extend(board.take_texts());
    }

    /// Sequences like this one in which something that was compared is equal. What could be put somewhere is learnt.
    pub fn solutions(
        &self,
        surface: &Surface,
        sequence: &Sequence,
        lexicon: &mut Lexicon,
        chance: &mut Chance,
    ) -> Vec<Sequence> {
        let mut learning = chance.clone();
        let mut solutions = Solutions { kept: Vec::new(), met: 0, chance };
        for Compared { bits, left, right, .. } in &self.numbers {
            for (from, to) in [(*left, *right), (*right, *left)] {
                let found = solutions.solve(surface, sequence, Pair::Numbers { bits: *bits, from, to });
                if found || (to > 255 && learning.one_in(8)) {
                    lexicon.learn_number(to, &mut learning);
                }
            }
        }
        for [left, right] in &self.texts {
            for (from, to) in [(left, right), (right, left)] {
                if solutions.solve(surface, sequence, Pair::Texts { from, to }) {
                    lexicon.learn_text(to, &mut learning);
                }
            }
        }
        solutions.kept.into_iter().map(|solution| solution.of(sequence)).collect()
    }
}

impl Solutions<'_> {
    /// Adds those of one pair; whether there are any.
    fn solve(&mut self, surface: &Surface, sequence: &Sequence, pair: Pair<'_>) -> bool {
        let before = self.met;
        for (step, call) in sequence.steps.iter().enumerate() {
            let Step::Call { entry, args } = call else { continue };
            for (arg, (_, ty)) in surface.entries[*entry].ty().params.iter().enumerate() {
                for value in satisfying(ty, &args[arg], pair) {
                    self.add(Solution { step, arg, value });
                }
            }
        }
        self.met > before
    }

    fn add(&mut self, solution: Solution) {
        self.met += 1;
        if self.kept.len() < CLOSER {
            return self.kept.push(solution);
        }
        let at = self.chance.below(self.met);
        if let Some(place) = self.kept.get_mut(at) {
            *place = solution;
        }
    }
}

impl Solution {
    fn of(self, sequence: &Sequence) -> Sequence {
        let mut sequence = sequence.clone();
        if let Step::Call { args, .. } = &mut sequence.steps[self.step] {
            args[self.arg] = self.value;
        }
        sequence
    }
}

/// Pairs of different operands, the last few of each comparison.
fn distinct(compared: Vec<Compared>) -> Vec<Compared> {
    let mut sites: HashMap<u32, usize> = HashMap::new();
    let mut seen = BTreeSet::new();
    let mut kept: Vec<Compared> = Vec::new();
    for pair in compared.into_iter().rev().filter(|pair| pair.left != pair.right) {
        let count = sites.entry(pair.site).or_default();
        if *count < PAIRS_A_SITE && kept.len() < PAIRS && seen.insert(pair) {
            *count += 1;
            kept.push(pair);
        }
    }
    kept
}
