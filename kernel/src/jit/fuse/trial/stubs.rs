//! Calls that are none into another process, and what is refused before any code is made.

use std::sync::Arc;

use abi::fault::Trap;
use abi::flat::CoreType;
use abi::plan::Plan;
use abi::side::Encoding;
use abi::types::{Case, FuncType, ResourceType, ValType};

use super::rig::{CORE, DEFINED, DESTROYED, POST_RETURN, World, engine, host, implementers, side};
use crate::jit::compile_error::CompileError;
use crate::jit::fuse::Adapters;
use crate::jit::fuse::spec::{AdapterSpec, Callees, Refusal};
use crate::limits::ADAPTER_NODES;
use crate::vm::DomainLayout;
use crate::vm::flags::{MAY_ENTER, MAY_LEAVE};

const UTF8: [Encoding; 2] = [Encoding::Utf8; 2];
const TY: ResourceType = ResourceType(4);

/// A world for one stub of process 0; its import has the number that the callee's core function has.
fn stub(spec: AdapterSpec) -> World {
    let filler = || host(0, 2, &[], &[]);
    let numbered = host(CORE, 2, &[CoreType::I32; 4], &[CoreType::I32; 4]);
    World::with(vec![filler(), filler(), numbered, filler()], spec, UTF8)
}

#[test]
fn the_host_gets_core_values_and_gives_them_back() {
    let types = [CoreType::I32, CoreType::F32, CoreType::F64, CoreType::I64];
    let mut world = stub(host(CORE, 0, &types, &types));
    world.guests().core = Some(Box::new(|_, slots| {
        let want = [0xFFFF_FFFF, u64::from(1.5_f32.to_bits()), 2.5_f64.to_bits(), u64::MAX];
        assert_eq!(slots, want);
        slots.copy_from_slice(&[7, u64::from(2.5_f32.to_bits()), 3.5_f64.to_bits(), 9]);
        Ok(())
    }));
    let core = [0xFFFF_FFFF, u64::from(1.5_f32.to_bits()), 2.5_f64.to_bits(), u64::MAX];
    let results = world.call(&core).unwrap();
    assert_eq!(results, [7, u64::from(2.5_f32.to_bits()), 3.5_f64.to_bits(), 9]);
    world.guests().core = Some(Box::new(|_, _| Err(Trap::Host("no".into()))));
    assert_eq!(world.call(&core).unwrap_err().trap, Trap::Host("no".into()));
}

#[test]
fn only_who_may_leave_calls_the_host() {
    let mut world = stub(host(CORE, 0, &[], &[]));
    world.guests().core = Some(Box::new(|_, _| Ok(())));
    world.domain.set_flags(0, MAY_ENTER);
    assert_eq!(world.call(&[]).unwrap_err().trap, Trap::CannotLeave);
    assert!(world.guests().log.is_empty());
    world.domain.set_flags(0, MAY_LEAVE);
    world.call(&[]).unwrap();
}

#[test]
fn handles_are_made_read_and_dropped() {
    [TY, DEFINED].into_iter().for_each(made_read_and_dropped);
}

fn made_read_and_dropped(ty: ResourceType) {
    let process = 0;
    let mut new = stub(AdapterSpec::ResourceNew { process, ty });
    assert_eq!(new.call(&[0xFFFF_FFFF]).unwrap(), [1]);
    assert_eq!(new.guests().handles.rep(0, ty, 1), Ok(0xFFFF_FFFF));
    for index in 2..40 {
        assert_eq!(new.call(&[u64::from(index)]).unwrap(), [u64::from(index)], "the table grows");
        assert_eq!(new.guests().handles.rep(0, ty, index), Ok(index));
    }
    let mut rep = stub(AdapterSpec::ResourceRep { process, ty });
    assert_eq!(rep.call(&[1]).unwrap_err().trap, Trap::UnknownHandle(1));
    let mut rep = stub(AdapterSpec::ResourceRep { process, ty });
    rep.guests().handles.add_own(0, ty, 5).unwrap();
    rep.domain.set_flags(0, MAY_ENTER);
    assert_eq!(rep.call(&[1]).unwrap(), [5], "a process that may not leave may ask for a representation");
    let mut drop = stub(AdapterSpec::ResourceDrop { process, ty });
    drop.guests().handles.add_own(0, ty, 5).unwrap();
    drop.call(&[1]).unwrap();
    assert_eq!(drop.guests().handles.tables[0].live(), 0);
    assert_eq!(drop.call(&[1]).unwrap_err().trap, Trap::UnknownHandle(1));
    for spec in [AdapterSpec::ResourceNew { process, ty }, AdapterSpec::ResourceDrop { process, ty }] {
        let mut world = stub(spec);
        world.domain.set_flags(0, MAY_ENTER);
        assert_eq!(world.call(&[1]).unwrap_err().trap, Trap::CannotLeave);
    }
}

