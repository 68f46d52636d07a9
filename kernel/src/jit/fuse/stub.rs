//! Calls out of a process that are no calls into another: to the host, to nobody.

use abi::flat::CoreType;
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};

use super::emit::{Emit, OWN, clif_type};
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;
use crate::vm::flags;

impl Emit<'_> {
    /// A call to the host: core values in 64-bit slots, in and out.
    pub fn host(&mut self, import: u32, params: &[Value], results: &[CoreType]) {
        self.note_exit();
        let slots = params.len().max(results.len()).max(1);
        let bytes = u32::try_from(8 * slots).expect("a flat call has few values");
        let area =
            self.builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3));
        let area = self.builder.ins().stack_addr(types::I64, area, 0);
        for (at, &value) in params.iter().enumerate() {
            let value = match self.type_of(value) {
                types::I64 | types::F64 => value,
                _ => self.cast(value, types::I64),
            };
            self.builder.ins().store(OWN, value, area, offset(at));
        }
        let import = self.int(types::I32, import.cast_signed());
        self.builtin_status(Builtin::host_call, &[import, area]);
        let returned: Vec<Value> = results
            .iter()
            .enumerate()
            .map(|(at, &core)| self.builder.ins().load(clif_type(core), OWN, area, offset(at)))
            .collect();
        self.builder.ins().return_(&returned);
    }

    /// A call that is refused with the trap that the kernel has for this adapter.
    pub fn refuse(&mut self, process: u32, number: u32) {
        self.need_flag(process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
        let number = self.int(types::I32, number.cast_signed());
        self.builtin(Builtin::refuse, &[number]);
        self.builder.ins().trap(trapcode::PENDING);
    }

    /// A call that would enter a process that is on the stack already.
    pub fn reenter(&mut self) {
        self.builder.ins().trap(trapcode::CANNOT_ENTER);
    }
}

fn offset(slot: usize) -> i32 {
    i32::try_from(8 * slot).expect("a flat call has few values")
}
