//! Every operator table by itself: a straight-line function is translated, compiled and run.

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, Type, Value, condcodes::IntCC, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use wasmparser::{FunctionBody, MemArg, Operator, Parser, Payload, ValType};

use super::access::Place;
use super::operands::{Operands, cast};
use super::{atomic, convert, numeric, simd};
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;

/// A translator for one block without calls, whose memory is the second parameter of the compiled function.
struct Straight<'f> {
    builder: FunctionBuilder<'f>,
    stack: Vec<Value>,
    memory: Value,
}

impl<'f> Operands<'f> for Straight<'f> {
    fn builder(&mut self) -> &mut FunctionBuilder<'f> {
        &mut self.builder
    }

    fn push(&mut self, value: Value) {
        if self.builder.func.dfg.value_type(value).is_vector() {
            assert_eq!(
                self.builder.func.dfg.value_type(value),
                types::I8X16,
                "vectors are canonical on the stack"
            );
        }
        self.stack.push(value);
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("a validated body does not pop from an empty stack")
    }

    fn place_at(&mut self, index: Value, memarg: &MemArg, bytes: u32) -> Place {
        let index = self.builder.ins().uextend(types::I64, index);
        let end = i64::try_from(memarg.offset + u64::from(bytes)).expect("a small offset");
        let last = self.builder.ins().iadd_imm_s(index, end);
        let outside = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, last, MEMORY as i64);
        self.builder.ins().trapnz(outside, trapcode::MEMORY_OUT_OF_BOUNDS);
        let address = self.builder.ins().iadd(self.memory, index);
        Place {
            address,
            offset: i32::try_from(memarg.offset).expect("a small offset"),
            flags: MemFlagsData::new(),
        }
    }

    fn checked_value(&mut self, _: Builtin, _: &[Value]) -> Value {
        unreachable!("these functions call nothing")
    }
}

/// Bytes of memory that a function has.
const MEMORY: usize = 65536;

fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").expect("a known setting");
    flags.set("enable_verifier", "true").expect("a known setting");
    let isa = cranelift_native::builder().expect("a supported machine");
    isa.finish(settings::Flags::new(flags)).expect("consistent flags")
}

fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
        ValType::Ref(_) => unreachable!("no test takes references"),
    }
}

/// A wasm function's body and type.
struct Source<'w> {
    params: Vec<ValType>,
    results: Vec<ValType>,
    body: FunctionBody<'w>,
}

/// The first function of a module.
fn first_function(wasm: &[u8]) -> Source<'_> {
    let mut ty = None;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("valid") {
            Payload::TypeSection(section) => {
                let group = section.into_iter().next().expect("a type").expect("valid");
                ty = group.into_types().next().map(|sub| sub.unwrap_func().clone());
            }
            Payload::CodeSectionEntry(body) => {
                let ty = ty.expect("types come first");
                return Source { params: ty.params().to_vec(), results: ty.results().to_vec(), body };
            }
            _ => {}
        }
    }
    panic!("a module with a function was expected");
}

/// Compiled machine code with its pages.
struct Code {
    pages: region::Allocation,
    results: usize,
}

fn compile(source: &Source<'_>) -> Code {
    let isa = isa();
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(types::I64), AbiParam::new(types::I64)]);
    let mut func = Function::with_name_signature(cranelift_codegen::ir::UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut func, &mut context);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    builder.seal_all_blocks();
    let [slots, memory] = builder.block_params(block)[..] else { panic!("two parameters") };
    let flags = MemFlagsData::trusted();
    let mut locals = Vec::new();
    for (index, &param) in source.params.iter().enumerate() {
        locals.push(builder.ins().load(clif_type(param), flags, slots, 16 * index as i32));
    }
    let mut t = Straight { builder, stack: Vec::new(), memory };
    for op in source.body.get_operators_reader().expect("valid") {
        translate(&mut t, &locals, &op.expect("valid"));
    }
    for (index, &result) in t.stack.clone().iter().enumerate() {
        assert_eq!(t.builder.func.dfg.value_type(result), clif_type(source.results[index]));
        t.builder.ins().store(flags, result, slots, 16 * index as i32);
    }
    t.builder.ins().return_(&[]);
    t.builder.finalize(isa.frontend_config());
    let mut context = cranelift_codegen::Context::for_function(func);
    let compiled = context.compile(&*isa, &mut ControlPlane::default()).expect("verified and compiled");
    assert!(compiled.buffer.relocs().is_empty(), "no library calls");
    let code = compiled.code_buffer();
    let mut pages = region::alloc(code.len(), region::Protection::READ_WRITE).expect("memory");
    // SAFETY: the pages were just allocated, are writable and as long as the code at least.
    unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), pages.as_mut_ptr(), code.len()) };
    // SAFETY: the pages are ours alone, and nothing writes to them after this.
    unsafe { region::protect(pages.as_ptr::<u8>(), pages.len(), region::Protection::READ_EXECUTE) }
        .expect("protect");
    Code { pages, results: source.results.len() }
}

