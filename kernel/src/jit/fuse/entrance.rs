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

/// How many slots a call has: the parameters, a pointer to results, and [`LANDED`].
pub const SLOTS: usize = 18;
/// The slot that is not 0 once the callee has been entered.
pub const LANDED: usize = 17;
/// Stands for the memory slot where the caller's memory is during a call, until linking has numbered the slots.
pub const CALLERS_MEMORY: u32 = u32::MAX;

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
        for (at, &value) in results.iter().enumerate() {
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
