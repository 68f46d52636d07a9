//! Lists and maps between two memories: checked once, allocated once, and copied in one go where every byte may cross
//! as it is (CanonicalABI.md, `load_list_from_range`, `store_list_into_range`).

use abi::layout::Layout;
use abi::limits::MAX_LIST_BYTES;
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::bitmask::Bitmask;
use super::copy::{Lane, Source, Target, tight};
use super::emit::Emit;
use super::reason::Reason;
use super::region::Region;

impl Emit<'_> {
    /// Copies a list whose elements are these types one after another; gives the new pointer.
    pub fn copy_list(&mut self, lane: &Lane, elem: &[&ValType], pointer: Value, count: Value) -> Value {
        let layout = Layout::tuple(elem.iter().copied());
        let count = self.wide(count);
        let bytes = self.builder.ins().imul_imm_u(count, i64::from(layout.size));
        let long =
            self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, bytes, i64::from(MAX_LIST_BYTES));
        self.fail_if(long, Reason::ListTooLong, &[bytes]);
        self.check_align(pointer, layout.align, Reason::UnalignedList);
        let from = self.check_range(&lane.from, pointer, bytes, Reason::ListOutOfBounds);
        self.carry_always(lane, elem, count);
        let nothing = self.int(types::I32, 0);
        let pointer = self.allocate(&lane.to, [nothing; 2], layout.align, bytes);
        let to = self.address(&lane.to, pointer);
        if tight(elem.iter().copied(), layout) {
            self.move_bytes(to, from, bytes);
        } else {
            self.copy_elements(lane, elem, from, to, count);
        }
        pointer
    }

    /// Copies `count` elements between checked addresses.
    pub fn copy_elements(&mut self, lane: &Lane, elem: &[&ValType], from: Value, to: Value, count: Value) {
        let layout = Layout::tuple(elem.iter().copied());
        if layout.size == 0 {
            return;
        }
        let bytes = self.builder.ins().imul_imm_u(count, i64::from(layout.size));
        let mut at = self.int(types::I64, 0);
        if matches!(elem, [ValType::Char]) {
            at = self.copy_chars(from, to, bytes, at);
        } else if let Some(mask) = Bitmask::of(elem) {
            at = self.copy_masked((from, to), bytes, at, &mask.rounds(LONG_ROUND));
            at = self.copy_masked((from, to), bytes, at, &mask.rounds(0));
        }
        self.rounds(bytes, at, layout.size, |emit, at| {
            let [from, to] =
                [from, to].map(|base| Region::checked(emit.builder.ins().iadd(base, at), layout.size));
            emit.copy_tuple(lane, elem, Source::Memory(from), Target::Memory(to));
            None
        });
    }

    /// Copies as many elements as the mask is for, as long as there are so many left; gives the offset where there are not.
    fn copy_masked(&mut self, (from, to): (Value, Value), bytes: Value, at: Value, mask: &Bitmask) -> Value {
        let round = mask.bytes();
        self.rounds(bytes, at, round, |emit, at| {
            let [from, to] = [from, to].map(|base| Region::checked(emit.builder.ins().iadd(base, at), round));
            emit.copy_by_mask(from, to, mask);
            None
        })
    }

    /// Copies characters four at a time as long as they are valid; gives the offset of those that are not, or too few.
    fn copy_chars(&mut self, from: Value, to: Value, bytes: Value, at: Value) -> Value {
        self.rounds(bytes, at, types::I32X4.bytes(), |emit, at| {
            let [from, to] = [from, to].map(|base| {
                let address = emit.builder.ins().iadd(base, at);
                Region::checked(address, types::I32X4.bytes())
            });
            let chars = emit.load(from, types::I32X4);
            let splat = |emit: &mut Self, bits: i64| {
                let bits = emit.int(types::I32, bits);
                emit.builder.ins().splat(types::I32X4, bits)
            };
            let (limit, surrogates, many) = (splat(emit, 0x10_FFFF), splat(emit, 0xD800), splat(emit, 0x7FF));
            let ins = emit.builder.ins();
            let large = ins.icmp(IntCC::UnsignedGreaterThan, chars, limit);
            let from_surrogates = emit.builder.ins().isub(chars, surrogates);
            let surrogate = emit.builder.ins().icmp(IntCC::UnsignedLessThanOrEqual, from_surrogates, many);
            let invalid = emit.builder.ins().bor(large, surrogate);
            let any = emit.builder.ins().vany_true(invalid);
            Some((any, chars, to))
        })
    }

    /// A loop over rounds of `round` bytes, from an offset on, as long as there are so many left. Gives the offset where
    /// there are not, or where the round's condition held; if it did not the round's value is stored.
    fn rounds(
        &mut self,
        bytes: Value,
        at: Value,
        round: u32,
        body: impl FnOnce(&mut Self, Value) -> Option<(Value, Value, Region)>,
    ) -> Value {
        let (head, work, done) = (self.block(&[types::I64]), self.block(&[]), self.block(&[types::I64]));
        self.jump(head, &[at]);
        let at = self.enter(head)[0];
        let left = self.builder.ins().isub(bytes, at);
        let few = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, left, i64::from(round));
        self.builder.ins().brif(few, done, &[at.into()], work, &[]);
        self.enter(work);
        if let Some((stop, value, to)) = body(self, at) {
            let next = self.block(&[]);
            self.builder.ins().brif(stop, done, &[at.into()], next, &[]);
            self.enter(next);
            self.store(to, value);
        }
        let next = self.builder.ins().iadd_imm_u(at, i64::from(round));
        self.jump(head, &[next]);
        self.enter(done)[0]
    }
}

/// About how many bytes a long round has.
const LONG_ROUND: u32 = 96;
