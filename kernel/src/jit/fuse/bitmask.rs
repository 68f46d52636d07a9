//! Elements of lists that are copied by vectors though not every bit of them may cross, or not every value: there is padding
//! between their fields, a `bool` is any byte but arrives as 0 or 1, `flags` have fewer labels than bits, an `enum` fewer cases
//! than its byte has values, a `char` is no surrogate.
//!
//! What arrives is what field by field would, and padding stays what it was: it is nobody's, on either side. Nothing is stored of
//! a round in which something is wrong.

use abi::layout::{Layout, offsets};
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};

use super::copy::all_bits;
use super::emit::Emit;
use super::region::Region;

/// Bytes of a vector.
const VECTOR: usize = 16;
/// More bytes than this are no round: their elements are long enough to be copied one by one.
const MOST_BYTES: usize = 8 * VECTOR;

/// What becomes of each bit of some elements, and which values they may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bitmask {
    /// Bits that cross as they are.
    keep: Vec<u8>,
    /// The lowest bit of each `bool`.
    bools: Vec<u8>,
    /// All bits of what is between fields.
    padding: Vec<u8>,
    /// The highest value of each byte.
    most: Vec<u8>,
    /// All bits of each `char`.
    chars: Vec<u8>,
}

/// A round that is loaded and not stored yet.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Not zero if something is wrong.
    pub wrong: Option<Value>,
    /// What is to be stored where, if not.
    pub stores: Vec<(Region, Value)>,
}

impl Bitmask {
    /// The mask for as few elements of these types one after another as fill whole vectors; `None` if they are too many,
    /// or if there is more to an element than its bytes.
    pub fn of(elem: &[&ValType]) -> Option<Bitmask> {
        let bytes = Layout::tuple(elem.iter().copied()).size as usize;
        if bytes == 0 || bytes > MOST_BYTES {
            return None;
        }
        let [keep, bools, chars] = [(); 3].map(|()| vec![0; bytes]);
        let [padding, most] = [(); 2].map(|()| vec![0xFF; bytes]);
        let mut mask = Bitmask { keep, bools, padding, most, chars };
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
        self.each(|bits| bits.repeat(times))
    }

    /// The part of a vector.
    fn vector(&self, at: usize) -> Bitmask {
        self.each(|bits| bits[at..at + VECTOR].to_vec())
    }

    fn each(&self, change: impl Fn(&[u8]) -> Vec<u8>) -> Bitmask {
        let Bitmask { keep, bools, padding, most, chars } = self;
        let [keep, bools, padding, most, chars] =
            [keep, bools, padding, most, chars].map(|bits| change(bits));
        Bitmask { keep, bools, padding, most, chars }
    }

    fn mark_fields(&mut self, types: &[&ValType], at: usize) -> Option<()> {
        for (ty, offset) in types.iter().zip(offsets(types.iter().copied())) {
            self.mark(ty, at + offset as usize)?;
        }
        Some(())
    }

    fn mark(&mut self, ty: &ValType, at: usize) -> Option<()> {
        match ty {
            ValType::Record(fields) => {
                let types: Vec<&ValType> = fields.iter().map(|field| &field.ty).collect();
                self.mark_fields(&types, at)
            }
            ValType::Tuple(types) => self.mark_fields(&types.iter().collect::<Vec<_>>(), at),
            ValType::FixedList(elem, count) => {
                let bytes = Layout::of(elem).size as usize;
                (0..*count as usize).try_for_each(|nth| self.mark(elem, at + nth * bytes))
            }
            leaf => self.mark_leaf(leaf, at),
        }
    }

    fn mark_leaf(&mut self, ty: &ValType, at: usize) -> Option<()> {
        let bytes = at..at + Layout::of(ty).size as usize;
        self.padding[bytes.clone()].fill(0);
        self.keep[bytes.clone()].fill(0xFF);
        match ty {
            ValType::Bool => {
                self.keep[at] = 0;
                self.bools[at] = 1;
            }
            ValType::Flags(labels) => {
                let bits = u32::MAX.checked_shr(32 - labels.len() as u32).unwrap_or(0).to_le_bytes();
                self.keep[bytes.clone()].copy_from_slice(&bits[..bytes.len()]);
            }
            ValType::Char => self.chars[bytes].fill(0xFF),
            ty if all_bits(ty) => {}
            ty => {
                let cases = ty.cases()?;
                let has_payload = cases.iter().any(Option::is_some);
                self.most[at] = u8::try_from(cases.len().checked_sub(1)?).ok().filter(|_| !has_payload)?;
            }
        }
        Some(())
    }
}

