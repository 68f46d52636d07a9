//! Random bytes behind an input: libFuzzer begins with short ones, and those alone make nothing of interest.

/// The same bytes, with random ones after them up to a length.
#[must_use]
pub fn stretched(data: &[u8], to: usize) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut state = data.iter().fold(0x9e37_79b9_7f4a_7c15, |state, byte| mixed(state ^ u64::from(*byte)));
    while bytes.len() < to {
        state = mixed(state);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// SplitMix64: the next word after this one.
#[must_use]
pub fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
