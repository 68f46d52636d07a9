//! Values through generated bindings and back: the interpreter lowers them, the bindings lift and lower them, the
//! interpreter lifts them. The two know the canonical ABI separately, so they must agree.

use abi::fault::Trap;
use abi::id::ProcessId;
use abi::limits::MAX_VALUE_BYTES;
use abi::sample::Sampler;
use abi::side::Encoding;
use abi::typed::{Borrow, Lifting, Own, Resource, Typed};
use abi::types::ValType;
use abi::value::Value;
use kernel::host::{Import, Imports};
use servers::bind::State;
use servers::slab::Slab;
use servers::turn::Turn;

use crate::fake_guest::{FakeGuest, func};

/// The bindings of `tests/wit/sample.wit`.
#[allow(clippy::all, dead_code, reason = "names, shapes and texts are the WIT's")]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/sample.rs"));
}

use bindings::test::sample::kinds::{self, Bag, Color, Few, Many, Point, Shape};
use bindings::test::sample::refused;
use bindings::test::sample::store::{self, Cell, Failure};

/// Gives back what it is given.
struct Echo {
    cells: Slab<Point>,
    caller: Option<ProcessId>,
}

impl State for Echo {
    fn called_by(&mut self, process: ProcessId, _: u32) {
        self.caller = Some(process);
    }
}

impl kinds::Host for Echo {
    fn echo_bag(&mut self, bag: Bag) -> Result<Bag, Trap> {
        Ok(bag)
    }

    fn echo_scalars(
        &mut self,
        a: bool,
        b: i8,
        c: u16,
        d: i64,
        e: f32,
        f: char,
        g: Color,
        h: Few,
    ) -> Result<i64, Trap> {
        let small = i64::from(a) + i64::from(b) + i64::from(c) + i64::from(h.0);
        Ok(small + d + e as i64 + i64::from(u32::from(f)) + g as i64)
    }

    fn many_results(&mut self, points: Vec<Point>) -> Result<Result<Vec<Point>, ()>, Trap> {
        Ok(if points.is_empty() { Err(()) } else { Ok(points) })
    }

    fn nothing(&mut self) -> Result<(), Trap> {
        Ok(())
    }
}

impl store::HostCell for Echo {
    fn construct(&mut self, at: Point) -> Result<Own<Cell>, Trap> {
        self.cells.insert(at).map(Own::new)
    }

    fn get(&mut self, this: Borrow<Cell>) -> Result<Point, Trap> {
        self.cells.get(this.rep).cloned()
    }

    fn join(&mut self, this: Borrow<Cell>, other: Borrow<Cell>) -> Result<Result<Own<Cell>, Failure>, Trap> {
        let (this, other) = (self.cells.get(this.rep)?.clone(), self.cells.get(other.rep)?.clone());
        let joined = Own::new(self.cells.insert(Point { x: this.x.wrapping_add(other.x), ..other })?);
        Ok(if this.x == 0 { Err(Failure::Held(joined)) } else { Ok(joined) })
    }

    fn take(&mut self, cell: Own<Cell>) -> Result<u32, Trap> {
        self.cells.remove(cell.rep).map(|point| point.x.into())
    }

    fn dropped(&mut self, this: Own<Cell>) -> Result<(), Trap> {
        self.cells.remove(this.rep).map(drop)
    }
}

impl store::Host for Echo {
    fn all(turn: &mut Turn<'_, Echo>, cells: Vec<Borrow<Cell>>) -> Result<Vec<Own<Cell>>, Trap> {
        let mut copies = Vec::new();
        for cell in &cells {
            turn.checkpoint()?;
            let store = &mut turn.state().cells;
            copies.push(Own::new(store.insert(store.get(cell.rep)?.clone())?));
        }
        Ok(copies)
    }
}

impl refused::Host for Echo {}

const KINDS: &str = "test:sample/kinds";
const STORE: &str = "test:sample/store";

fn imports() -> Imports {
    let mut imports = Imports::default();
    bindings::register::<Echo>(&mut imports);
    imports
}

fn guest(encoding: Encoding) -> FakeGuest {
    FakeGuest::new(encoding, Echo { cells: Slab::new("cell"), caller: None })
}

/// A sequence of bytes that looks random.
fn choices(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..400).map(|_| next()).collect()
}

