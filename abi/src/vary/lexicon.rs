//! Numbers and texts that a program has shown interest in: what it compared its input with.

use super::chance::Chance;

/// Numbers of each kind that are kept; later ones take the place of random earlier ones.
const KEPT: usize = 512;

/// What to try again elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    numbers: Vec<u64>,
    texts: Vec<Vec<u8>>,
}

impl Lexicon {
    /// Learns a number.
    pub fn learn_number(&mut self, number: u64, chance: &mut Chance) {
        keep(&mut self.numbers, number, chance);
    }

    /// Learns a text, UTF-8 or not.
    pub fn learn_text(&mut self, text: &[u8], chance: &mut Chance) {
        if !text.is_empty() {
            keep(&mut self.texts, text.to_vec(), chance);
        }
    }

    /// One of the numbers.
    pub fn number(&self, chance: &mut Chance) -> Option<u64> {
        chance.pick(&self.numbers).copied()
    }

    /// One of the texts, as bytes.
    pub fn bytes(&self, chance: &mut Chance) -> Option<&[u8]> {
        chance.pick(&self.texts).map(Vec::as_slice)
    }

    /// One of the texts, if the one picked is UTF-8.
    pub fn text(&self, chance: &mut Chance) -> Option<&str> {
        std::str::from_utf8(self.bytes(chance)?).ok()
    }
}

fn keep<T: PartialEq>(list: &mut Vec<T>, item: T, chance: &mut Chance) {
    if list.contains(&item) {
        return;
    }
    if list.len() < KEPT {
        list.push(item);
    } else {
        list[chance.below(KEPT)] = item;
    }
}
