//! Handles in compiled code: the tables of [`abi::handle`], read and written in place. The kernel is asked where a
//! table must grow, where a call traps, and where a destructor is not in this domain.
//!
//! Each path here that does not ask the kernel does what the method of the same name does in [`HandleTable`]; whatever
//! it finds that it does not expect it leaves to that method, before it has changed anything.
//!
//! [`HandleTable`]: abi::handle::HandleTable

use abi::flat::CoreType;
use abi::handle::offsets::{BASE, ENTRY_BYTES_LOG2, FREE, LEN, LENDS, LINK, REP, TABLE_BYTES, TYPE};
use abi::handle::{Kind, LINK_SHIFT, NO_TYPE};
use abi::plan::Plan;
use abi::types::{ResourceType, ValType};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};

use super::copy::Lane;
use super::emit::{Emit, OWN};
use super::spec::Implementers;
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;
use crate::vm::{domain, flags};

/// A handle that a call lends, to be given back after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent {
    process: u32,
    handle: Value,
}

/// What the second half of an entry is, as one little-endian number, for an own handle that is not lent.
const OWN_AND_UNLENT: i64 = (Kind::Own as i64) << 32;
const _: () =
    assert!(TYPE == 0 && REP == 4 && LENDS == 8 && LINK == 12, "halves of an entry are one number each");

