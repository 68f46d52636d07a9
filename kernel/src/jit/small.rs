//! Functions so small that whoever calls them is better off with their body: kept with a library as they were written,
//! to be written again where they are called from another component.
//!
//! Only what can neither trap nor wait: arithmetic on parameters and on globals, and calls of imports, whose adapter says to
//! backtraces who called. So nobody misses the frame that is not there.

use wasmparser::{BinaryReader, FunctionBody, Operator};

/// Bytes of a body that is kept.
const MAX_BYTES: usize = 48;

/// A body that is kept.
#[derive(Clone, Debug)]
pub struct SmallBody {
    bytes: Box<[u8]>,
}

impl SmallBody {
    /// The body of a function, if it is one to keep.
    #[must_use]
    pub fn of(body: &FunctionBody<'_>) -> Option<SmallBody> {
        let small = SmallBody { bytes: body.as_bytes().into() };
        (small.bytes.len() <= MAX_BYTES && small.operators()?.iter().all(allowed)).then_some(small)
    }

    /// Its operators, without the last, which is `end`; none if it has locals besides its parameters.
    #[must_use]
    pub fn operators(&self) -> Option<Vec<Operator<'_>>> {
        let body = FunctionBody::new(BinaryReader::new(&self.bytes, 0));
        if body.get_locals_reader().ok()?.get_count() != 0 {
            return None;
        }
        let mut operators: Vec<_> =
            body.get_operators_reader().ok()?.into_iter().collect::<Result<_, _>>().ok()?;
        matches!(operators.pop(), Some(Operator::End)).then_some(operators)
    }
}

fn allowed(op: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        op,
        Op::LocalGet { .. }
            | Op::GlobalGet { .. }
            | Op::GlobalSet { .. }
            | Op::Call { .. }
            | Op::Drop
            | Op::Nop
            | Op::I32Const { .. }
            | Op::I64Const { .. }
            | Op::I32Eqz
            | Op::I32Eq
            | Op::I32Ne
            | Op::I64Eqz
            | Op::I64Eq
            | Op::I64Ne
            | Op::I32LtS
            | Op::I32LtU
            | Op::I32GtS
            | Op::I32GtU
            | Op::I64LtS
            | Op::I64LtU
            | Op::I32LeS
            | Op::I32LeU
            | Op::I32GeS
            | Op::I32GeU
            | Op::I64GtS
            | Op::I64GtU
            | Op::I64LeS
            | Op::I64LeU
            | Op::I64GeS
            | Op::I64GeU
            | Op::I32Add
            | Op::I32Sub
            | Op::I32Mul
            | Op::I32And
            | Op::I32Or
            | Op::I32Xor
            | Op::I64Add
            | Op::I64Sub
            | Op::I64Mul
            | Op::I64And
            | Op::I64Or
            | Op::I64Xor
            | Op::I32Shl
            | Op::I32ShrS
            | Op::I32ShrU
            | Op::I32Rotl
            | Op::I32Rotr
            | Op::I64Shl
            | Op::I64ShrS
            | Op::I64ShrU
            | Op::I64Rotl
            | Op::I64Rotr
    )
}
