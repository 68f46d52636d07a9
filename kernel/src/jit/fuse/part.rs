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
            Part::Text(_) => core_signature(&[I32; 2], &[I32; 2]),
            Part::Copy(..) => core_signature(&[I64; 2], &[]),
            Part::Land(plan) => core_signature(&landing_params(plan), &[]),
        }
    }

    /// What a backtrace shows, if it is to be seen: the process that it calls into.
    pub fn calls_into(&self) -> Option<u32> {
        match self {
            Part::Allocate(side) => Some(side.process),
            Part::Land(plan) => Some(plan.callee.process),
            Part::Text(_) | Part::Copy(..) => None,
        }
    }

    /// Writes it.
    pub fn emit(&self, emit: &mut Emit<'_>, params: &[Value]) {
        match self {
            Part::Allocate(side) => emit.reallocate(side, params),
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
        let (align, bytes) = (params[2], self.wide(params[3]));
        let low = self.builder.ins().iadd_imm_s(align, -1);
        let low = self.builder.ins().band(pointer, low);
        self.fail_if(low, Reason::ReallocUnaligned, &[pointer, align]);
        let start = self.wide(pointer);
        let end = self.builder.ins().iadd(start, bytes);
        let memory = self.memory_bytes(side);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, memory);
        self.fail_if(beyond, Reason::ReallocOutOfBounds, &[pointer, bytes, memory]);
        self.builder.ins().return_(&[pointer]);
        debug_assert_eq!(self.type_of(pointer), types::I32);
    }
}
