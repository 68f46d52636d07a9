//! Lists and maps between two memories: checked once, allocated once, and copied in one go where every byte may cross
//! as it is (CanonicalABI.md, `load_list_from_range`, `store_list_into_range`).

use abi::layout::Layout;
use abi::limits::MAX_LIST_BYTES;
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::bitmask::{Bitmask, Round};
use super::copy::{Lane, Source, Target, tight};
use super::emit::Emit;
use super::reason::Reason;

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
        if let Some(mask) = Bitmask::of(elem) {
            at = self.copy_masked((from, to), bytes, at, &mask.rounds(LONG_ROUND));
            at = self.copy_masked((from, to), bytes, at, &mask.rounds(0));
        }
        self.rounds(bytes, at, layout.size, |emit, at| {
            let (from, to) = emit.places((from, to), at, layout.size);
            emit.copy_tuple(lane, elem, Source::Memory(from), Target::Memory(to));
            Round::default()
        });
    }

    /// Copies as many elements at a time as the mask is for; gives the offset where there are not so many, or one of them is
    /// wrong.
    fn copy_masked(&mut self, (from, to): (Value, Value), bytes: Value, at: Value, mask: &Bitmask) -> Value {
        let round = mask.bytes();
        self.rounds(bytes, at, round, |emit, at| {
            let (from, to) = emit.places((from, to), at, round);
            emit.load_by_mask(from, to, mask)
        })
    }

    /// A loop over rounds of `round` bytes, from an offset on, as long as there are so many left and none is wrong. Gives the
    /// offset where that ends.
    fn rounds(
        &mut self,
        bytes: Value,
        at: Value,
        round: u32,
        body: impl FnOnce(&mut Self, Value) -> Round,
    ) -> Value {
        let (head, work, done) = (self.block(&[types::I64]), self.block(&[]), self.block(&[types::I64]));
        self.jump(head, &[at]);
        let at = self.enter(head)[0];
        let left = self.builder.ins().isub(bytes, at);
        let few = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, left, i64::from(round));
        self.builder.ins().brif(few, done, &[at.into()], work, &[]);
        self.enter(work);
        let Round { wrong, stores } = body(self, at);
        if let Some(wrong) = wrong {
            let next = self.block(&[]);
            self.builder.ins().brif(wrong, done, &[at.into()], next, &[]);
            self.enter(next);
        }
        for (to, value) in stores {
            self.store(to, value);
        }
        let next = self.builder.ins().iadd_imm_u(at, i64::from(round));
        self.jump(head, &[next]);
        self.enter(done)[0]
    }
}

/// About how many bytes a long round has.
const LONG_ROUND: u32 = 96;
