//! An adapter that reports its calls: it does nothing else, and has them made by the one that does the work.

use abi::flat::CoreType;
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, UserExternalName, Value, types};

use super::emit::{Emit, OWN, core_signature};
use crate::jit::body::LOCAL;
use crate::jit::builtin::Builtin;

impl Emit<'_> {
    /// Reports that adapter `number` of this image is called, calls it, reports what it returned, and returns that.
    pub fn tap(&mut self, number: u32, core: &(Vec<CoreType>, Vec<CoreType>), params: &[Value]) {
        let adapter = self.int(types::I32, number.cast_signed());
        let params_area = self.spill(params);
        self.builtin(Builtin::tap_begin, &[adapter, params_area.0, params_area.1]);
        let (signature, domain) = (core_signature(&core.0, &core.1), self.domain);
        let returned = self.call_named(UserExternalName::new(LOCAL, number), signature, domain, params);
        let results_area = self.spill(&returned);
        let areas = [params_area.0, params_area.1, results_area.0, results_area.1];
        self.builtin(Builtin::tap_end, &[adapter, areas[0], areas[1], areas[2], areas[3]]);
        self.builder.ins().return_(&returned);
    }

    /// Puts values into slots of 64 bits on the stack; gives their address and how many they are.
    fn spill(&mut self, values: &[Value]) -> (Value, Value) {
        let bytes = u32::try_from(8 * values.len().max(1)).expect("a flat call has few values");
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
        let area = self.builder.create_sized_stack_slot(data);
        let area = self.builder.ins().stack_addr(types::I64, area, 0);
        for (&value, at) in values.iter().zip((0..).step_by(8)) {
            let value = match self.type_of(value) {
                types::I64 | types::F64 => value,
                _ => self.cast(value, types::I64),
            };
            self.builder.ins().store(OWN, value, area, at);
        }
        let count = i64::try_from(values.len()).expect("a flat call has few values");
        (area, self.int(types::I32, count))
    }
}
