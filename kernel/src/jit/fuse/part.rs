//! Functions that several adapters of an image share, so that a type that is used often is compiled once.

use std::collections::HashMap;

use abi::flat::CoreType;
use abi::layout::Layout;
use abi::plan::{Endpoint, Plan};
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Signature, Value, types};

use super::copy::{Lane, Source, Target};
use super::emit::{Emit, core_signature};
use super::entrance::landing_params;
use super::reason::Reason;
use super::region::Region;

/// A function that adapters share. Values are checked by whoever calls it, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Calls a side's `realloc` and checks what it returns: old pointer, old bytes, alignment, new bytes → pointer.
    Allocate(Endpoint),
    /// Checks what a side's `realloc` has returned: pointer, alignment, bytes.
    Allocated(Endpoint),
    /// Copies a string, which it checks: pointer, tagged length → the same on the other side.
    Text(Lane),
    /// Copies a value: the host's addresses of both places.
    Copy(Lane, ValType),
    /// Calls the core function of a plan whose caller is in another domain.
    Land(Plan),
}

/// The parts that an image needs, in the order they were asked for; they are placed behind its adapters.
#[derive(Debug)]
pub(super) struct Parts {
    first: u32,
    numbers: HashMap<Part, u32>,
    pub list: Vec<Part>,
}

impl Parts {
    /// No parts yet, behind `adapters` adapters.
    pub fn new(adapters: u32) -> Parts {
        Parts { first: adapters, numbers: HashMap::new(), list: Vec::new() }
    }

    /// A part's place in the image.
    pub fn number(&mut self, part: Part) -> u32 {
        if let Some(&known) = self.numbers.get(&part) {
            return known;
        }
        let number = self.first + u32::try_from(self.list.len()).expect("limited by the nodes of all types");
        self.list.push(part.clone());
        self.numbers.insert(part, number);
        number
    }
}

impl Part {
    /// Its machine signature.
    pub fn signature(&self) -> Signature {
        const I32: CoreType = CoreType::I32;
        const I64: CoreType = CoreType::I64;
        match self {
            Part::Allocate(_) => core_signature(&[I32; 4], &[I32]),
            Part::Allocated(_) => core_signature(&[I32; 3], &[]),
            Part::Text(_) => core_signature(&[I32; 2], &[I32; 2]),
            Part::Copy(..) => core_signature(&[I64; 2], &[]),
            Part::Land(plan) => core_signature(&landing_params(plan), &[]),
        }
    }

    /// Whose it is: the process that it calls into, or whose values it takes.
    pub fn process(&self) -> u32 {
        match self {
            Part::Allocate(side) | Part::Allocated(side) => side.process,
            Part::Land(plan) => plan.callee.process,
            Part::Text(lane) | Part::Copy(lane, _) => lane.from.process,
        }
    }

    /// Writes it.
    pub fn emit(&self, emit: &mut Emit<'_>, params: &[Value]) {
        match self {
            Part::Allocate(side) => emit.reallocate(side, params),
            Part::Allocated(side) => {
                emit.check_allocated(side, params[0], params[1], params[2]);
                emit.builder.ins().return_(&[]);
            }
            Part::Text(lane) => emit.text(lane, params[0], params[1]),
            Part::Land(plan) => emit.land(plan, params),
            Part::Copy(lane, ty) => {
                let bytes = Layout::of(ty).size;
                let (from, to) = (Region::checked(params[0], bytes), Region::checked(params[1], bytes));
                emit.copy_inline(lane, ty, Source::Memory(from), Target::Memory(to));
                emit.builder.ins().return_(&[]);
            }
        }
    }
}

impl Emit<'_> {
    /// The whole function that calls `realloc` (CanonicalABI.md, `reallocate`): the guest may not call out meanwhile.
    fn reallocate(&mut self, side: &Endpoint, params: &[Value]) {
        let Some(realloc) = side.realloc else {
            return self.fail(Reason::NoRealloc, &[]);
        };
        if side.memory.is_none() {
            return self.fail(Reason::NoMemory, &[]);
        }
        self.may_leave(side.process, false);
        let pointer = self.call_slot(realloc, &[CoreType::I32; 4], &[CoreType::I32], params)[0];
        self.may_leave(side.process, true);
        self.check_allocated(side, pointer, params[2], params[3]);
        self.builder.ins().return_(&[pointer]);
        debug_assert_eq!(self.type_of(pointer), types::I32);
    }

    fn check_allocated(&mut self, side: &Endpoint, pointer: Value, align: Value, bytes: Value) {
        let (low, beyond, memory) = self.misplaced(side, pointer, align, bytes);
        self.fail_if(low, Reason::ReallocUnaligned, &[pointer, align]);
        self.fail_if(beyond, Reason::ReallocOutOfBounds, &[pointer, bytes, memory]);
    }

    /// What is wrong with a pointer that `realloc` returned: bits that its alignment does not allow, and whether it is out of
    /// bounds, which end there.
    fn misplaced(
        &mut self,
        side: &Endpoint,
        pointer: Value,
        align: Value,
        bytes: Value,
    ) -> (Value, Value, Value) {
        let low = self.builder.ins().iadd_imm_s(align, -1);
        let low = self.builder.ins().band(pointer, low);
        let (start, bytes) = (self.wide(pointer), self.wide(bytes));
        let end = self.builder.ins().iadd(start, bytes);
        let memory = self.memory_bytes(side);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, memory);
        (low, beyond, memory)
    }

    /// The same without a part for it, for a `realloc` that is written out and calls nobody: so it need not be kept from
    /// leaving. What it returned wrongly is its own fault, so the part that says so is its own.
    pub fn allocate_here(&mut self, side: &Endpoint, realloc: u32, params: &[Value; 4]) -> Value {
        let pointer = self.call_slot(realloc, &[CoreType::I32; 4], &[CoreType::I32], params)[0];
        let (low, beyond, _) = self.misplaced(side, pointer, params[2], params[3]);
        let beyond = self.builder.ins().uextend(types::I32, beyond);
        let wrong = self.builder.ins().bor(low, beyond);
        let (check, next) = (self.block(&[]), self.block(&[]));
        self.builder.set_cold_block(check);
        self.branch(wrong, check, next);
        self.enter(check);
        self.call_part(Part::Allocated(side.clone()), &[pointer, params[2], params[3]]);
        self.jump(next, &[]);
        self.enter(next);
        pointer
    }
}