fn translate(t: &mut Straight<'_>, locals: &[Value], op: &Operator<'_>) {
    match op {
        Operator::LocalGet { local_index } => {
            let value = locals[*local_index as usize];
            let value = if t.type_of(value).is_vector() { cast(t, types::I8X16, value) } else { value };
            t.push(value);
        }
        Operator::Drop => {
            t.pop();
        }
        Operator::End => {}
        op if numeric::numeric(t, op)
            || convert::convert(t, op)
            || simd::simd(t, op)
            || atomic::atomic(t, op) => {}
        op => panic!("no table has {op:?}"),
    }
}

/// Runs compiled code that does not trap.
fn run(code: &Code, args: &[u128], memory: &mut [u8; MEMORY]) -> Vec<u128> {
    let mut slots = [0u128; 16];
    slots[..args.len()].copy_from_slice(args);
    // SAFETY: `compile` made this code for this signature; it checks its memory accesses.
    let entry: extern "C" fn(*mut u128, *mut u8) = unsafe { std::mem::transmute(code.pages.as_ptr::<u8>()) };
    entry(slots.as_mut_ptr(), memory.as_mut_ptr());
    slots[..code.results].to_vec()
}

/// Compiles `(func {text})` beside a memory and runs it.
fn eval_with(text: &str, args: &[u128], memory: &mut [u8; MEMORY]) -> Vec<u128> {
    let wasm = wat::parse_str(format!("(module (memory 1 1 shared) (func {text}))")).expect(text);
    run(&compile(&first_function(&wasm)), args, memory)
}

fn eval(text: &str, args: &[u128]) -> Vec<u128> {
    eval_with(text, args, &mut [0; MEMORY])
}

/// Applies an operator to operands of one type and checks its one result.
fn check(op: &str, operand: &str, result: &str, args: &[u128], expected: u128) {
    let params: String = args.iter().map(|_| format!("(param {operand})")).collect();
    let operands: String = (0..args.len()).map(|index| format!("(local.get {index})")).collect();
    let text = format!("{params} (result {result}) ({op} {operands})");
    let mask = match result {
        "i32" | "f32" => u128::from(u32::MAX),
        "i64" | "f64" => u128::from(u64::MAX),
        _ => u128::MAX,
    };
    assert_eq!(eval(&text, args)[0] & mask, expected, "{op} of {args:x?}");
}

const MINUS_ONE_32: u128 = 0xffff_ffff;
const MIN_32: u128 = 0x8000_0000;

