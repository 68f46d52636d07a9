//! Reads the types that golden.txt is written with: WIT, but an `enum` or `flags` gives only its count.

use std::sync::Arc;

use abi::types::{Case, Field, ResultType, ValType};

pub fn parse(text: &str) -> ValType {
    let mut rest = text;
    let ty = ty(&mut rest);
    assert_eq!(rest, "", "after a type in {text}");
    ty
}

fn ty(rest: &mut &str) -> ValType {
    let word = word(rest);
    match word {
        "bool" => ValType::Bool,
        "s8" => ValType::S8,
        "u8" => ValType::U8,
        "s16" => ValType::S16,
        "u16" => ValType::U16,
        "s32" => ValType::S32,
        "u32" => ValType::U32,
        "s64" => ValType::S64,
        "u64" => ValType::U64,
        "f32" => ValType::F32,
        "f64" => ValType::F64,
        "char" => ValType::Char,
        "string" => ValType::String,
        "enum" | "flags" => {
            let count: u32 = braced(rest, word_of).pop().unwrap().parse().unwrap();
            let labels: Arc<[Box<str>]> = (0..count).map(|i| format!("l{i}").into()).collect();
            if word == "enum" { ValType::Enum(labels) } else { ValType::Flags(labels) }
        }
        "record" => ValType::Record(
            braced(rest, |rest| {
                let name = word_of(rest).into();
                take(rest, ": ");
                Field { name, ty: ty(rest) }
            })
            .into(),
        ),
        "variant" => ValType::Variant(
            braced(rest, |rest| {
                let name = word_of(rest).into();
                let payload = maybe(rest, "(").then(|| {
                    let payload = ty(rest);
                    take(rest, ")");
                    payload
                });
                Case { name, ty: payload }
            })
            .into(),
        ),
        _ => generic(word, rest),
    }
}

fn generic(word: &str, rest: &mut &str) -> ValType {
    let mut args = Vec::new();
    let mut count = 0;
    if maybe(rest, "<") {
        loop {
            if rest.starts_with(|c: char| c.is_ascii_digit()) {
                count = word_of(rest).parse().unwrap();
            } else if maybe(rest, "_") {
                args.push(None);
            } else {
                args.push(Some(ty(rest)));
            }
            if !maybe(rest, ", ") {
                break;
            }
        }
        take(rest, ">");
    }
    let mut args = args.into_iter();
    let mut next = || args.next().flatten();
    match word {
        "list" if count == 0 => ValType::List(Arc::new(next().unwrap())),
        "list" => ValType::FixedList(Arc::new(next().unwrap()), count),
        "map" => ValType::Map(Arc::new((next().unwrap(), next().unwrap()))),
        "option" => ValType::Option(Arc::new(next().unwrap())),
        "result" => ValType::Result(Arc::new(ResultType { ok: next(), err: next() })),
        "tuple" => ValType::Tuple(args.map(Option::unwrap).collect()),
        _ => panic!("{word}"),
    }
}

fn braced<T>(rest: &mut &str, mut item: impl FnMut(&mut &str) -> T) -> Vec<T> {
    take(rest, " { ");
    let mut items = vec![item(rest)];
    while maybe(rest, ", ") {
        items.push(item(rest));
    }
    take(rest, " }");
    items
}

fn word_of(rest: &mut &str) -> String {
    word(rest).to_owned()
}

fn word<'t>(rest: &mut &'t str) -> &'t str {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

fn maybe(rest: &mut &str, what: &str) -> bool {
    let after = rest.strip_prefix(what);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

fn take(rest: &mut &str, what: &str) {
    assert!(maybe(rest, what), "expected {what} before {rest}");
}
