//! UTF-8 that stays UTF-8: checked while it is copied, 64 bytes at a time as long as they are ASCII. From the first
//! block that is not the kernel goes on.
//!
//! Each byte is loaded once, checked, and stored from the same register, so what arrives is what was checked, whatever
//! another thread does to the source meanwhile.

use abi::text::Step;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Type, Value, types};

use super::emit::Emit;

/// Bytes of a vector.
const VECTOR: u32 = 16;
/// Up to so many bytes are copied without a loop.
pub(super) const FEW_BYTES: u32 = 2 * VECTOR;
/// Vectors of a round of the long loop.
const ROUND: u32 = 4;

/// A copy while it is written: checked addresses, their length, and where the kernel goes on from an offset.
#[derive(Clone, Copy)]
struct Copying {
    from: Value,
    to: Value,
    bytes: Value,
    rest: Block,
    done: Block,
}

impl Emit<'_> {
    /// Copies `bytes` bytes (64-bit) of UTF-8 between checked addresses; traps where they are none.
    pub fn copy_utf8(&mut self, from: Value, to: Value, bytes: Value) {
        self.copy_utf8_by(from, to, bytes, Self::copy_long);
    }

    /// The same for at most [`FEW_BYTES`].
    pub fn copy_few_utf8(&mut self, from: Value, to: Value, bytes: Value) {
        self.copy_utf8_by(from, to, bytes, |emit, copying| {
            let first = emit.int(types::I64, 0);
            let last = emit.builder.ins().iadd_imm_s(bytes, -i64::from(VECTOR));
            emit.copy_words(copying, types::I8X16, &[first, last]);
        });
    }

    /// The same, where a vector and more is copied by `copy_long`.
    fn copy_utf8_by(
        &mut self,
        from: Value,
        to: Value,
        bytes: Value,
        copy_long: impl FnOnce(&mut Self, Copying),
    ) {
        let (rest, done) = (self.block(&[types::I64]), self.block(&[]));
        self.builder.set_cold_block(rest);
        let copying = Copying { from, to, bytes, rest, done };
        let (short, long) = (self.block(&[]), self.block(&[]));
        let few = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, bytes, i64::from(VECTOR));
        self.branch(few, short, long);
        self.enter(long);
        copy_long(self, copying);
        self.enter(short);
        self.copy_short(copying);
        self.finish_utf8(copying);
    }

    /// Goes on in the kernel where it was not ASCII, and everywhere where it is done.
    fn finish_utf8(&mut self, Copying { from, to, bytes, rest, done }: Copying) {
        let at = self.enter(rest)[0];
        let (from, left) = (self.builder.ins().iadd(from, at), self.builder.ins().isub(bytes, at));
        let to = self.builder.ins().iadd(to, at);
        self.step(Step::CopyUtf8, from, left, to, left);
        self.jump(done, &[]);
        self.enter(done);
    }

    /// 16 bytes and more: rounds, vectors, and what is left with the last vector, which may overlap the one before.
    fn copy_long(&mut self, copying: Copying) {
        let Copying { bytes, done, .. } = copying;
        let (rounds, vectors) = (self.block(&[types::I64]), self.block(&[types::I64]));
        let (round, vector, tail, last) =
            (self.block(&[]), self.block(&[]), self.block(&[]), self.block(&[]));
        let start = self.int(types::I64, 0);
        self.jump(rounds, &[start]);
        let at = self.enter(rounds)[0];
        self.unless_left(bytes, at, ROUND * VECTOR, round, vectors, &[at]);
        self.enter(round);
        self.copy_vectors(copying, at, ROUND, at);
        let next = self.builder.ins().iadd_imm_u(at, i64::from(ROUND * VECTOR));
        self.jump(rounds, &[next]);
        let at = self.enter(vectors)[0];
        self.unless_left(bytes, at, VECTOR, vector, tail, &[]);
        self.enter(vector);
        self.copy_vectors(copying, at, 1, at);
        let next = self.builder.ins().iadd_imm_u(at, i64::from(VECTOR));
        self.jump(vectors, &[next]);
        self.enter(tail);
        let left = self.builder.ins().isub(bytes, at);
        self.branch(left, last, done);
        self.enter(last);
        let end = self.builder.ins().iadd_imm_s(bytes, -i64::from(VECTOR));
        self.copy_vectors(copying, end, 1, at);
        self.jump(done, &[]);
    }

    /// Fewer than 16: two overlapping words, or three overlapping bytes.
    fn copy_short(&mut self, copying: Copying) {
        let Copying { bytes, done, .. } = copying;
        for word in [types::I64, types::I32] {
            let (wide, narrow) = (self.block(&[]), self.block(&[]));
            let few = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, bytes, i64::from(word.bytes()));
            self.branch(few, narrow, wide);
            self.enter(wide);
            let first = self.int(types::I64, 0);
            let last = self.builder.ins().iadd_imm_s(bytes, -i64::from(word.bytes()));
            self.copy_words(copying, word, &[first, last]);
            self.enter(narrow);
        }
        let some = self.block(&[]);
        self.branch(bytes, some, done);
        self.enter(some);
        let (first, middle) = (self.int(types::I64, 0), self.builder.ins().ushr_imm_u(bytes, 1));
        let last = self.builder.ins().iadd_imm_s(bytes, -1);
        self.copy_words(copying, types::I8, &[first, middle, last]);
    }

    /// Goes to `enough` where at least `least` bytes are left from `at` on, else to `few`.
    fn unless_left(
        &mut self,
        bytes: Value,
        at: Value,
        least: u32,
        enough: Block,
        few: Block,
        args: &[Value],
    ) {
        let left = self.builder.ins().isub(bytes, at);
        let less = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, left, i64::from(least));
        let args: Vec<_> = args.iter().map(|&value| value.into()).collect();
        self.builder.ins().brif(less, few, &args, enough, &[]);
    }

    /// Copies vectors from `at` on, if they are ASCII; else the kernel goes on from `boundary`.
    fn copy_vectors(&mut self, copying: Copying, at: Value, count: u32, boundary: Value) {
        let (from, to) = self.places((copying.from, copying.to), at, count * VECTOR);
        let loaded: Vec<Value> =
            (0..count).map(|n| self.load(from.part(n * VECTOR, VECTOR), types::I8X16)).collect();
        let all = loaded[1..].iter().fold(loaded[0], |all, &next| self.builder.ins().bor(all, next));
        let high = self.builder.ins().vhigh_bits(types::I32, all);
        self.ascii_or(copying, high, boundary);
        for (n, value) in (0..).zip(loaded) {
            self.store(to.part(n * VECTOR, VECTOR), value);
        }
    }

    /// Copies the words at these offsets, if they are ASCII, and is done.
    fn copy_words(&mut self, copying: Copying, word: Type, offsets: &[Value]) {
        let places: Vec<_> =
            offsets.iter().map(|&at| self.places((copying.from, copying.to), at, word.bytes())).collect();
        let loaded: Vec<Value> = places.iter().map(|(from, _)| self.load(*from, word)).collect();
        let all = loaded[1..].iter().fold(loaded[0], |all, &next| self.builder.ins().bor(all, next));
        let high = if word.is_vector() {
            self.builder.ins().vhigh_bits(types::I32, all)
        } else {
            let mask = 0x8080_8080_8080_8080_u64 >> (64 - word.bits());
            let mask = self.builder.ins().iconst(word, mask.cast_signed());
            self.builder.ins().band(all, mask)
        };
        let start = self.int(types::I64, 0);
        self.ascii_or(copying, high, start);
        for ((_, to), value) in places.into_iter().zip(loaded) {
            self.store(to, value);
        }
        self.jump(copying.done, &[]);
    }

    /// Goes on here where no high bit is set, else in the kernel from `boundary`, before which all is copied.
    fn ascii_or(&mut self, copying: Copying, high: Value, boundary: Value) {
        let next = self.block(&[]);
        self.builder.ins().brif(high, copying.rest, &[boundary.into()], next, &[]);
        self.enter(next);
    }
}