#[test]
fn integers() {
    for (op, args, expected) in [
        ("i32.add", [MINUS_ONE_32, 2], 1),
        ("i32.sub", [1, 2], MINUS_ONE_32),
        ("i32.mul", [0x1_0001, 0x1_0000], 0x1_0000),
        ("i32.div_s", [MINUS_ONE_32 - 6, 2], MINUS_ONE_32 - 2),
        ("i32.div_u", [MINUS_ONE_32, 2], 0x7fff_ffff),
        ("i32.rem_s", [MIN_32, MINUS_ONE_32], 0),
        ("i32.rem_u", [7, 4], 3),
        ("i32.shl", [1, 33], 2),
        ("i32.shr_s", [MIN_32, 31], MINUS_ONE_32),
        ("i32.shr_u", [MIN_32, 63], 1),
        ("i32.rotl", [MIN_32 | 1, 33], 3),
        ("i32.rotr", [1, 1], MIN_32),
        ("i32.lt_s", [MINUS_ONE_32, 0], 1),
        ("i32.lt_u", [MINUS_ONE_32, 0], 0),
        ("i32.ge_u", [MINUS_ONE_32, 0], 1),
    ] {
        check(op, "i32", "i32", &args, expected);
    }
    for (op, value, expected) in
        [("i32.clz", 0, 32), ("i32.ctz", 8, 3), ("i32.popcnt", MINUS_ONE_32, 32), ("i32.eqz", 0, 1)]
    {
        check(op, "i32", "i32", &[value], expected);
    }
    check("i32.extend8_s", "i32", "i32", &[0x80], 0xffff_ff80);
    check("i64.extend_i32_s", "i32", "i64", &[MIN_32], 0xffff_ffff_8000_0000);
    check("i64.extend_i32_u", "i32", "i64", &[MIN_32], MIN_32);
    check("i32.wrap_i64", "i64", "i32", &[0x1_2345_6789], 0x2345_6789);
}

#[test]
fn wide_arithmetic() {
    let text = "(param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1))";
    let minus_one = u128::from(u64::MAX);
    assert_eq!(eval(text, &[minus_one, 3]), [minus_one - 2, minus_one]);
    let text = "(param i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 0) (local.get 1) (local.get 1))";
    assert_eq!(eval(text, &[minus_one, 1]), [0, 1]);
}

fn f32_bits(value: f32) -> u128 {
    u128::from(value.to_bits())
}

fn f64_bits(value: f64) -> u128 {
    u128::from(value.to_bits())
}

#[test]
fn floats() {
    for (op, args, expected) in [
        ("f32.min", [-0.0, 0.0], -0.0),
        ("f32.max", [-0.0, 0.0], 0.0),
        ("f32.add", [1.5, 2.25], 3.75),
        ("f32.copysign", [3.0, -1.0], -3.0),
    ] {
        check(op, "f32", "f32", &args.map(f32_bits), f32_bits(expected));
    }
    for (op, value, expected) in [
        ("f64.nearest", 2.5, 2.0),
        ("f64.nearest", -0.5, -0.0),
        ("f64.ceil", -0.5, -0.0),
        ("f64.floor", -0.5, -1.0),
        ("f64.trunc", -1.7, -1.0),
        ("f64.sqrt", 9.0, 3.0),
    ] {
        check(op, "f64", "f64", &[f64_bits(value)], f64_bits(expected));
    }
    // The sign operators touch one bit and leave a signalling NaN as it is.
    check("f32.neg", "f32", "f32", &[0x7fa0_0001], 0xffa0_0001);
    check("f32.abs", "f32", "f32", &[0xffa0_0001], 0x7fa0_0001);
    check("f64.lt", "f64", "i32", &[f64_bits(f64::NAN), f64_bits(1.0)], 0);
    check("f64.ne", "f64", "i32", &[f64_bits(f64::NAN), f64_bits(f64::NAN)], 1);
}

#[test]
fn conversions() {
    check("i32.trunc_f64_s", "f64", "i32", &[f64_bits(-2_147_483_648.9)], MIN_32);
    check("i32.trunc_sat_f32_s", "f32", "i32", &[f32_bits(1e30)], 0x7fff_ffff);
    check("i32.trunc_sat_f32_u", "f32", "i32", &[f32_bits(-1.0)], 0);
    check("i64.trunc_sat_f64_u", "f64", "i64", &[f64_bits(f64::NAN)], 0);
    check("f32.convert_i64_u", "i64", "f32", &[u128::from(u64::MAX)], f32_bits(18_446_744_073_709_551_616.0));
    check("f64.convert_i32_s", "i32", "f64", &[MIN_32], f64_bits(-2_147_483_648.0));
    check("f64.promote_f32", "f32", "f64", &[f32_bits(0.5)], f64_bits(0.5));
    check("i32.reinterpret_f32", "f32", "i32", &[f32_bits(1.0)], 0x3f80_0000);
}

const BYTES: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;

