//! Calls out of a process that are no calls into another: to the host, to nobody.

use abi::flat::CoreType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, InstBuilder, Signature, StackSlotData, StackSlotKind, Value, types,
};
use cranelift_codegen::isa::CallConv;

use super::emit::{Emit, OWN, clif_type};
use super::spec::HostAddress;
use crate::component::host_call::REGISTERS;
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;
use crate::vm::{self, flags};

impl Emit<'_> {
    /// A call to the host: by the address of its function, if that is known, unless it is to be timed; else the kernel
    /// finds out whom it is for.
    pub fn host(
        &mut self,
        import: u32,
        address: Option<&HostAddress>,
        params: &[Value],
        results: &[CoreType],
    ) {
        self.note_exit();
        let number = self.int(types::I32, import.cast_signed());
        self.builder.ins().store(OWN, number, self.domain, vm::domain::SERVING);
        if let Some(address) = address {
            let timed = address.tally.map(|at| self.count_call(at));
            self.enter_host(address, params, results);
            let Some(timed) = timed else { return };
            self.enter(timed);
        }
        self.host_in_slots(number, params, results);
    }

    /// Counts a call of an edge and goes on; gives the block where the call is to be timed and is not counted.
    fn count_call(&mut self, tally: u32) -> Block {
        let tallies = self.fixed_word(vm::domain::TALLIES);
        let at = |field| i32::try_from(tally).expect("edges are bounded") + field;
        let calls = self.builder.ins().load(types::I64, OWN, tallies, at(vm::tally::CALLS));
        let next = self.builder.ins().load(types::I64, OWN, tallies, at(vm::tally::NEXT));
        let (counted, timed) = (self.block(&[]), self.block(&[]));
        self.builder.set_cold_block(timed);
        let usual = self.builder.ins().icmp(IntCC::UnsignedLessThan, calls, next);
        self.branch(usual, counted, timed);
        self.enter(counted);
        let calls = self.builder.ins().iadd_imm_u(calls, 1);
        self.builder.ins().store(OWN, calls, tallies, at(vm::tally::CALLS));
        timed
    }

    /// Core values in registers, in and out ([`crate::component::host_call::enter`]).
    fn enter_host(&mut self, address: &HostAddress, params: &[Value], results: &[CoreType]) {
        let mut sig = Signature::new(CallConv::SystemV);
        sig.params.extend([AbiParam::new(types::I64); 2 + REGISTERS]);
        sig.returns.extend([AbiParam::new(types::I64); 2]);
        let sig = self.builder.import_signature(sig);
        let [code, import] =
            [address.code, address.import].map(|at| self.builder.ins().iconst(types::I64, at as i64));
        let mut args = vec![self.domain, import];
        for &value in params {
            args.push(self.cast(value, types::I64));
        }
        while args.len() < 2 + REGISTERS {
            args.push(self.int(types::I64, 0));
        }
        let call = self.builder.ins().call_indirect(sig, code, &args);
        let [status, value] = self.builder.inst_results(call)[..] else {
            unreachable!("it returns two words")
        };
        self.builder.ins().trapnz(status, trapcode::PENDING);
        let returned: Vec<Value> = results.iter().map(|&core| self.cast(value, clif_type(core))).collect();
        self.builder.ins().return_(&returned);
    }

    /// Core values in 64-bit slots, in and out.
    fn host_in_slots(&mut self, import: Value, params: &[Value], results: &[CoreType]) {
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
