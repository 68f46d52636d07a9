//! Strings between two memories. The steps and their order are those of [`abi::text::lower`]: here they are compiled,
//! and the kernel runs each step.

use abi::limits::MAX_STRING_BYTES;
use abi::side::Encoding;
use abi::text::{Repr, Step, UTF16_TAG};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};

use super::copy::Lane;
use super::emit::Emit;
use super::part::Part;
use super::reason::Reason;
use super::utf8::FEW_BYTES;
use crate::jit::builtin::Builtin;

/// A string that has been checked.
#[derive(Clone, Copy)]
struct Text {
    address: Value,
    /// 64-bit.
    bytes: Value,
    /// 32-bit.
    units: Value,
}

/// How far a step got: bytes, 64-bit.
pub(super) struct Done {
    read: Value,
    written: Value,
}

impl Emit<'_> {
    /// Copies a string by the function that adapters share.
    pub fn long_text(&mut self, lane: &Lane, pair: [Value; 2]) -> [Value; 2] {
        let pair = self.call_part(Part::Text(lane.clone()), &pair);
        [pair[0], pair[1]]
    }

    /// Copies a string that stays UTF-8: here if it is short.
    pub fn short_text(&mut self, lane: &Lane, [pointer, units]: [Value; 2]) -> [Value; 2] {
        let (short, long, next) = (self.block(&[]), self.block(&[]), self.block(&[types::I32]));
        let bytes = self.wide(units);
        let few = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, bytes, i64::from(FEW_BYTES));
        self.branch(few, short, long);
        self.enter(long);
        let copied = self.long_text(lane, [pointer, units]);
        self.jump(next, &copied[..1]);
        self.enter(short);
        let from = self.check_range(&lane.from, pointer, bytes, Reason::StringOutOfBounds);
        let copied = self.new_text(lane, 1, bytes);
        let to = self.address(&lane.to, copied);
        self.copy_few_utf8(from, to, bytes);
        self.jump(next, &[copied]);
        [self.enter(next)[0], units]
    }

    /// The whole function that copies a string: takes and returns a pointer and a tagged length.
    pub fn text(&mut self, lane: &Lane, pointer: Value, tagged: Value) {
        match lane.from.encoding {
            Encoding::Utf8 => self.text_of(lane, Repr::Utf8, pointer, tagged),
            Encoding::Utf16 => self.text_of(lane, Repr::Utf16, pointer, tagged),
            Encoding::CompactUtf16 => {
                let (utf16, latin1) = (self.block(&[]), self.block(&[]));
                let tag = self.builder.ins().band_imm_u(tagged, i64::from(UTF16_TAG));
                let units = self.builder.ins().band_imm_u(tagged, i64::from(!UTF16_TAG));
                self.branch(tag, utf16, latin1);
                self.enter(utf16);
                self.text_of(lane, Repr::Utf16, pointer, units);
                self.enter(latin1);
                self.text_of(lane, Repr::Latin1, pointer, units);
            }
        }
    }

    /// Checks a string of this representation (`load_string_from_range`), copies it and returns.
    fn text_of(&mut self, lane: &Lane, repr: Repr, pointer: Value, units: Value) {
        let bytes = self.wide(units);
        let bytes = self.builder.ins().imul_imm_u(bytes, i64::from(repr.unit()));
        let long =
            self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, bytes, i64::from(MAX_STRING_BYTES));
        self.fail_if(long, Reason::StringTooLong, &[bytes]);
        self.check_align(pointer, lane.from.encoding.align(), Reason::UnalignedString);
        let address = self.check_range(&lane.from, pointer, bytes, Reason::StringOutOfBounds);
        let text = Text { address, bytes, units };
        let from_compact = lane.from.encoding == Encoding::CompactUtf16;
        match (repr, lane.to.encoding) {
            (Repr::Utf8, Encoding::Utf8) => self.copy_text(lane, Step::CopyUtf8, text, 1),
            (Repr::Utf16, Encoding::Utf16) => self.copy_text(lane, Step::CopyUtf16, text, 2),
            (Repr::Latin1, Encoding::Utf16) => self.copy_text(lane, Step::WidenLatin1, text, 2),
            (Repr::Latin1, Encoding::CompactUtf16) => self.copy_text(lane, Step::CopyLatin1, text, 2),
            (Repr::Utf16, Encoding::Utf8) => {
                self.lower_utf8(lane, [Step::AsciiOfUtf16, Step::Utf16ToUtf8], text, 3)
            }
            (Repr::Latin1, Encoding::Utf8) => {
                self.lower_utf8(lane, [Step::AsciiOfLatin1, Step::Latin1ToUtf8], text, 2)
            }
            (Repr::Utf8, Encoding::Utf16) => self.lower_utf16(lane, text),
            (Repr::Utf8, Encoding::CompactUtf16) => {
                self.lower_compact(lane, [Step::Latin1OfUtf8, Step::Utf8ToUtf16], text);
            }
            (Repr::Utf16, Encoding::CompactUtf16) if from_compact => self.probably_utf16(lane, text),
            (Repr::Utf16, Encoding::CompactUtf16) => {
                self.lower_compact(lane, [Step::Latin1OfUtf16, Step::CopyUtf16], text);
            }
        }
    }

    /// `store_string_copy`
    fn copy_text(&mut self, lane: &Lane, step: Step, text: Text, align: u32) {
        let widened = step == Step::WidenLatin1;
        let bytes = if widened { self.times(text.bytes, 2) } else { text.bytes };
        let pointer = self.new_text(lane, align, bytes);
        let to = self.address(&lane.to, pointer);
        if step == Step::CopyUtf8 {
            self.copy_utf8(text.address, to, bytes);
        } else {
            self.step(step, text.address, text.bytes, to, bytes);
        }
        self.give(pointer, text.units);
    }

    /// `store_string_to_utf8`; in the worst case `growth` bytes a unit.
    fn lower_utf8(&mut self, lane: &Lane, steps: [Step; 2], text: Text, growth: i64) {
        let units = self.wide(text.units);
        let pointer = self.new_text(lane, 1, units);
        let to = self.address(&lane.to, pointer);
        let ascii = self.step(steps[0], text.address, text.bytes, to, units);
        let rest = self.unless_done(&ascii, text, pointer, text.units);
        self.enter(rest);
        let worst = self.times(units, growth);
        let pointer = self.again(lane, pointer, units, 1, worst);
        let bytes = self.finish_text(lane, steps[1], text, pointer, worst, &ascii);
        self.give_shrunk(lane, pointer, worst, 1, bytes, |_, bytes| bytes);
    }

    /// `store_utf8_to_utf16`
    fn lower_utf16(&mut self, lane: &Lane, text: Text) {
        let worst = self.times(text.bytes, 2);
        let pointer = self.new_text(lane, 2, worst);
        let to = self.address(&lane.to, pointer);
        let bytes = self.step(Step::Utf8ToUtf16, text.address, text.bytes, to, worst).written;
        self.give_shrunk(lane, pointer, worst, 2, bytes, Emit::half);
    }

    /// `store_string_to_latin1_or_utf16`
    fn lower_compact(&mut self, lane: &Lane, steps: [Step; 2], text: Text) {
        let units = self.wide(text.units);
        let pointer = self.new_text(lane, 2, units);
        let to = self.address(&lane.to, pointer);
        let latin1 = self.step(steps[0], text.address, text.bytes, to, units);
        let (rest, whole) = (self.block(&[]), self.block(&[]));
        let partial = self.builder.ins().icmp(IntCC::NotEqual, latin1.read, text.bytes);
        self.branch(partial, rest, whole);
        self.enter(whole);
        self.give_shrunk(lane, pointer, units, 2, latin1.written, |_, bytes| bytes);
        self.enter(rest);
        let worst = self.times(units, 2);
        let pointer = self.again(lane, pointer, units, 2, worst);
        let to = self.address(&lane.to, pointer);
        let head = self.times(latin1.written, 2);
        self.step_in_place(Step::WidenInPlace, to, head);
        let prefix = Done { read: latin1.read, written: head };
        let bytes = self.finish_text(lane, steps[1], text, pointer, worst, &prefix);
        self.give_shrunk(lane, pointer, worst, 2, bytes, |emit, bytes| {
            let units = emit.half(bytes);
            emit.builder.ins().bor_imm_u(units, i64::from(UTF16_TAG))
        });
    }

    /// `store_probably_utf16_to_latin1_or_utf16`
    fn probably_utf16(&mut self, lane: &Lane, text: Text) {
        let pointer = self.new_text(lane, 2, text.bytes);
        let to = self.address(&lane.to, pointer);
        self.step(Step::CopyUtf16, text.address, text.bytes, to, text.bytes);
        let narrowed = self.step_in_place(Step::NarrowInPlace, to, text.bytes).written;
        let units = self.wide(text.units);
        let (utf16, latin1) = (self.block(&[]), self.block(&[]));
        let wide = self.builder.ins().icmp(IntCC::NotEqual, narrowed, units);
        self.branch(wide, utf16, latin1);
        self.enter(utf16);
        let tagged = self.builder.ins().bor_imm_u(text.units, i64::from(UTF16_TAG));
        self.give(pointer, tagged);
        self.enter(latin1);
        let pointer = self.again(lane, pointer, text.bytes, 1, units);
        self.give(pointer, text.units);
    }

    /// Runs the second step on what the first left, behind what it wrote. Gives all bytes written.
    fn finish_text(
        &mut self,
        lane: &Lane,
        step: Step,
        text: Text,
        pointer: Value,
        room: Value,
        prefix: &Done,
    ) -> Value {
        let to = self.address(&lane.to, pointer);
        let to = self.builder.ins().iadd(to, prefix.written);
        let room = self.builder.ins().isub(room, prefix.written);
        let from = self.builder.ins().iadd(text.address, prefix.read);
        let left = self.builder.ins().isub(text.bytes, prefix.read);
        let written = self.step(step, from, left, to, room).written;
        self.builder.ins().iadd(prefix.written, written)
    }

    /// Returns the string if the step read all of it; gives the block where it did not.
    fn unless_done(&mut self, done: &Done, text: Text, pointer: Value, tagged: Value) -> Block {
        let (rest, whole) = (self.block(&[]), self.block(&[]));
        let partial = self.builder.ins().icmp(IntCC::NotEqual, done.read, text.bytes);
        self.branch(partial, rest, whole);
        self.enter(whole);
        self.give(pointer, tagged);
        rest
    }

    /// Returns the string, having given back what it does not need of `room`; `length` makes its length of its bytes.
    fn give_shrunk(
        &mut self,
        lane: &Lane,
        pointer: Value,
        room: Value,
        align: u32,
        bytes: Value,
        length: impl Fn(&mut Self, Value) -> Value,
    ) {
        let (shrink, keep) = (self.block(&[]), self.block(&[]));
        let less = self.builder.ins().icmp(IntCC::UnsignedLessThan, bytes, room);
        let units = length(self, bytes);
        let units = self.narrow_all(units);
        self.branch(less, shrink, keep);
        self.enter(keep);
        self.give(pointer, units);
        self.enter(shrink);
        let pointer = self.again(lane, pointer, room, align, bytes);
        self.give(pointer, units);
    }

    fn give(&mut self, pointer: Value, tagged: Value) {
        self.builder.ins().return_(&[pointer, tagged]);
    }

    fn new_text(&mut self, lane: &Lane, align: u32, bytes: Value) -> Value {
        let nothing = self.int(types::I32, 0);
        self.allocate(&lane.to, [nothing; 2], align, bytes)
    }

    fn again(&mut self, lane: &Lane, old: Value, old_bytes: Value, align: u32, bytes: Value) -> Value {
        let old_bytes = self.narrow(old_bytes);
        self.allocate(&lane.to, [old, old_bytes], align, bytes)
    }

    fn step_in_place(&mut self, step: Step, address: Value, bytes: Value) -> Done {
        let nothing = self.int(types::I64, 0);
        self.step(step, nothing, nothing, address, bytes)
    }

    /// Has the kernel run a step between checked addresses.
    pub fn step(&mut self, step: Step, from: Value, bytes: Value, to: Value, room: Value) -> Done {
        let step = self.int(types::I32, step as i32);
        let packed = self.builtin_number(Builtin::transcode, &[step, from, bytes, to, room]);
        let read = self.builder.ins().ushr_imm_u(packed, 32);
        let written = self.narrow(packed);
        Done { read, written: self.wide(written) }
    }

    fn times(&mut self, value: Value, by: i64) -> Value {
        self.builder.ins().imul_imm_u(value, by)
    }

    fn half(&mut self, value: Value) -> Value {
        self.builder.ins().ushr_imm_u(value, 1)
    }

    fn narrow_all(&mut self, value: Value) -> Value {
        if self.type_of(value) == types::I64 { self.narrow(value) } else { value }
    }
}
