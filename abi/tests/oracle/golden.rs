//! golden.txt: what the specification's definitions do with the same input.

use abi::flat::{CoreType, flatten};
use abi::layout::Layout;
use abi::side::{Encoding, Side};
use abi::text;
use abi::{run, types::ValType};

use crate::bump::Bump;
use crate::written;

/// What is committed of it.
pub const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn the_definitions_agree() {
    let mut counts = [0; 3];
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        check(line);
        counts[["t", "v", "s"].iter().position(|kind| *kind == &line[..1]).unwrap()] += 1;
    }
    assert!(counts[0] > 500 && counts[1] > 500 && counts[2] > 100, "{counts:?}");
}

/// Does what one line says, and compares.
pub fn check(line: &str) {
    let fields: Vec<&str> = line.split(';').collect();
    match fields[0] {
        "t" => shape(&fields),
        "v" => value(line, &fields),
        "s" => string(line, &fields),
        other => panic!("{other}"),
    }
}

fn shape(fields: &[&str]) {
    let ty = written::parse(fields[1]);
    let layout = Layout::of(&ty);
    assert_eq!([layout.size, layout.align].map(|n| n.to_string()), fields[3..5], "{}", fields[1]);
    let core: Vec<&str> = flatten(&ty).into_iter().map(name).collect();
    assert_eq!(core.join(" "), fields[2], "{}", fields[1]);
}

fn value(line: &str, fields: &[&str]) {
    let ty: ValType = written::parse(fields[1]);
    let core: Vec<u64> = numbers(fields[4]);
    let mut source = Bump::new(encoding(fields[2]), 0);
    source.memory = bytes(fields[5]);
    let lifted = run::lift_flat(&mut source, &ty, &core);
    if fields[6] == "trap" {
        assert!(lifted.is_err(), "{line}\n{lifted:?}");
        return;
    }
    let lifted = lifted.unwrap_or_else(|trap| panic!("{line}\n{trap}"));
    assert!(lifted.is(&ty), "{line}");
    let mut target = Bump::new(encoding(fields[3]), 8192);
    let core = run::lower_flat(&mut target, &ty, &lifted).unwrap();
    compare(line, &core, &target, &fields[6..]);
}

fn string(line: &str, fields: &[&str]) {
    let (from, to) = (encoding(fields[1]), encoding(fields[2]));
    let tagged: u32 = fields[3].parse().unwrap();
    let mut target = Bump::new(to, 8192);
    let (pointer, units) = text::lower(&mut target, from, from.repr(tagged), &bytes(fields[4])).unwrap();
    compare(line, &[u64::from(pointer), u64::from(units)], &target, &fields[5..]);
    let mut source = Bump::new(from, 0);
    source.memory = bytes(fields[4]);
    assert_eq!(text::lift(&source, 0, tagged), text::lift(&target, pointer, units), "{line}");
}

fn compare(line: &str, core: &[u64], target: &Bump, want: &[&str]) {
    assert_eq!(core, numbers(want[0]), "{line}");
    assert_eq!(target.log.join(" "), want[2], "{line}");
    assert_eq!(target.memory()[..target.end as usize], bytes(want[1]), "{line}");
}

fn name(core: CoreType) -> &'static str {
    match core {
        CoreType::I32 => "i32",
        CoreType::I64 => "i64",
        CoreType::F32 => "f32",
        CoreType::F64 => "f64",
    }
}

fn encoding(name: &str) -> Encoding {
    match name {
        "utf8" => Encoding::Utf8,
        "utf16" => Encoding::Utf16,
        _ => Encoding::CompactUtf16,
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}
