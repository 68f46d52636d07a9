//! Lists and maps between two memories: checked once, allocated once, and copied in one go where every byte may cross
//! as it is (CanonicalABI.md, `load_list_from_range`, `store_list_into_range`).

use abi::layout::Layout;
use abi::limits::MAX_LIST_BYTES;
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

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
        let head = self.block(&[types::I64; 3]);
        let (body, done) = (self.block(&[]), self.block(&[]));
        self.jump(head, &[from, to, count]);
        let [from, to, left] = self.enter(head)[..] else { unreachable!("three parameters") };
        self.branch(left, body, done);
        self.enter(body);
        let regions = (Region::checked(from, layout.size), Region::checked(to, layout.size));
        self.copy_tuple(lane, elem, Source::Memory(regions.0), Target::Memory(regions.1));
        let step = i64::from(layout.size);
        let from = self.builder.ins().iadd_imm_u(from, step);
        let to = self.builder.ins().iadd_imm_u(to, step);
        let left = self.builder.ins().iadd_imm_s(left, -1);
        self.jump(head, &[from, to, left]);
        self.enter(done);
    }
}