#[test]
fn a_destructor_is_called_if_its_process_may_be_entered() {
    let stub = || {
        let filler = || host(0, 2, &[], &[]);
        let slots = vec![filler(), filler(), filler(), host(POST_RETURN, 2, &[CoreType::I32], &[])];
        World::with(slots, AdapterSpec::ResourceDrop { process: 0, ty: DESTROYED }, UTF8)
    };
    let mut world = stub();
    let handle = world.guests().handles.add_own(0, DESTROYED, 5).unwrap();
    let other = world.guests().handles.add_own(0, DEFINED, 5).unwrap();
    assert_eq!(world.call(&[u64::from(other)]).unwrap_err().trap, Trap::WrongHandleType { index: other });
    assert!(!world.guests().called(POST_RETURN));
    world.call(&[u64::from(handle)]).unwrap();
    assert!(world.guests().called(POST_RETURN));
    assert_eq!(world.call(&[u64::from(handle)]).unwrap_err().trap, Trap::UnknownHandle(handle));

    let mut world = stub();
    let handle = world.guests().handles.add_own(0, DESTROYED, 5).unwrap();
    world.domain.set_flags(1, MAY_LEAVE);
    assert_eq!(world.call(&[u64::from(handle)]).unwrap_err().trap, Trap::CannotEnter);
    assert!(!world.guests().called(POST_RETURN));

    let mut world = stub();
    world.guests().handles.enter().unwrap();
    let lent = world.guests().handles.add_own(0, DESTROYED, 5).unwrap();
    world.guests().handles.lend(0, DESTROYED, lent).unwrap();
    let still = Trap::StillLent { index: lent, lends: 1 };
    assert_eq!(world.call(&[u64::from(lent)]).unwrap_err().trap, still);
    let borrow = world.guests().handles.borrow(0, DESTROYED, 5).unwrap();
    world.call(&[u64::from(borrow)]).unwrap();
    assert!(!world.guests().called(POST_RETURN), "a borrow owns nothing");
}

/// A backtrace goes on below the kernel's frames where the stub says.
#[test]
fn who_may_call_back_notes_its_frame() {
    let mut world = stub(host(CORE, 0, &[], &[]));
    world.guests().core = Some(Box::new(|_, _| Ok(())));
    world.call(&[]).unwrap();
    assert!(world.guests().noted.unwrap() < 4096);
    let mut world = stub(AdapterSpec::ResourceDrop { process: 0, ty: TY });
    world.guests().handles.add_own(0, TY, 5).unwrap();
    world.call(&[1]).unwrap();
    assert!(world.guests().noted.unwrap() < 4096);
}

#[test]
fn what_is_refused_says_why() {
    let refuse = |reason| AdapterSpec::Refuse {
        params: vec![CoreType::I32],
        results: vec![CoreType::I64],
        reason,
        process: 0,
        name: "refused".into(),
    };
    let trap = |reason| stub(refuse(reason)).call(&[0]).unwrap_err().trap;
    assert_eq!(trap(Refusal::Reentrance), Trap::CannotEnter);
    assert_eq!(trap(Refusal::Message("x is missing".into())), Trap::Host("x is missing".into()));
    let mut world = stub(refuse(Refusal::Message("x is missing".into())));
    world.domain.set_flags(0, MAY_ENTER);
    assert_eq!(world.call(&[0]).unwrap_err().trap, Trap::CannotLeave);
}

/// A type with many different parts, each used twice by the next: small to write, large to write out.
fn wide(levels: u32) -> ValType {
    (0..levels).fold(ValType::String, |ty, level| {
        let case = |name: &str, ty: ValType| Case { name: name.into(), ty: Some(ty) };
        let list = ValType::List(Arc::new(ty));
        let pair = ValType::Tuple([list.clone(), ValType::U8].into());
        ValType::Variant([case(&format!("a{level}"), pair), case("b", list)].into())
    })
}

fn compile(ty: ValType) -> Result<Adapters, CompileError> {
    let ty = FuncType { params: [("p".into(), ty)].into(), result: None, is_async: false };
    let plan = Plan::new(ty, side(0, Encoding::Utf8), side(1, Encoding::Utf8), CORE);
    let spec = AdapterSpec::Call { plan, name: "wide".into() };
    Adapters::compile(engine(), &[spec], DomainLayout::new(2, 4, 2), &implementers(), &Callees::new())
}

#[test]
fn parts_are_shared_so_that_code_does_not_grow_as_the_types_do() {
    let (small, large) = (compile(wide(6)).unwrap().code_bytes(), compile(wide(9)).unwrap().code_bytes());
    assert!(large < 2 * small, "8 times the parts: {small} bytes became {large}");
}

#[test]
fn a_type_that_is_too_large_is_refused() {
    let Err(CompileError::Limit { value, allowed, .. }) = compile(wide(20)) else {
        panic!("it was compiled")
    };
    assert_eq!(allowed, u64::from(ADAPTER_NODES));
    assert!(value > allowed);
}