#[test]
fn random_values_come_back_as_they_went() {
    let imports = imports();
    let echo = func(&imports, KINDS, "echo-bag");
    let points = func(&imports, KINDS, "many-results");
    for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16] {
        let mut guest = guest(encoding);
        for seed in 0..300 {
            let choices = choices(seed);
            let mut sampler = Sampler::new(&choices);
            let bag = sampler.value(&Bag::ty());
            let back = guest.call(&*echo, std::slice::from_ref(&bag)).unwrap();
            assert_eq!(format!("{back:?}"), format!("{:?}", Some(&bag)), "{encoding:?}, seed {seed}");
            let list = sampler.value(&Vec::<Point>::ty());
            let Some(Value::Result(back)) = guest.call(&*points, std::slice::from_ref(&list)).unwrap() else {
                panic!("not a result")
            };
            let Value::List(elements) = &list else { panic!("not a list") };
            assert_eq!(back, if elements.is_empty() { Err(None) } else { Ok(Some(Box::new(list))) });
        }
    }
}

#[test]
fn types_are_those_of_the_wit() {
    let imports = imports();
    let echo = func(&imports, KINDS, "echo-bag");
    let ty = echo.ty().unwrap();
    assert_eq!(ty.params.len(), 1);
    assert_eq!(&*ty.params[0].0, "bag");
    assert_eq!(ty.result, Some(Bag::ty()));
    let ValType::Record(fields) = Bag::ty() else { panic!("not a record") };
    let names: Vec<_> = fields.iter().map(|field| &*field.name).collect();
    assert_eq!(
        names,
        ["shapes", "color", "few", "many", "letter", "yes", "outcome", "small", "wide", "pair"]
    );
    assert_eq!(func(&imports, KINDS, "nothing").ty().unwrap().result, None);
    let join = func(&imports, STORE, "[method]cell.join");
    let labels: Vec<_> = join.ty().unwrap().params.iter().map(|(label, ty)| (&**label, ty.clone())).collect();
    assert_eq!(labels, [("self", ValType::Borrow(Cell::TYPE)), ("other", ValType::Borrow(Cell::TYPE))]);
}

#[test]
fn constants_are_the_computed_layouts() {
    use abi::flat::flatten;
    use abi::layout::Layout;
    fn agree<T: Typed>() {
        assert_eq!(T::LAYOUT, Layout::of(&T::ty()));
        assert_eq!(T::FLAT, flatten(&T::ty()).len());
    }
    agree::<Bag>();
    agree::<Point>();
    agree::<Shape>();
    agree::<Color>();
    agree::<Few>();
    agree::<Many>();
    agree::<Failure>();
    agree::<Option<(u8, Result<u64, ()>, char)>>();
    agree::<Result<Vec<String>, Option<f64>>>();
    agree::<((), bool, i16)>();
}

#[test]
fn core_values_beyond_their_type_are_cut_or_refused() {
    let imports = imports();
    let echo = func(&imports, KINDS, "echo-scalars");
    let mut guest = guest(Encoding::Utf8);
    let garbage = 0xffff_ffff_0000_0000;
    let one = u64::from(1f32.to_bits());
    // a, b, c, d, e, f, g, h: the integers lose their upper bits, flags those without a label.
    let core =
        [garbage | 2, garbage | 0xff, garbage | 0x1_0001, 10, garbage | one, garbage | 0x41, 1, 0xfff8 | 4];
    assert_eq!(
        guest.call_core(&*echo, &core),
        Ok([1, -1, 1, 10, 1, 0x41, 1, 4].iter().sum::<i64>().cast_unsigned())
    );
    let with = |index: usize, value: u64| {
        let mut core = core;
        core[index] = value;
        core
    };
    assert_eq!(guest.call_core(&*echo, &with(5, 0xd800)), Err(Trap::InvalidChar(0xd800)));
    assert_eq!(guest.call_core(&*echo, &with(5, 0x11_0000)), Err(Trap::InvalidChar(0x11_0000)));
    let trap = Trap::InvalidDiscriminant { discriminant: 3, cases: 3 };
    assert_eq!(guest.call_core(&*echo, &with(6, 3)), Err(trap));
}

#[test]
fn pointers_that_lie_are_refused() {
    let imports = imports();
    let points = func(&imports, KINDS, "many-results");
    let mut guest = guest(Encoding::Utf8);
    let size = guest.memory.len() as u64;
    let layout = Point::LAYOUT;
    assert_eq!((layout.size, layout.align), (24, 8));
    let traps =
        |guest: &mut FakeGuest, core: [u64; 3]| guest.call_core(&*points, &core).unwrap_err().to_string();
    assert!(traps(&mut guest, [4, 1, 0]).contains("unaligned pointer"));
    assert!(traps(&mut guest, [size - 16, 1, 0]).contains("list pointer/length out of bounds"));
    assert!(traps(&mut guest, [0, 0xffff_ffff, 0]).contains("at most"));
    assert!(traps(&mut guest, [0, 1, 2]).contains("unaligned pointer: results"));
    assert!(traps(&mut guest, [0, 1, size]).contains("pointer out of bounds of memory: results"));
    // A bag has more than 16 flat values, so it comes by a pointer too.
    let echo = func(&imports, KINDS, "echo-bag");
    let traps =
        |guest: &mut FakeGuest, core: [u64; 2]| guest.call_core(&*echo, &core).unwrap_err().to_string();
    assert!(traps(&mut guest, [2, 0]).contains("unaligned pointer: parameters"));
    assert!(traps(&mut guest, [size, 0]).contains("out of bounds of memory: parameters"));
}

