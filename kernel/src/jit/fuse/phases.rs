//! A call between two processes as one function: its four phases (CanonicalABI.md, `canon_lift`, `canon_lower`).

use abi::flat::CoreType;
use abi::layout::Layout;
use abi::plan::{Endpoint, Passing, Plan};
use abi::types::ValType;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::copy::{Lane, Source, Target};
use super::emit::Emit;
use super::handles;
use super::reason::Reason;
use super::region::Refuse;
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;
use crate::vm::flags;

const PARAMS: Refuse = Refuse { unaligned: Reason::UnalignedParams, outside: Reason::ParamsOutOfBounds };
const RESULTS: Refuse = Refuse { unaligned: Reason::UnalignedResults, outside: Reason::ResultsOutOfBounds };

impl Emit<'_> {
    /// The whole adapter of a plan.
    pub fn invoke(&mut self, plan: &Plan, params: &[Value]) {
        let (caller, callee) = (&plan.caller, &plan.callee);
        self.need_flag(caller.process, flags::MAY_LEAVE, trapcode::CANNOT_LEAVE);
        self.need_flag(callee.process, flags::MAY_ENTER, trapcode::CANNOT_ENTER);
        self.scoped = handles::scope(plan, self.implementers);
        let scope = plan.scope && self.scoped;
        if scope {
            let process = self.int(types::I32, callee.process.cast_signed());
            self.builtin_status(Builtin::scope_enter, &[process]);
        }
        let args = self.args(plan, params);
        let (core_params, core_results) = Passing::lifted(&plan.params, &plan.results);
        let returned = self.call_slot(plan.core, &core_params, &core_results, &args);
        self.give_back();
        if scope {
            self.builtin_status(Builtin::scope_exit, &[]);
        }
        let results = self.results(plan, params, &returned);
        if let Some(post_return) = callee.post_return {
            self.may_leave(callee.process, false);
            self.call_slot(post_return, &core_results, &[], &returned);
            self.may_leave(callee.process, true);
        }
        self.builder.ins().return_(&results);
    }

    /// *Args*: gives the core function's arguments.
    pub fn args(&mut self, plan: &Plan, params: &[Value]) -> Vec<Value> {
        let lane = Lane::new(&plan.caller, &plan.callee);
        let types: Vec<&ValType> = plan.ty.params.iter().map(|(_, ty)| ty).collect();
        match &plan.params {
            Passing::Flat(_) => self.copy_tuple(&lane, &types, Source::Flat(params), Target::Flat),
            Passing::Memory(layout) => {
                let Layout { size, align } = *layout;
                let from = self.region(&lane.from, params[0], size, align, PARAMS);
                let (nothing, bytes) = (self.int(types::I32, 0), self.int(types::I32, size.cast_signed()));
                let pointer = self.allocate(&lane.to, [nothing; 2], align, bytes);
                let to = self.address(&lane.to, pointer);
                let to = super::region::Region::checked(to, size);
                self.copy_tuple(&lane, &types, Source::Memory(from), Target::Memory(to));
                vec![pointer]
            }
        }
    }

    /// *Results*: gives what the adapter returns.
    fn results(&mut self, plan: &Plan, params: &[Value], returned: &[Value]) -> Vec<Value> {
        let lane = Lane::new(&plan.callee, &plan.caller);
        let types: Vec<&ValType> = plan.ty.result.iter().collect();
        match &plan.results {
            Passing::Flat(_) => self.copy_tuple(&lane, &types, Source::Flat(returned), Target::Flat),
            Passing::Memory(layout) => {
                let Layout { size, align } = *layout;
                let from = self.region(&lane.from, returned[0], size, align, RESULTS);
                let pointer = *params.last().expect("the caller passes a pointer to its results");
                let to = self.region(&lane.to, pointer, size, align, RESULTS);
                self.copy_tuple(&lane, &types, Source::Memory(from), Target::Memory(to));
                Vec::new()
            }
        }
    }
}

impl Lane {
    /// A direction; what only the callee has of its options makes no difference to it.
    pub fn new(from: &Endpoint, to: &Endpoint) -> Lane {
        let side = |side: &Endpoint| Endpoint { post_return: None, ..side.clone() };
        Lane { from: side(from), to: side(to) }
    }
}

/// The core signature of the adapter of a plan.
pub(super) fn signature_of(plan: &Plan) -> (Vec<CoreType>, Vec<CoreType>) {
    Passing::lowered(&plan.params, &plan.results)
}
