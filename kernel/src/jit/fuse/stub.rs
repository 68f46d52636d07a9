//! Calls out of a process that are no calls into another: to the host, to its own handle table, to nobody.

use abi::flat::CoreType;
use abi::types::ResourceType;
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

    /// `resource.new`
    pub fn resource_new(&mut self, process: u32, ty: ResourceType, rep: Value) {
        self.need_flag(process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
        self.resource_number(Builtin::resource_new, process, ty, rep);
    }

    /// `resource.rep`, which a process may always call.
    pub fn resource_rep(&mut self, process: u32, ty: ResourceType, handle: Value) {
        self.resource_number(Builtin::resource_rep, process, ty, handle);
    }

    /// `resource.drop`; the kernel may call a destructor.
    pub fn resource_drop(&mut self, process: u32, ty: ResourceType, handle: Value) {
        self.need_flag(process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
        self.note_exit();
        let args = self.resource_args(process, ty, handle);
        self.builtin_status(Builtin::resource_drop, &args);
        self.builder.ins().return_(&[]);
    }

    fn resource_number(&mut self, which: Builtin, process: u32, ty: ResourceType, value: Value) {
        let args = self.resource_args(process, ty, value);
        let number = self.builtin_number(which, &args);
        let number = self.narrow(number);
        self.builder.ins().return_(&[number]);
    }

    fn resource_args(&mut self, process: u32, ty: ResourceType, value: Value) -> [Value; 3] {
        let [process, ty] = [process, ty.0].map(|number| self.int(types::I32, number.cast_signed()));
        [process, ty, value]
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