#[test]
fn vectors() {
    for (op, args, expected) in [
        ("i8x16.add_sat_u", [BYTES, u128::MAX], u128::MAX),
        ("i16x8.sub", [0, 1], 0xffff),
        ("i32x4.dot_i16x8_s", [0x0002_ffff, 0x0003_0001], 5),
        ("i64x2.extmul_low_i32x4_u", [MINUS_ONE_32, MINUS_ONE_32], 0xffff_fffe_0000_0001),
        (
            "i8x16.swizzle",
            [BYTES << 8 | 0xaa, 0x10_0f_00],
            0x00_0e_aa | 0xaaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aa00_0000,
        ),
        ("i8x16.narrow_i16x8_u", [0x0100_ffff, 0], 0xff00),
        ("v128.andnot", [0xff, 0x0f], 0xf0),
        ("f32x4.pmin", [0x8000_0000, 0], 0x8000_0000),
        ("i8x16.relaxed_swizzle", [BYTES, BYTES], BYTES),
    ] {
        check(op, "v128", "v128", &args, expected);
    }
    check("i8x16.bitmask", "v128", "i32", &[0x80 << 120 | 0x80], 0x8001);
    check("i32x4.all_true", "v128", "i32", &[BYTES], 1);
    check("v128.any_true", "v128", "i32", &[0], 0);
    check("i16x8.extract_lane_s 7", "v128", "i32", &[0x8000 << 112], 0xffff_8000);
    check(
        "i32x4.trunc_sat_f64x2_s_zero",
        "v128",
        "v128",
        &[f64_bits(-3.7) << 64 | f64_bits(7e77)],
        0xffff_fffd_7fff_ffff,
    );
    check("f64x2.promote_low_f32x4", "v128", "v128", &[f32_bits(2.0)], f64_bits(2.0));
    check("i8x16.splat", "i32", "v128", &[0x1ab], u128::from_le_bytes([0xab; 16]));
}

#[test]
fn operators_of_different_shapes_follow_each_other() {
    let text = "(param v128 v128) (result v128)
        (v128.bitselect (local.get 0) (local.get 1)
            (i32x4.gt_s (i32x4.add (local.get 0) (i16x8.neg (local.get 1))) (v128.const i32x4 0 0 0 0)))";
    assert_eq!(eval(text, &[5 << 32 | 3, 0x1_0004]), [5 << 32 | 0x1_0004]);
    let text = "(param v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))";
    assert_eq!(eval(text, &[f32_bits(3.0)]), [f32_bits(12.0)]);
}

#[test]
fn vector_memory() {
    let mut memory = [0; MEMORY];
    memory[8..24].copy_from_slice(&BYTES.to_le_bytes());
    for (text, expected) in [
        ("(v128.load offset=4 (i32.const 4))", BYTES),
        ("(v128.load8x8_u (i32.const 8))", 0x0007_0006_0005_0004_0003_0002_0001_0000),
        ("(v128.load16_splat (i32.const 10))", 0x0302_0302_0302_0302_0302_0302_0302_0302),
        ("(v128.load32_zero (i32.const 12))", 0x0706_0504),
        ("(v128.load8_lane 15 (i32.const 9) (v128.const i64x2 0 0))", 1 << 120),
    ] {
        assert_eq!(eval_with(&format!("(result v128) {text}"), &[], &mut memory), [expected], "{text}");
    }
    eval_with("(param v128) (v128.store16_lane 1 (i32.const 0) (local.get 0))", &[0xbeef_0000], &mut memory);
    assert_eq!(memory[..3], [0xef, 0xbe, 0]);
}

#[test]
fn atomics() {
    let mut memory = [0; MEMORY];
    let mut eval = |text: &str| eval_with(&format!("(result i32) {text}"), &[], &mut memory)[0];
    assert_eq!(eval("(i32.atomic.rmw.add (i32.const 4) (i32.const 7))"), 0);
    assert_eq!(eval("(i32.atomic.rmw8.xchg_u offset=1 (i32.const 3) (i32.const 0x1ff))"), 7);
    assert_eq!(
        eval("(i32.atomic.rmw16.cmpxchg_u (i32.const 4) (i32.const 0x100ff) (i32.const 0x12345))"),
        0xff
    );
    assert_eq!(eval("(i32.atomic.load (i32.const 4))"), 0x2345);
    assert_eq!(memory[4..8], [0x45, 0x23, 0, 0]);
}
