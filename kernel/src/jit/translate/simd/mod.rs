//! Vector operators (the SIMD and relaxed-SIMD parts of the core specification).
//!
//! - [`int_lanes`], [`float_lanes`]: arithmetic and comparisons, lane by lane
//! - [`lane_move`]: lanes in and out, shuffles, whole-vector bits
//! - [`lane_convert`]: between lane widths, integers and floats
//! - [`vector_memory`]: loads and stores
//! - [`relaxed`]: operators with more than one right answer

mod float_lanes;
mod int_lanes;
mod lane_convert;
mod lane_move;
mod relaxed;
mod vector_memory;

use wasmparser::Operator;

use super::operands::Operands;

/// Translates every operator on `v128`; false for any other operator.
pub(super) fn simd<'f>(t: &mut impl Operands<'f>, op: &Operator<'_>) -> bool {
    vector_memory::vector_memory(t, op)
        || lane_move::lane_move(t, op)
        || int_lanes::int_lanes(t, op)
        || float_lanes::float_lanes(t, op)
        || lane_convert::lane_convert(t, op)
        || relaxed::relaxed(t, op)
}
