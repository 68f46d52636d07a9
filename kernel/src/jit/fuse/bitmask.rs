//! Elements of lists that are copied by vectors though not every bit of them may cross: there is padding between their
//! fields, a `bool` is any byte but arrives as 0 or 1, `flags` have fewer labels than bits.
//!
//! What arrives is what field by field would, and padding stays what it was: it is nobody's, on either side.

use abi::layout::{Layout, offsets};
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::copy::all_bits;
use super::emit::Emit;
use super::region::Region;

/// Bytes of a vector.
const VECTOR: usize = 16;
/// More bytes than this are no round: their elements are long enough to be copied one by one.
const MOST_BYTES: usize = 8 * VECTOR;

/// What becomes of each bit of some elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bitmask {
    /// Bits that cross as they are.
    keep: Vec<u8>,
    /// The lowest bit of each `bool`.
    bools: Vec<u8>,
    /// All bits of what is between fields.
    padding: Vec<u8>,
}

impl Bitmask {
    /// The mask for as few elements of these types one after another as fill whole vectors; `None` if they are too many,
    /// or if an element may be wrong or has more to it than its bytes.
    pub fn of(elem: &[&ValType]) -> Option<Bitmask> {
        let bytes = Layout::tuple(elem.iter().copied()).size as usize;
        if bytes == 0 || bytes > MOST_BYTES {
            return None;
        }
        let mut mask = Bitmask { keep: vec![0; bytes], bools: vec![0; bytes], padding: vec![0xFF; bytes] };
        mask.mark_fields(elem, 0)?;
        let times = (1..=VECTOR).find(|times| (bytes * times).is_multiple_of(VECTOR))?;
        (bytes * times <= MOST_BYTES).then(|| mask.repeated(times))
    }

    /// The same for as many more elements as about `bytes` bytes have.
    pub fn rounds(&self, bytes: u32) -> Bitmask {
        self.repeated((bytes as usize / self.keep.len()).max(1))
    }

    /// How many bytes the elements have.
    pub fn bytes(&self) -> u32 {
        self.keep.len() as u32
    }

    fn repeated(&self, times: usize) -> Bitmask {
        let Bitmask { keep, bools, padding } = self;
        Bitmask { keep: keep.repeat(times), bools: bools.repeat(times), padding: padding.repeat(times) }
    }

    fn mark_fields(&mut self, types: &[&ValType], at: usize) -> Option<()> {
        for (ty, offset) in types.iter().zip(offsets(types.iter().copied())) {
            self.mark(ty, at + offset as usize)?;
        }
        Some(())
    }

    fn mark(&mut self, ty: &ValType, at: usize) -> Option<()> {
        let bytes = Layout::of(ty).size as usize;
        match ty {
            ValType::Bool => {
                self.bools[at] = 1;
                self.padding[at] = 0;
            }
            ValType::Flags(labels) => {
                let bits = u32::MAX.checked_shr(32 - labels.len() as u32).unwrap_or(0).to_le_bytes();
                self.keep[at..at + bytes].copy_from_slice(&bits[..bytes]);
                self.padding[at..at + bytes].fill(0);
            }
            ValType::Record(fields) => {
                let types: Vec<&ValType> = fields.iter().map(|field| &field.ty).collect();
                self.mark_fields(&types, at)?;
            }
            ValType::Tuple(types) => self.mark_fields(&types.iter().collect::<Vec<_>>(), at)?,
            ValType::FixedList(elem, count) => {
                let bytes = Layout::of(elem).size as usize;
                (0..*count as usize).try_for_each(|nth| self.mark(elem, at + nth * bytes))?;
            }
            ty if all_bits(ty) => {
                self.keep[at..at + bytes].fill(0xFF);
                self.padding[at..at + bytes].fill(0);
            }
            _ => return None,
        }
        Some(())
    }
}

impl Emit<'_> {
    /// Copies elements as a mask says, between regions of as many bytes.
    pub fn copy_by_mask(&mut self, from: Region, to: Region, mask: &Bitmask) {
        for at in (0..mask.keep.len()).step_by(VECTOR) {
            let [keep, bools, padding] =
                [&mask.keep, &mask.bools, &mask.padding].map(|bits| &bits[at..at + VECTOR]);
            let [from, to] = [from, to].map(|region| region.part(at as u32, VECTOR as u32));
            let value = self.load(from, types::I8X16);
            let kept = self.masked(value, keep);
            let truths = any(bools).then(|| {
                let zero = self.bytes_of(&[0; VECTOR]);
                let truth = self.builder.ins().icmp(IntCC::NotEqual, value, zero);
                self.masked(truth, bools)
            });
            let stays = any(padding).then(|| {
                let before = self.load(to, types::I8X16);
                self.masked(before, padding)
            });
            let arrives = [truths, stays]
                .into_iter()
                .flatten()
                .fold(kept, |all, part| self.builder.ins().bor(all, part));
            self.store(to, arrives);
        }
    }

    fn masked(&mut self, value: Value, bits: &[u8]) -> Value {
        if bits.iter().all(|byte| *byte == 0xFF) {
            return value;
        }
        let bits = self.bytes_of(bits);
        self.builder.ins().band(value, bits)
    }

    fn bytes_of(&mut self, bytes: &[u8]) -> Value {
        let constant = self.builder.func.dfg.constants.insert(bytes.to_vec().into());
        self.builder.ins().vconst(types::I8X16, constant)
    }
}

fn any(bits: &[u8]) -> bool {
    bits.iter().any(|byte| *byte != 0)
}