impl Emit<'_> {
    /// `lift_own` and `lower_own`: an own handle of one side for one of the other.
    pub fn transfer_own(&mut self, lane: &Lane, ty: ResourceType, handle: Value) -> Value {
        let (from, to) = (lane.from.process, lane.to.process);
        let (slow, done) = (self.block(&[]), self.block(&[types::I32]));
        self.builder.set_cold_block(slow);
        if from != to {
            let (entry, rep) = self.own_entry(from, ty, handle, slow);
            let free = self.free_entry(to, slow);
            self.remove(from, handle, entry);
            self.add_own(to, free, ty, rep);
            self.jump(done, &[free]);
        } else {
            self.jump(slow, &[]);
        }
        self.enter(slow);
        let args = self.transfer_args(lane, ty, handle);
        let number = self.builtin_number(Builtin::transfer_own, &args);
        let number = self.narrow(number);
        self.jump(done, &[number]);
        self.enter(done)[0]
    }

    /// `lift_borrow` and `lower_borrow`: a borrow for the length of the call.
    ///
    /// A call without a scope keeps what it lends by itself ([`scope`]) and gives it back when the callee has
    /// returned. If the callee does not return, its caller never runs again, so nobody sees that it was not given back.
    pub fn transfer_borrow(&mut self, lane: &Lane, ty: ResourceType, handle: Value) -> Value {
        let args = self.transfer_args(lane, ty, handle);
        if self.scoped {
            let handle = self.builtin_number(Builtin::transfer_borrow, &args);
            return self.narrow(handle);
        }
        let (slow, next) = (self.block(&[]), self.block(&[]));
        self.builder.set_cold_block(slow);
        let entry = self.entry(lane.from.process, ty, handle, slow);
        let lends = self.builder.ins().load(types::I32, OWN, entry, at(LENDS));
        let lends = self.builder.ins().iadd_imm_s(lends, 1);
        self.branch(lends, next, slow);
        self.enter(slow);
        // It traps: it finds what was found here.
        self.builtin_number(Builtin::transfer_borrow, &args);
        self.builder.ins().trap(trapcode::PENDING);
        self.enter(next);
        self.builder.ins().store(OWN, lends, entry, at(LENDS));
        let rep = self.builder.ins().load(types::I32, OWN, entry, at(REP));
        self.lent.push(Lent { process: lane.from.process, handle });
        rep
    }

    /// Gives back what the call lent by itself. A lent handle cannot leave its table, but the table may have moved.
    pub fn give_back(&mut self) {
        for Lent { process, handle } in std::mem::take(&mut self.lent) {
            let base = self.table_word(process, BASE);
            let entry = self.entry_at(base, handle);
            let lends = self.builder.ins().load(types::I32, OWN, entry, at(LENDS));
            let lends = self.builder.ins().iadd_imm_s(lends, -1);
            self.builder.ins().store(OWN, lends, entry, at(LENDS));
        }
    }

    /// `resource.new`
    pub fn resource_new(&mut self, process: u32, ty: ResourceType, rep: Value) {
        self.need_flag(process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
        let slow = self.cold();
        let free = self.free_entry(process, slow);
        self.add_own(process, free, ty, rep);
        self.builder.ins().return_(&[free]);
        self.enter(slow);
        self.resource_number(Builtin::resource_new, process, ty, rep);
    }

    /// `resource.rep`, which a process may always call.
    pub fn resource_rep(&mut self, process: u32, ty: ResourceType, handle: Value) {
        let slow = self.cold();
        let entry = self.entry(process, ty, handle, slow);
        let rep = self.builder.ins().load(types::I32, OWN, entry, at(REP));
        self.builder.ins().return_(&[rep]);
        self.enter(slow);
        self.resource_number(Builtin::resource_rep, process, ty, handle);
    }

    /// `resource.drop`. The destructor of a type of this domain is called from here.
    pub fn resource_drop(&mut self, process: u32, ty: ResourceType, handle: Value) {
        self.need_flag(process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
        if let Some(implementer) = self.implementers.get(&ty).copied() {
            let slow = self.cold();
            let (entry, rep) = self.own_entry(process, ty, handle, slow);
            self.remove(process, handle, entry);
            if let Some(dtor) = implementer.dtor {
                if implementer.process != process {
                    self.need_flag(implementer.process, flags::MAY_ENTER, trapcode::CANNOT_ENTER);
                }
                self.call_slot(dtor, &[CoreType::I32], &[], &[rep]);
            }
            self.builder.ins().return_(&[]);
            self.enter(slow);
        }
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

    fn transfer_args(&mut self, lane: &Lane, ty: ResourceType, handle: Value) -> [Value; 4] {
        let [from, to, ty] = [lane.from.process, lane.to.process, ty.0]
            .map(|number| self.int(types::I32, number.cast_signed()));
        [from, to, ty, handle]
    }

    /// The address of the entry of a handle of this type, of either kind; goes to `slow` if there is none.
    fn entry(&mut self, process: u32, ty: ResourceType, handle: Value, slow: Block) -> Value {
        let len = self.table_half(process, LEN);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, handle, len);
        self.go_if(outside, slow);
        let base = self.table_word(process, BASE);
        let entry = self.entry_at(base, handle);
        let found = self.builder.ins().load(types::I32, OWN, entry, at(TYPE));
        assert_ne!(ty.0, NO_TYPE, "free entries have this type");
        let other = self.builder.ins().icmp_imm_u(IntCC::NotEqual, found, i64::from(ty.0));
        self.go_if(other, slow);
        entry
    }

    /// The entry of an own handle that is not lent, and its representation.
    fn own_entry(&mut self, process: u32, ty: ResourceType, handle: Value, slow: Block) -> (Value, Value) {
        let entry = self.entry(process, ty, handle, slow);
        let second = self.builder.ins().load(types::I64, OWN, entry, at(LENDS));
        let other = self.builder.ins().icmp_imm_u(IntCC::NotEqual, second, OWN_AND_UNLENT);
        self.go_if(other, slow);
        let rep = self.builder.ins().load(types::I32, OWN, entry, at(REP));
        (entry, rep)
    }

    /// Puts an entry on the free list.
    fn remove(&mut self, process: u32, handle: Value, entry: Value) {
        let table = self.table(process);
        let field = self.field(process, FREE);
        let next = self.builder.ins().load(types::I32, OWN, table, field);
        let link = self.builder.ins().ishl_imm_u(next, i64::from(LINK_SHIFT));
        let link = self.wide(link);
        let second = self.builder.ins().ishl_imm_u(link, 32);
        let first = self.int(types::I64, NO_TYPE);
        self.builder.ins().store(OWN, first, entry, at(TYPE));
        self.builder.ins().store(OWN, second, entry, at(LENDS));
        self.builder.ins().store(OWN, handle, table, field);
    }

    /// The first free entry; goes to `slow` if there is none.
    fn free_entry(&mut self, process: u32, slow: Block) -> Value {
        let free = self.table_half(process, FREE);
        let none = self.builder.ins().icmp_imm_u(IntCC::Equal, free, 0);
        self.go_if(none, slow);
        free
    }

    /// Takes the first free entry off the list and makes it an own handle.
    fn add_own(&mut self, process: u32, free: Value, ty: ResourceType, rep: Value) {
        let base = self.table_word(process, BASE);
        let entry = self.entry_at(base, free);
        let link = self.builder.ins().load(types::I32, OWN, entry, at(LINK));
        let next = self.builder.ins().ushr_imm_u(link, i64::from(LINK_SHIFT));
        let (table, field) = (self.table(process), self.field(process, FREE));
        self.builder.ins().store(OWN, next, table, field);
        let ty = self.int(types::I32, ty.0.cast_signed());
        let second = self.int(types::I64, OWN_AND_UNLENT);
        self.builder.ins().store(OWN, ty, entry, at(TYPE));
        self.builder.ins().store(OWN, rep, entry, at(REP));
        self.builder.ins().store(OWN, second, entry, at(LENDS));
    }

    fn entry_at(&mut self, base: Value, index: Value) -> Value {
        let index = self.wide(index);
        let offset = self.builder.ins().ishl_imm_u(index, i64::from(ENTRY_BYTES_LOG2));
        self.builder.ins().iadd(base, offset)
    }

    /// The tables of the domain's processes. They stay where they are.
    fn table(&mut self, process: u32) -> Value {
        debug_assert!(process < self.layout.processes(), "a process of the domain");
        self.fixed_word(domain::HANDLES)
    }

    /// Where a field of a process's table is among all tables.
    fn field(&self, process: u32, field: usize) -> i32 {
        let offset = process as usize * TABLE_BYTES + field;
        i32::try_from(offset).expect("a domain has few processes")
    }

    fn table_word(&mut self, process: u32, field: usize) -> Value {
        let (table, field) = (self.table(process), self.field(process, field));
        self.builder.ins().load(types::I64, OWN, table, field)
    }

    fn table_half(&mut self, process: u32, field: usize) -> Value {
        let (table, field) = (self.table(process), self.field(process, field));
        self.builder.ins().load(types::I32, OWN, table, field)
    }

    fn cold(&mut self) -> Block {
        let slow = self.block(&[]);
        self.builder.set_cold_block(slow);
        slow
    }

    /// Goes to `slow` where the condition holds.
    fn go_if(&mut self, condition: Value, slow: Block) {
        let next = self.block(&[]);
        self.branch(condition, slow, next);
        self.enter(next);
    }
}

/// Whether a call must open a handle scope.
///
/// It need not if whatever it can lend is lent as a parameter that is always there, to the process that implements the
/// type: then the adapter knows what to give back, and the callee gets representations, no borrow handles that the end
/// of a scope would have to look for.
pub(super) fn scope(plan: &Plan, implementers: &Implementers) -> bool {
    let mine = |ty: &ResourceType| {
        implementers.get(ty).is_some_and(|implementer| implementer.process == plan.callee.process)
    };
    let lends_by_itself = |ty: &ValType| match ty {
        ValType::Borrow(ty) => mine(ty),
        other => !other.has_borrow(),
    };
    plan.scope && !plan.ty.params.iter().all(|(_, ty)| lends_by_itself(ty))
}

fn at(offset: usize) -> i32 {
    i32::try_from(offset).expect("an entry is small")
}
