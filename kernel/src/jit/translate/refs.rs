//! References (core spec, "Reference Instructions", and the branches on null).

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};
use wasmparser::Operator;

use super::super::trapcode;
use super::translator::FuncTranslator;

impl FuncTranslator<'_> {
    /// Reference operators. Returns whether it was one.
    pub(super) fn refs(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::RefNull { .. } => {
                let null = self.word(0);
                self.push(null);
            }
            Operator::RefIsNull => {
                let value = self.pop();
                let null = self.builder.ins().icmp_imm_s(IntCC::Equal, value, 0);
                let null = self.builder.ins().uextend(types::I32, null);
                self.push(null);
            }
            Operator::RefFunc { function_index } => {
                let slot = self.module.func_refs[&function_index];
                let address = self.ctx_address(self.module.layout.func_ref(slot));
                self.push(address);
            }
            Operator::RefAsNonNull => {
                let value = *self.stack.last().expect("validation: an operand is there");
                self.builder.ins().trapz(value, trapcode::NULL_REFERENCE);
            }
            Operator::BrOnNull { relative_depth } => {
                let value = self.pop();
                let null = self.builder.ins().icmp_imm_s(IntCC::Equal, value, 0);
                self.br_if(null, relative_depth);
                self.push(value);
            }
            Operator::BrOnNonNull { relative_depth } => {
                let value = *self.stack.last().expect("validation: an operand is there");
                self.br_if(value, relative_depth);
                self.pop();
            }
            _ => return false,
        }
        true
    }
}
