//! Guests that break a rule, each in one way: the same trap on every rung, and nothing else happens.

use abi::relay::{HEAP, RESULT, Relay};
use abi::side::Encoding;
use abi::types::{FuncType, ResourceType, ValType};
use abi::value::{Resource, Value};

use crate::rung::{Call, Case, Outcome};
use crate::shapes::{ENCODINGS, enumeration, flags, func, list, option, tuple, variant};

/// Where a lie puts its bytes.
const PLACE: u32 = 4096;

/// A call in which somebody lies.
struct Lie(Case, Call);

impl Lie {
    /// Between honest relays, with the smallest values.
    fn about(ty: FuncType) -> Lie {
        let args = ty.params.iter().map(|(_, ty)| smallest(ty)).collect();
        let result = ty.result.as_ref().map(smallest);
        Lie(Case { ty, front: Relay::default(), back: Relay::default() }, Call { args, result })
    }

    fn of_front(mut self, front: Relay) -> Lie {
        self.0.front = front;
        self
    }

    fn of_back(mut self, back: Relay) -> Lie {
        self.0.back = back;
        self
    }

    /// Whatever comes of it comes of it on every rung.
    fn told(&self) -> Outcome {
        self.0.agree(std::slice::from_ref(&self.1)).remove(0)
    }

    /// It traps, and this is part of what the trap says.
    fn traps(&self, says: &str) {
        let outcome = self.told();
        let trap = outcome.returned.expect_err("it is a lie").to_string();
        assert!(trap.contains(says), "`{trap}`, not `{says}`: {}", self.0.ty);
    }

    /// It does not trap: this arrives.
    fn arrives_as(&self, value: Value) {
        let outcome = self.told();
        assert_eq!(outcome.returned, Ok(None));
        assert_eq!(outcome.seen, Some(vec![value]));
    }
}

/// The smallest value of a type that a lie is about.
fn smallest(ty: &ValType) -> Value {
    let (own, borrow) = (|resource| Value::Own(resource), |resource| Value::Borrow(resource));
    let made = |ty: ResourceType| Resource { ty, rep: 3, generation: 0 };
    match ty {
        ValType::String => Value::String("abc".into()),
        ValType::List(elem) => Value::List(vec![smallest(elem); 2]),
        ValType::Tuple(types) => Value::Tuple(types.iter().map(smallest).collect()),
        ValType::Char => Value::Char('a'),
        ValType::Bool => Value::Bool(false),
        ValType::U8 => Value::U8(0),
        ValType::S8 => Value::S8(0),
        ValType::U32 => Value::U32(0),
        ValType::U64 => Value::U64(0),
        ValType::Flags(_) => Value::Flags(0),
        ValType::Enum(_) => Value::Enum(0),
        ValType::Variant(_) => Value::Variant(0, None),
        ValType::Option(_) => Value::Option(None),
        ValType::Own(ty) => own(made(*ty)),
        ValType::Borrow(ty) => borrow(made(*ty)),
        other => panic!("nobody lies about a {other}"),
    }
}

/// A relay that passes these numbers on.
fn passing(numbers: &[i64]) -> Relay {
    let passes = numbers.iter().map(|number| format!("(i32.const {})", *number as i32)).collect();
    Relay { passes: Some(passes), ..Relay::default() }
}

/// The same for a pointer and a length, with these bytes where it points.
fn pointing(bytes: &[u8], pointer: u32, length: u32) -> Relay {
    Relay { before: bytes_at(PLACE, bytes), ..passing(&[pointer.into(), length.into()]) }
}

fn returning(text: &str) -> Relay {
    Relay { returns: Some(text.to_owned()), ..Relay::default() }
}

fn allocating(body: &str) -> Relay {
    Relay { realloc: Some(body.to_owned()), ..Relay::default() }
}

fn bytes_at(at: u32, bytes: &[u8]) -> String {
    let store = |(at, byte): (u32, &u8)| format!("(i32.store8 (i32.const {at}) (i32.const {byte}))");
    (at..).zip(bytes).map(store).collect()
}