#[test]
fn strings_that_share_their_bytes_do_not_multiply_without_bound() {
    let mut guest = guest(Encoding::Utf8);
    let mut from = Lifting::new(&mut guest);
    // Two strings with the same bytes, when all but one byte has been spent.
    from.spend(MAX_VALUE_BYTES - 1).unwrap();
    assert_eq!(String::lift_flat(&mut from, &[0, 1]), Ok("\0".to_owned()));
    assert!(matches!(String::lift_flat(&mut from, &[0, 1]), Err(Trap::Limit { .. })));
}

#[test]
fn resources_are_made_lent_given_and_dropped() {
    let imports = imports();
    let mut guest = guest(Encoding::Utf8);
    let point = |x: u8| Value::Record(vec![Value::U8(x), Value::U64(9), Value::Option(None)]);
    let construct = func(&imports, STORE, "[constructor]cell");
    let made = |guest: &mut FakeGuest, x: u8| match guest.call(&*construct, &[point(x)]).unwrap() {
        Some(Value::Own(cell)) => cell,
        other => panic!("{other:?}"),
    };
    let (zero, two) = (made(&mut guest, 0), made(&mut guest, 2));
    let read = func(&imports, STORE, "[method]cell.get");
    assert_eq!(guest.call(&*read, &[Value::Borrow(two)]), Ok(Some(point(2))));
    let join = func(&imports, STORE, "[method]cell.join");
    let joined = guest.call(&*join, &[Value::Borrow(two), Value::Borrow(two)]).unwrap();
    assert!(matches!(joined, Some(Value::Result(Ok(Some(_))))), "{joined:?}");
    let held = guest.call(&*join, &[Value::Borrow(zero), Value::Borrow(two)]).unwrap();
    let Some(Value::Result(Err(Some(held)))) = held else { panic!("{held:?}") };
    assert!(matches!(*held, Value::Variant(1, Some(_))), "{held:?}");
    let take = func(&imports, STORE, "[static]cell.take");
    assert_eq!(guest.call(&*take, &[Value::Own(two)]), Ok(Some(Value::U32(2))));
    // Its representation is free now, so a handle to it, which no kernel would leave, is an error and nothing worse.
    assert!(guest.call(&*read, &[Value::Borrow(two)]).is_err());
    assert_eq!(guest.call_core(&*read, &[999, 0]), Err(Trap::UnknownHandle(999)));
}

#[test]
fn dropping_reaches_the_server_under_every_name() {
    use kernel::host::HostCall;
    let imports = imports();
    let mut guest = guest(Encoding::Utf8);
    for (interface, label) in [(STORE, "cell"), ("test:sample/refused", "box")] {
        let Some(Import::Instance(instance)) = imports.names.get(interface) else { panic!("no {interface}") };
        let Some(Import::Resource(resource)) = instance.names.get(label) else { panic!("no {label}") };
        assert_eq!(resource.ty, Cell::TYPE);
        let echo = guest.state().downcast_mut::<Echo>().unwrap();
        let rep = echo.cells.insert(Point { x: 1, y: 2, r#type: None }).unwrap();
        let drop = resource.drop.as_ref().unwrap();
        assert_eq!(drop(guest.state(), rep), Ok(()));
        assert!(drop(guest.state(), rep).is_err());
    }
}

#[test]
fn refused_functions_say_so_by_value_where_they_can() {
    let imports = imports();
    let mut guest = guest(Encoding::Utf8);
    let handle = guest.own(Cell::TYPE, 0);
    let refuse = func(&imports, "test:sample/refused", "refuse");
    guest.call_core(&*refuse, &[handle.into(), 64]).unwrap();
    assert_eq!(guest.memory[64..72], [1, 0, 0, 0, 1, 0, 0, 0]);
    let refuse = func(&imports, "test:sample/refused", "refuse-by-trap");
    let trap = guest.call_core(&*refuse, &[]).unwrap_err();
    assert_eq!(trap, Trap::Unsupported("test:sample/refused#refuse-by-trap"));
}

#[test]
fn a_state_that_does_not_serve_is_an_error() {
    let imports = imports();
    let mut guest = FakeGuest::new(Encoding::Utf8, 5u8);
    let trap = guest.call(&*func(&imports, KINDS, "nothing"), &[]).unwrap_err();
    assert!(trap.to_string().contains("test:sample/kinds#nothing"), "{trap}");
}
