//! A process in the hands of a guest: what the fuzz target does, with bytes at random.

use kernel::sched::seeded::Random;

use crate::hostile_segment::check;

#[test]
fn whatever_a_process_writes_is_read_without_harm() {
    let mut random = Random::new(11);
    for case in 0..400 {
        let len = random.below(if case % 4 == 0 { 2000 } else { 60 }) as usize;
        // Small numbers are kinds, lengths and flags: more of them than chance would give.
        let byte = |random: &mut Random| match random.below(3) {
            0 => random.below(8) as u8,
            _ => random.below(256) as u8,
        };
        let data: Vec<u8> = (0..len).map(|_| byte(&mut random)).collect();
        check(&data);
    }
}
