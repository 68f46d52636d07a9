//! What is added to code that is watched ([`crate::jit::watch`]): counters on edges, steps, comparisons.
//!
//! Every way a branch can go gets a block of its own with a counter in it, so that an edge that skips code is told from
//! one that does not.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value, types};
use wasmparser::Operator;

use super::super::builtin::Builtin;
use super::super::trapcode;
use super::super::valtype::ValType;
use super::super::watch::{self, Board};
use super::translator::{FuncTranslator, Region, region};
use crate::limits::WATCHED_COMPARES;

/// A function's use of the board.
#[derive(Clone, Copy)]
pub(super) struct Watcher<'a> {
    board: &'a Board,
    /// The board's address.
    base: Value,
    flags: MemFlagsData,
}

impl<'a> FuncTranslator<'a> {
    /// Begins a function that is watched.
    pub(super) fn watch(&mut self, board: &'a Board) {
        let base = self.word(board.address());
        let flags = MemFlagsData::trusted().with_alias_region(Some(region(&mut self.builder, Region::Board)));
        self.watcher = Some(Watcher { board, base, flags });
    }

    /// At the beginning of a function's code.
    pub(super) fn watch_entry(&mut self, params: &[ValType], results: &[ValType]) {
        let Some(Watcher { board, .. }) = self.watcher else { return };
        self.watch_loop();
        if board.notes_compares() && results == [ValType::I32] {
            self.watch_texts(params);
        }
    }

    /// At the beginning of a loop's body: a step, and an edge.
    pub(super) fn watch_loop(&mut self) {
        if self.watcher.is_some() {
            let one = self.builder.ins().iconst(types::I64, 1);
            self.take_steps(one);
            self.watch_edge();
        }
    }

    /// Before `bytes` of memory, which are there, are copied or filled: one operator can take as long as many loops.
    pub(super) fn watch_bulk(&mut self, bytes: Value) {
        if self.watcher.is_some() {
            let steps = self.builder.ins().ushr_imm_u(bytes, watch::STEP_BYTES_LOG2);
            self.take_steps(steps);
        }
    }

    fn take_steps(&mut self, steps: Value) {
        let Some(Watcher { base, flags, .. }) = self.watcher else { return };
        let left = self.builder.ins().load(types::I64, flags, base, watch::STEPS);
        let left = self.builder.ins().isub(left, steps);
        self.builder.ins().store(flags, left, base, watch::STEPS);
        let none = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        self.builder.ins().trapnz(none, trapcode::OUT_OF_STEPS);
    }

    /// Counts that the point of translation was reached.
    pub(super) fn watch_edge(&mut self) {
        let Some(Watcher { board, base, flags }) = self.watcher else { return };
        let at = board.edge();
        let count = self.builder.ins().uload8(types::I32, flags, base, at);
        let more = self.builder.ins().iadd_imm_s(count, 1);
        let most = self.builder.ins().iconst(types::I32, 255);
        let count = self.builder.ins().umin(more, most);
        self.builder.ins().istore8(flags, count, base, at);
    }

    /// A conditional branch with a counter on both ways; translation goes on where it is not taken. False if nothing is
    /// watched, and nothing was done.
    pub(super) fn watch_branch(
        &mut self,
        condition: Value,
        next: Block,
        target: Block,
        args: &[Value],
    ) -> bool {
        if self.watcher.is_none() {
            return false;
        }
        let taken = self.builder.create_block();
        self.builder.ins().brif(condition, taken, &[], next, &[]);
        self.builder.seal_block(taken);
        self.builder.switch_to_block(taken);
        self.watch_edge();
        self.jump(target, args);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.watch_edge();
        true
    }

    /// Notes the operands of a comparison that is translated next.
    pub(super) fn watch_compare(&mut self, op: &Operator<'_>) {
        if !self.watcher.is_some_and(|watcher| watcher.board.notes_compares()) {
            return;
        }
        let [left, right] = match op {
            Operator::I32Eq
            | Operator::I64Eq
            | Operator::I32Ne
            | Operator::I64Ne
            | Operator::I32LtS
            | Operator::I32LtU
            | Operator::I32GtS
            | Operator::I32GtU
            | Operator::I32LeS
            | Operator::I32LeU
            | Operator::I32GeS
            | Operator::I32GeU
            | Operator::I64LtS
            | Operator::I64LtU
            | Operator::I64GtS
            | Operator::I64GtU
            | Operator::I64LeS
            | Operator::I64LeU
            | Operator::I64GeS
            | Operator::I64GeU
            // Compilers write a comparison of several words as one of their differences' union.
            | Operator::I32Xor
            | Operator::I64Xor
            | Operator::I32Sub => {
                let at = self.stack.len() - 2;
                [self.stack[at], self.stack[at + 1]]
            }
            Operator::BrTable { targets } => {
                let index = *self.stack.last().expect("validation: an operand is there");
                let count = self.builder.ins().iconst(types::I32, i64::from(targets.len()));
                [index, count]
            }
            _ => return,
        };
        self.note_compare(left, right);
    }

    fn note_compare(&mut self, left: Value, right: Value) {
        let Some(Watcher { base, flags, .. }) = self.watcher else { return };
        let bits = i64::from(self.builder.func.dfg.value_type(left).bits());
        let site = i64::from(self.builder.srcloc().bits());
        let (left, right) = (self.index64(left), self.index64(right));
        let count = self.builder.ins().load(types::I64, flags, base, watch::COUNT);
        let more = self.builder.ins().iadd_imm_s(count, 1);
        self.builder.ins().store(flags, more, base, watch::COUNT);
        let index = self.word(WATCHED_COMPARES as i64 - 1);
        let index = self.builder.ins().band(count, index);
        let size = self.word(watch::ENTRY_BYTES);
        let offset = self.builder.ins().imul(index, size);
        let entry = self.builder.ins().iadd(base, offset);
        let head = self.word(bits << 32 | site);
        for (value, at) in [head, left, right].into_iter().zip([0, 8, 16]) {
            self.builder.ins().store(flags, value, entry, watch::RING + at);
        }
    }

    /// A function of two to four `i32` that returns one may compare texts: what it got is looked into.
    fn watch_texts(&mut self, params: &[ValType]) {
        let count = params.len();
        if !(2..=4).contains(&count) || params.iter().any(|ty| *ty != ValType::I32) {
            return;
        }
        let shape = self.builder.ins().iconst(types::I32, count as i64);
        let mut args = vec![shape];
        for index in 0..4 {
            args.push(match index < count {
                true => self.builder.use_var(self.locals[index]),
                false => self.builder.ins().iconst(types::I32, 0),
            });
        }
        self.builtin(Builtin::watch_texts, &args);
    }
}