#[test]
fn pointers_to_strings() {
    for to in ENCODINGS {
        let told =
            |front| Lie::about(func([ValType::String], None)).of_front(front).of_back(Relay::in_encoding(to));
        let outside = "string content out-of-bounds";
        told(passing(&[-4, 16])).traps(outside);
        told(passing(&[32 * 65536 - 2, 3])).traps(outside);
        told(passing(&[0, 1 << 28])).traps("are allowed");
        let wide = |front| told(Relay { encoding: Encoding::Utf16, ..front });
        wide(passing(&[-4, 16])).traps(outside);
        wide(passing(&[PLACE as i64 + 1, 2])).traps("must be aligned to 2");
        wide(passing(&[0, 1 << 28])).traps("are allowed");
        let either = |front| told(Relay { encoding: Encoding::CompactUtf16, ..front });
        either(passing(&[-4, 16])).traps(outside);
        either(passing(&[-4, 16 | 1 << 31])).traps(outside);
        either(passing(&[PLACE as i64 + 1, 2 | 1 << 31])).traps("must be aligned to 2");
    }
}

#[test]
fn bytes_that_are_no_text() {
    let late: Vec<u8> = [b'a'; 200].into_iter().chain([0x80]).collect();
    for to in ENCODINGS {
        let told =
            |front| Lie::about(func([ValType::String], None)).of_front(front).of_back(Relay::in_encoding(to));
        for bytes in
            [&[0xFF][..], &[0xC0, 0x80], &[0xED, 0xA0, 0x80], &[0xF4, 0x90, 0x80, 0x80], b"ab\x80c", &late]
        {
            told(pointing(bytes, PLACE, bytes.len() as u32)).traps("utf-8");
        }
        told(pointing("€".as_bytes(), PLACE, 2)).traps("utf-8");
        for units in [[0x00, 0xD8, b'a', 0], [0x00, 0xDC, b'a', 0], [b'a', 0, 0x00, 0xD8]] {
            let front = pointing(&units, PLACE, 2);
            told(Relay { encoding: Encoding::Utf16, ..front }).traps("surrogate");
            let front = pointing(&units, PLACE, 2 | 1 << 31);
            told(Relay { encoding: Encoding::CompactUtf16, ..front }).traps("surrogate");
        }
    }
}

#[test]
fn pointers_to_lists() {
    let told =
        |elem, pointer, length| Lie::about(func([list(elem)], None)).of_front(passing(&[pointer, length]));
    for elem in [ValType::U8, ValType::U32, ValType::Char, ValType::String] {
        told(elem.clone(), -4, 16).traps("list content out-of-bounds");
        told(elem.clone(), 0, 1 << 28).traps("are allowed");
        // What is empty has a pointer as well.
        told(elem.clone(), -4, 0).told();
        told(elem.clone(), 0, 0).told();
        told(elem, 1, 0).told();
    }
    told(ValType::U32, 2, 1).traps("must be aligned to 4");
    told(ValType::U64, 4, 1).traps("must be aligned to 8");
    told(ValType::U64, 0, 0x2000_0001).traps("are allowed");
}

#[test]
fn bits_that_are_no_value() {
    let told = |ty, numbers: &[i64]| Lie::about(func([ty], None)).of_front(passing(numbers));
    for none in [0xD800, 0xDFFF, 0x11_0000, -1] {
        told(ValType::Char, &[none]).traps("invalid `char`");
        let bytes = [u32::from(b'a').to_le_bytes(), (none as u32).to_le_bytes()].concat();
        let front = pointing(&bytes, PLACE, 2);
        Lie::about(func([list(ValType::Char)], None)).of_front(front).traps("invalid `char`");
    }
    told(option(ValType::U32), &[2, 0]).traps("discriminant");
    told(variant([None, Some(ValType::Char)]), &[1, 0xD800]).traps("invalid `char`");
    told(variant([None, Some(ValType::Char)]), &[-1, 0]).traps("discriminant");
    told(enumeration(300), &[300]).traps("discriminant");
    told(enumeration(3), &[256]).traps("discriminant");
    let front = pointing(&[1, 0, 44, 1], PLACE, 2);
    Lie::about(func([list(enumeration(300))], None)).of_front(front).traps("discriminant");
    let front = pointing(&[2, 0, 0, 0, 0, 0, 0, 0], PLACE, 1);
    Lie::about(func([list(option(ValType::U32))], None)).of_front(front).traps("discriminant");
}

