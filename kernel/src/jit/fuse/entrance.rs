//! The callee's half of a call over a boundary: the caller's values arrive here, in slots and in the caller's memory, are
//! lowered into the callee, and what its function returns goes into the slots.
//!
//! Everything runs on the callee's stack. What is wrong with the caller's values is the caller's trap: the frames that find it
//! are nobody's, and the callee has not been entered. From [`Part::Land`] on, and where memory is allocated, everything is the
//! callee's.

use abi::flat::CoreType;
use abi::plan::{Passing, Plan};
use abi::types::ValType;
use cranelift_codegen::ir::{AbiParam, ArgumentPurpose, InstBuilder, Signature, Value, types};
use cranelift_codegen::isa::CallConv;

use super::copy::{Lane, Source, Target};
use super::emit::{Emit, OWN, clif_type};
use super::part::Part;
use crate::vm::domain;

/// How many slots a call has: the parameters, a pointer to results, and [`LANDED`].
pub const SLOTS: usize = 18;
/// The slot that is not 0 once the callee has been entered.
pub const LANDED: usize = 17;
/// Stands for the memory slot where the caller's memory is during a call, until linking has numbered the slots.
pub const CALLERS_MEMORY: u32 = u32::MAX;

/// The process of a caller that is in another domain.
pub const ELSEWHERE: u32 = u32::MAX;
/// The same, where what its values carry is counted while they are copied: core values do not tell.
pub const COUNTED: u32 = u32::MAX - 1;

/// What a value of this type carries whatever it is, as [`abi::value::Value::bytes`] counts it: all but what is in its strings,
/// lists and payloads.
pub fn carried_always(ty: &ValType) -> u64 {
    match ty {
        ValType::Bool | ValType::S8 | ValType::U8 => 1,
        ValType::S16 | ValType::U16 => 2,
        ValType::S64 | ValType::U64 | ValType::F64 => 8,
        ValType::String | ValType::List(_) | ValType::Map(_) => 0,
        ValType::FixedList(elem, count) => carried_always(elem).saturating_mul(u64::from(*count)),
        ValType::Record(fields) => fields.iter().map(|field| carried_always(&field.ty)).sum(),
        ValType::Tuple(types) => types.iter().map(carried_always).sum(),
        _ => 4,
    }
}

/// The machine signature, which is that of an entry trampoline: `VmDomain`, unused, slots.
pub(super) fn entry_signature() -> Signature {
    let mut sig = Signature::new(CallConv::SystemV);
    sig.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    sig.params.extend([AbiParam::new(types::I64); 2]);
    sig
}

/// The core signature of [`Part::Land`]: the core function's parameters, and the slots.
pub(super) fn landing_params(plan: &Plan) -> Vec<CoreType> {
    let (mut params, _) = Passing::lifted(&plan.params, &plan.results);
    params.push(CoreType::I64);
    params
}

impl Emit<'_> {
    /// The whole function of a plan; its caller's memory is where the plan says.
    pub fn arrive(&mut self, plan: &Plan, slots: Value) {
        if plan.caller.process == COUNTED {
            let nothing = self.int(types::I64, 0);
            self.builder.ins().store(OWN, nothing, self.domain, domain::CARRIED);
        }
        let (params, _) = Passing::lifted(&plan.params, &plan.results);
        let params: Vec<Value> = params
            .iter()
            .enumerate()
            .map(|(at, &core)| self.builder.ins().load(clif_type(core), OWN, slots, offset(at)))
            .collect();
        let mut args = self.args(plan, &params);
        args.push(slots);
        self.call_part(Part::Land(plan.clone()), &args);
        self.builder.ins().return_(&[]);
    }

    /// So many bytes more come with a call, if they are counted on this way.
    pub fn carry(&mut self, lane: &Lane, bytes: Value) {
        if lane.from.process == COUNTED {
            let before = self.builder.ins().load(types::I64, OWN, self.domain, domain::CARRIED);
            let now = self.builder.ins().iadd(before, bytes);
            self.builder.ins().store(OWN, now, self.domain, domain::CARRIED);
        }
    }

    /// The same for what `count` values of these types carry whatever they are.
    pub fn carry_always(&mut self, lane: &Lane, types: &[&ValType], count: Value) {
        let each: u64 = types.iter().map(|ty| carried_always(ty)).sum();
        if lane.from.process == COUNTED && each != 0 {
            let bytes = self.builder.ins().imul_imm_u(count, each.cast_signed());
            self.carry(lane, bytes);
        }
    }

    /// Calls the core function, and puts what it returns into the slots: a pointer to results as it is.
    pub fn land(&mut self, plan: &Plan, params: &[Value]) {
        let (slots, args) = params.split_last().expect("the slots are the last parameter");
        let landed = self.int(types::I64, 1);
        self.builder.ins().store(OWN, landed, *slots, offset(LANDED));
        let (core_params, core_results) = Passing::lifted(&plan.params, &plan.results);
        let returned = self.call_slot(plan.core, &core_params, &core_results, args);
        let results = match &plan.results {
            Passing::Flat(_) => {
                let lane = Lane::new(&plan.callee, &plan.caller);
                let types: Vec<&ValType> = plan.ty.result.iter().collect();
                self.copy_tuple(&lane, &types, Source::Flat(&returned), Target::Flat)
            }
            Passing::Memory(_) => returned.clone(),
        };
        // Whole slots: who loads one at once would wait for what is stored in a part of it.
        for (at, &value) in results.iter().enumerate() {
            let value = match self.type_of(value) {
                types::F64 => value,
                _ => self.cast(value, types::I64),
            };
            self.builder.ins().store(OWN, value, *slots, offset(at));
        }
        // What is in memory has yet to be read.
        if let (Some(post_return), Passing::Flat(_)) = (plan.callee.post_return, &plan.results) {
            self.may_leave(plan.callee.process, false);
            self.call_slot(post_return, &core_results, &[], &returned);
            self.may_leave(plan.callee.process, true);
        }
        self.builder.ins().return_(&[]);
    }
}

fn offset(slot: usize) -> i32 {
    i32::try_from(8 * slot).expect("a call has few slots")
}