impl Emit<'_> {
    /// Loads elements as a mask says, which are to be stored in a region of as many bytes.
    pub fn load_by_mask(&mut self, from: Region, to: Region, mask: &Bitmask) -> Round {
        let (mut stores, mut beyond, mut farthest) = (Vec::new(), None, None);
        for at in (0..mask.keep.len()).step_by(VECTOR) {
            let [from, to] = [from, to].map(|region| region.part(at as u32, VECTOR as u32));
            let mask = mask.vector(at);
            let value = self.load(from, types::I8X16);
            if mask.most.iter().any(|most| *most != 0xFF) {
                let most = self.vector(&mask.most);
                let over = self.builder.ins().usub_sat(value, most);
                beyond = Some(beyond.map_or(over, |before| self.builder.ins().bor(before, over)));
            }
            if any(&mask.chars) {
                let far = self.beyond_surrogates(value, &mask.chars);
                farthest = Some(farthest.map_or(far, |before| self.builder.ins().umax(before, far)));
            }
            let arrives = self.arrives(value, to, &mask);
            stores.push((to, arrives));
        }
        let invalid = farthest.map(|far| {
            let limit = self.words(0x10_FFFF - 0x800);
            let large = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, far, limit);
            self.viewed(large, types::I8X16)
        });
        let wrong = match (beyond, invalid) {
            (Some(beyond), Some(invalid)) => Some(self.builder.ins().bor(beyond, invalid)),
            (one, other) => one.or(other),
        };
        Round { wrong: wrong.map(|wrong| self.builder.ins().vany_true(wrong)), stores }
    }

    /// What is to be stored of a vector.
    fn arrives(&mut self, value: Value, to: Region, mask: &Bitmask) -> Value {
        let kept = self.masked(value, &mask.keep);
        let truths = any(&mask.bools).then(|| {
            let zero = self.vector(&[0; VECTOR]);
            let truth = self.builder.ins().icmp(IntCC::NotEqual, value, zero);
            self.masked(truth, &mask.bools)
        });
        let stays = any(&mask.padding).then(|| {
            let before = self.load(to, types::I8X16);
            self.masked(before, &mask.padding)
        });
        [truths, stays].into_iter().flatten().fold(kept, |all, part| self.builder.ins().bor(all, part))
    }

    /// A number for each `char`, which is at most 0x10F7FF if that is one: surrogates wrap around. 0 for what is none.
    fn beyond_surrogates(&mut self, value: Value, chars: &[u8]) -> Value {
        let value = self.viewed(value, types::I32X4);
        let (surrogates, many) = (self.words(0xD800), self.words(0x800));
        let turned = self.builder.ins().bxor(value, surrogates);
        let far = self.builder.ins().isub(turned, many);
        let far = self.viewed(far, types::I8X16);
        let far = self.masked(far, chars);
        self.viewed(far, types::I32X4)
    }

    fn masked(&mut self, value: Value, bits: &[u8]) -> Value {
        if bits.iter().all(|byte| *byte == 0xFF) {
            return value;
        }
        let bits = self.vector(bits);
        self.builder.ins().band(value, bits)
    }

    /// A constant.
    fn vector(&mut self, bytes: &[u8]) -> Value {
        let constant = self.builder.func.dfg.constants.insert(bytes.to_vec().into());
        self.builder.ins().vconst(types::I8X16, constant)
    }

    /// A constant of four times the same number.
    fn words(&mut self, word: u32) -> Value {
        let words = self.vector(&word.to_le_bytes().repeat(4));
        self.viewed(words, types::I32X4)
    }

    /// The same bits.
    fn viewed(&mut self, value: Value, ty: Type) -> Value {
        let little = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.builder.ins().bitcast(ty, little, value)
    }
}

fn any(bits: &[u8]) -> bool {
    bits.iter().any(|byte| *byte != 0)
}