#[test]
fn bits_that_do_not_count() {
    let told = |ty, numbers: &[i64]| Lie::about(func([ty], None)).of_front(passing(numbers));
    told(ValType::Bool, &[2]).arrives_as(Value::Bool(true));
    told(ValType::U8, &[0x1FF]).arrives_as(Value::U8(255));
    told(ValType::S8, &[0xFF]).arrives_as(Value::S8(-1));
    told(flags(3), &[0xFF]).arrives_as(Value::Flags(7));
    let front = pointing(&[0xFF; 2], PLACE, 1);
    let nine = Value::List(vec![Value::Flags(511)]);
    Lie::about(func([list(flags(9))], None)).of_front(front).arrives_as(nine);
    let front = pointing(&[0, 7], PLACE, 2);
    let both = Value::List(vec![Value::Bool(false), Value::Bool(true)]);
    Lie::about(func([list(ValType::Bool)], None)).of_front(front).arrives_as(both);
}

#[test]
fn places_for_parameters_and_results() {
    let many = || tuple((0..17).map(|_| ValType::U32));
    let told = |pointer| Lie::about(func([many()], None)).of_front(passing(&[pointer]));
    told(-4).traps("pointer out of bounds of memory");
    told(2).traps("must be aligned to 4");
    let pair = || Some(tuple([ValType::U32, ValType::U32]));
    let told = |pointer| Lie::about(func([], pair())).of_front(passing(&[pointer]));
    told(-4).traps("pointer out of bounds of memory");
    told(2).traps("must be aligned to 4");
    let told = |text: &str| Lie::about(func([], pair())).of_back(returning(text));
    told("(i32.const -4)").traps("pointer out of bounds of memory");
    told("(i32.const 2)").traps("must be aligned to 4");
}

#[test]
fn results() {
    let told = |ty, text: &str| Lie::about(func([], Some(ty))).of_back(returning(text));
    told(ValType::Char, "(i32.const 0xD800)").traps("invalid `char`");
    told(enumeration(3), "(i32.const 3)").traps("discriminant");
    let pair = |pointer: i32, length: i32| {
        format!(
            "(i32.store (i32.const {RESULT}) (i32.const {pointer}))\
             (i32.store offset=4 (i32.const {RESULT}) (i32.const {length})) (i32.const {RESULT})"
        )
    };
    told(ValType::String, &pair(-4, 16)).traps("string content out-of-bounds");
    told(list(ValType::U32), &pair(2, 1)).traps("must be aligned to 4");
    told(list(ValType::U8), &pair(0, 1 << 28)).traps("are allowed");
    let text = bytes_at(PLACE, &[0xFF]) + &pair(PLACE as i32, 1);
    told(ValType::String, &text).traps("utf-8");
    let none = format!("(i32.store8 (i32.const {RESULT}) (i32.const 2)) (i32.const {RESULT})");
    told(option(ValType::U64), &none).traps("discriminant");
}

