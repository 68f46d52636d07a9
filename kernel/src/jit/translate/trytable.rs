//! Exceptions (core spec, "throw", "throw_ref", "try_table").
//!
//! Every `try_table` has one handler block, which gets the exception, compares its tag with the clauses' tags, and
//! hands what none of them takes to the handler of the `try_table` around it, or throws it again. A call inside is a
//! `try_call` that lands in the innermost handler; a `throw` inside jumps there.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use wasmparser::{Catch, Operator, TryTable};

use super::super::builtin::Builtin;
use super::super::trapcode;
use super::translator::{FrameKind, FuncTranslator, clif_type};
use crate::vm::exception;

impl FuncTranslator<'_> {
    /// Exception operators. Returns whether it was one.
    pub(super) fn exceptions(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::TryTable { try_table } => self.open_try(try_table),
            Operator::Throw { tag_index } => {
                let values = self.pop_many(self.module.tag_type(*tag_index).params.len());
                let tag = self.tag(*tag_index);
                let exception = self.exception(tag, &values);
                self.raise(exception);
            }
            Operator::ThrowRef => {
                let exception = self.pop();
                self.builder.ins().trapz(exception, trapcode::NULL_EXCEPTION_REFERENCE);
                self.raise(exception);
            }
            _ => return false,
        }
        true
    }

    /// A new exception with these values.
    fn exception(&mut self, tag: Value, values: &[Value]) -> Value {
        let slots = u32::try_from(values.len()).expect("the validator bounds parameters");
        let bytes = self.number(slots * exception::VALUE_BYTES);
        let exception = self.builtin(Builtin::exception_new, &[tag, bytes]).expect("returns the exception");
        self.builder.ins().trapz(exception, trapcode::PENDING);
        for (slot, &value) in (0..).zip(values) {
            let at = slot * exception::VALUE_BYTES.cast_signed();
            self.builder.ins().store(self.access.payload, value, exception, at);
        }
        exception
    }

    /// Throws: into the handler of this function if there is one.
    fn raise(&mut self, exception: Value) {
        match self.handlers.last() {
            Some(&handler) => self.jump(handler, &[exception]),
            None => {
                self.builtin(Builtin::exception_throw, &[exception]);
                self.builder.ins().trap(trapcode::PENDING);
            }
        }
        self.reachable = false;
    }

    /// A tag's address, which is its identity.
    fn tag(&mut self, tag: u32) -> Value {
        let layout = &self.module.layout;
        match tag.checked_sub(self.module.imported.tags) {
            Some(defined) => self.ctx_address(layout.tag(defined)),
            None => self.ctx_word(layout.tag_import(tag)),
        }
    }

    fn open_try(&mut self, table: &TryTable) {
        let (params, results) = self.block_types(table.ty);
        let body = self.builder.create_block();
        self.jump(body, &[]);
        self.builder.seal_block(body);
        let handler = self.block_with(&[types::I64]);
        self.builder.set_cold_block(handler);
        self.builder.switch_to_block(handler);
        let exception = self.builder.block_params(handler)[0];
        let mut open = true;
        for catch in &table.catches {
            open = self.catch(catch, exception);
            if !open {
                break;
            }
        }
        if open {
            self.watch_edge();
            self.raise(exception);
        }
        self.reachable = true;
        self.builder.switch_to_block(body);
        self.open(FrameKind::Try, params.len(), &results);
        self.handlers.push(handler);
    }

    /// One clause of a handler; returns whether the exception can be still there afterwards.
    fn catch(&mut self, catch: &Catch, exception: Value) -> bool {
        let (tag, label, with_reference) = match *catch {
            Catch::One { tag, label } => (Some(tag), label, false),
            Catch::OneRef { tag, label } => (Some(tag), label, true),
            Catch::All { label } => (None, label, false),
            Catch::AllRef { label } => (None, label, true),
        };
        let next = tag.map(|tag| {
            let wanted = self.tag(tag);
            let found = self.builder.ins().load(types::I64, self.access.payload, exception, exception_tag());
            let same = self.builder.ins().icmp(IntCC::Equal, found, wanted);
            let (then, next) = (self.builder.create_block(), self.builder.create_block());
            self.builder.ins().brif(same, then, &[], next, &[]);
            self.builder.seal_block(then);
            self.builder.seal_block(next);
            self.builder.switch_to_block(then);
            next
        });
        self.watch_edge();
        let mut args = Vec::new();
        if let Some(tag) = tag {
            for (slot, &ty) in (0..).zip(&self.module.tag_type(tag).params) {
                let at = slot * exception::VALUE_BYTES.cast_signed();
                args.push(self.builder.ins().load(clif_type(ty), self.access.payload, exception, at));
            }
        }
        args.extend(with_reference.then_some(exception));
        let (target, _) = self.label(label);
        self.jump(target, &args);
        if let Some(next) = next {
            self.builder.switch_to_block(next);
        }
        tag.is_some()
    }

    /// At the end of a `try_table`: nothing reaches its handler any more.
    pub(super) fn close_try(&mut self) {
        let handler = self.handlers.pop().expect("every open try_table has a handler");
        self.builder.seal_block(handler);
    }
}

const fn exception_tag() -> i32 {
    exception::TAG
}