#[test]
fn allocators() {
    let given = |ty: ValType, body: &str| Lie::about(func([ty], None)).of_back(allocating(body));
    let got = |ty: ValType, body: &str| Lie::about(func([], Some(ty))).of_front(allocating(body));
    for told in [&given as &dyn Fn(ValType, &str) -> Lie, &got] {
        told(ValType::String, "(i32.const -4)").traps("beyond end of memory");
        told(ValType::String, "(i32.const 0x1FFFFE)").traps("beyond end of memory");
        told(list(ValType::U32), "(i32.const 2)").traps("result not aligned");
        told(list(ValType::U32), "(i32.const -8)").traps("beyond end of memory");
        told(list(ValType::String), "(unreachable)").traps("unreachable");
        told(ValType::String, "(i32.load (i32.const -4))").traps("out of bounds memory access");
        // One that grows its memory, and one that gives the same place each time, do nothing that they may not.
        let grows = format!("(drop (memory.grow (i32.const 1))) (i32.const {HEAP})");
        assert!(told(ValType::String, &grows).told().returned.is_ok());
        assert!(told(list(ValType::U8), &format!("(i32.const {HEAP})")).told().returned.is_ok());
    }
    let ty = func([ValType::String, ValType::Own(ResourceType::host(0))], None);
    let leaving = allocating("(call $drop0 (i32.const 1)) (i32.const 1024)");
    Lie::about(ty).of_back(leaving).traps("cannot leave component instance");
}

#[test]
fn what_runs_after_a_call() {
    let told = |body: &str| {
        let back = Relay { post_return: Some(body.to_owned()), ..Relay::default() };
        Lie::about(func([], Some(ValType::String))).of_back(back)
    };
    told("(unreachable)").traps("unreachable");
    told("(call $h (local.get 0))").traps("cannot leave component instance");
    let scribbles = format!("(i32.store (i32.const {HEAP}) (i32.const -1))");
    assert!(told(&scribbles).told().returned.is_ok(), "the result was taken before");
}

#[test]
fn callees_that_trap() {
    let told = |before: &str| {
        let back = Relay { before: before.to_owned(), ..Relay::default() };
        Lie::about(func([ValType::U8], None)).of_back(back)
    };
    told("(unreachable)").traps("unreachable");
    told("(drop (i32.load (i32.const -4)))").traps("out of bounds memory access");
    told("(drop (i32.div_u (i32.const 1) (i32.const 0)))").traps("divide by zero");
    told("(drop (i32.trunc_f32_s (f32.const nan)))").traps("invalid conversion to integer");
    told("(call $main (local.get 0))").traps("call stack exhausted");
}

#[test]
fn handles() {
    let own = |number| ValType::Own(ResourceType::host(number));
    let borrow = || ValType::Borrow(ResourceType::host(0));
    let told = |types: &[ValType], passes: &[&str]| {
        let passes = Some(passes.iter().map(|&text| text.to_owned()).collect());
        Lie::about(func(types.iter().cloned(), None)).of_front(Relay { passes, ..Relay::default() })
    };
    let got = ["(local.get 0)", "(local.get 1)"];
    for ty in [own(0), borrow()] {
        let one = std::slice::from_ref(&ty);
        told(one, &["(i32.const 99)"]).traps("unknown handle index 99");
        told(one, &["(i32.const 0)"]).traps("unknown handle index 0");
        told(one, &["(local.get 0) (call $drop0 (local.get 0))"]).traps("unknown handle index");
    }
    told(&[own(0), own(0)], &[got[0], got[0]]).traps("unknown handle index");
    told(&[own(0), own(1)], &[got[1], got[0]]).traps("used with the wrong type");
    told(&[own(0), borrow()], &[got[1], got[1]]).traps("is a borrow");
    told(&[borrow(), own(0)], &[got[1], got[1]]).traps("cannot remove owned resource while borrowed");
    let keeps = || Relay { keeps: true, ..Relay::default() };
    Lie::about(func([borrow()], None)).of_back(keeps()).traps("borrow handles still remain");
    Lie::about(func([borrow()], None)).of_front(keeps()).traps("borrow handles still remain");
    let stale = returning("(i32.const 77)");
    Lie::about(func([], Some(own(0)))).of_back(stale).traps("unknown handle index 77");
    let empty = returning("(call $drop0 (i32.const 1)) (i32.const 1)");
    Lie::about(func([], Some(own(0)))).of_back(empty).traps("unknown handle index 1");
}
