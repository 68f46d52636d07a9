//! WIT types as Rust types.

use wit_parser::{Docs, Enum, Flags, Record, Type, TypeDefKind, TypeId, Variant};

use super::casing::{camel, constant, snake};
use super::names::Scope;
use super::source::Source;

/// Defines the type that an interface names `label`.
pub fn ty(scope: &Scope<'_>, label: &str, id: TypeId, out: &mut Source) -> Result<(), String> {
    let def = &scope.world.resolve.types[id];
    match &def.kind {
        TypeDefKind::Record(record) => define_record(scope, label, &def.docs, record, out),
        TypeDefKind::Variant(variant) => define_variant(scope, label, &def.docs, variant, out),
        TypeDefKind::Enum(cases) => {
            define_enum(label, &def.docs, cases, out);
            Ok(())
        }
        TypeDefKind::Flags(flags) => define_flags(label, &def.docs, flags, out),
        TypeDefKind::Resource => {
            define_resource(label, &def.docs, scope.world.resources[&id], out);
            Ok(())
        }
        kind => {
            out.docs(&def.docs, &format!("`{label}`"));
            out.line(&format!("pub type {} = {};", camel(label), scope.shape(kind)?));
            Ok(())
        }
    }
}

fn define_record(
    scope: &Scope<'_>,
    label: &str,
    docs: &Docs,
    record: &Record,
    out: &mut Source,
) -> Result<(), String> {
    let mut fields = Vec::new();
    for field in &record.fields {
        fields.push((snake(&field.name), scope.rust(&field.ty)?, field));
    }
    out.docs(docs, &format!("`record {label}`"));
    derive(record.fields.iter().any(|field| scope.has_handle(&field.ty)), out);
    out.line(&format!("pub struct {} {{", camel(label)));
    for (name, ty, field) in &fields {
        out.docs(&field.docs, &format!("`{}`", field.name));
        out.line(&format!("pub {name}: {ty},"));
    }
    out.line("}");

    let types: Vec<&str> = fields.iter().map(|(_, ty, _)| ty.as_str()).collect();
    let of_each =
        |part: &str| types.iter().map(|ty| format!("<{ty} as typed::Typed>::{part}")).collect::<Vec<_>>();
    out.line(&format!("impl typed::Typed for {} {{", camel(label)));
    out.line(&format!(
        "const LAYOUT: layout::Layout = layout::Layout::sequence(&[{}]);",
        of_each("LAYOUT").join(", ")
    ));
    out.line(&format!("const FLAT: usize = {};", of_each("FLAT").join(" + ")));
    out.line("fn ty() -> types::ValType {");
    out.line("types::ValType::Record([");
    for (_, ty, field) in &fields {
        let name = &field.name;
        out.line(&format!("types::Field {{ name: \"{name}\".into(), ty: <{ty} as typed::Typed>::ty() }},"));
    }
    out.lines(["].into())", "}"]);
    for (signature, reader) in [(LIFT_FLAT, "SlotReader::new(slots)"), (LIFT, "ByteReader::new(bytes)")] {
        out.line(signature);
        out.line(&format!("let mut fields = typed::product::{reader};"));
        out.line("Ok(Self {");
        out.lines(fields.iter().map(|(name, ..)| format!("{name}: fields.field(from)?,")));
        out.lines(["})", "}"]);
    }
    for (signature, writer) in [(LOWER_FLAT, "SlotWriter::new(slots)"), (LOWER, "ByteWriter::new(at)")] {
        out.line(signature);
        out.line(&format!("let mut fields = typed::product::{writer};"));
        out.lines(fields.iter().map(|(name, ..)| format!("fields.field(to, &self.{name})?;")));
        out.lines(["Ok(())", "}"]);
    }
    out.line("}");
    Ok(())
}

const LIFT_FLAT: &str =
    "fn lift_flat(from: &mut typed::Lifting<'_>, slots: &[u64]) -> Result<Self, fault::Trap> {";
const LIFT: &str = "fn lift(from: &mut typed::Lifting<'_>, bytes: &[u8]) -> Result<Self, fault::Trap> {";
const LOWER_FLAT: &str =
    "fn lower_flat(&self, to: &mut dyn side::Side, slots: &mut [u64]) -> Result<(), fault::Trap> {";
const LOWER: &str = "fn lower(&self, to: &mut dyn side::Side, at: u32) -> Result<(), fault::Trap> {";

/// A value that owns something has no copies.
fn derive(has_handle: bool, out: &mut Source) {
    out.line(if has_handle { "#[derive(Debug, PartialEq)]" } else { "#[derive(Clone, Debug, PartialEq)]" });
}

fn define_variant(
    scope: &Scope<'_>,
    label: &str,
    docs: &Docs,
    variant: &Variant,
    out: &mut Source,
) -> Result<(), String> {
    let mut cases: Vec<(String, Option<String>)> = Vec::new();
    out.docs(docs, &format!("`variant {label}`"));
    let payloads = || variant.cases.iter().filter_map(|case| case.ty.as_ref());
    derive(payloads().any(|ty: &Type| scope.has_handle(ty)), out);
    out.line(&format!("pub enum {} {{", camel(label)));
    for case in &variant.cases {
        let (name, payload) = (camel(&case.name), case.ty.as_ref().map(|ty| scope.rust(ty)).transpose()?);
        out.docs(&case.docs, &format!("`{}`", case.name));
        out.line(&payload.as_ref().map_or(format!("{name},"), |ty| format!("{name}({ty}),")));
        cases.push((name, payload));
    }
    out.line("}");
    variant_layout(label, variant, &cases, out);
    variant_lifts(&cases, out);
    variant_lowers(&cases, out);
    out.line("}");
    Ok(())
}

/// Begins the implementation of `Typed`: constants and type.
fn variant_layout(label: &str, variant: &Variant, cases: &[(String, Option<String>)], out: &mut Source) {
    let types: Vec<&String> = cases.iter().filter_map(|(_, payload)| payload.as_ref()).collect();
    let layouts: Vec<_> = types.iter().map(|ty| format!("<{ty} as typed::Typed>::LAYOUT")).collect();
    let flats: Vec<_> = types.iter().map(|ty| format!("<{ty} as typed::Typed>::FLAT")).collect();
    let (rust, count) = (camel(label), cases.len());
    out.line(&format!("impl {rust} {{"));
    out.line(&format!(
        "const CASES: layout::Cases = layout::Cases::new({count}, &[{}]);",
        layouts.join(", ")
    ));
    out.line("}");
    out.line(&format!("impl typed::Typed for {rust} {{"));
    out.line("const LAYOUT: layout::Layout = Self::CASES.layout;");
    out.line(&format!("const FLAT: usize = 1 + typed::sum::largest(&[{}]);", flats.join(", ")));
    out.line("fn ty() -> types::ValType {");
    out.line("types::ValType::Variant([");
    for (case, (_, payload)) in variant.cases.iter().zip(cases) {
        let payload = payload.as_deref().unwrap_or("()");
        let name = &case.name;
        out.line(&format!(
            "types::Case {{ name: \"{name}\".into(), ty: <{payload} as typed::Typed>::payload() }},"
        ));
    }
    out.lines(["].into())", "}"]);
}

fn variant_lifts(cases: &[(String, Option<String>)], out: &mut Source) {
    let count = cases.len();
    let flat_case = format!("typed::sum::case_of_slots(slots, {count})?");
    let memory_case = "typed::sum::case_of_bytes(bytes, Self::CASES)?".to_owned();
    for (signature, case, lift) in [(LIFT_FLAT, flat_case, "lift_flat"), (LIFT, memory_case, "lift")] {
        out.line(signature);
        out.line(&format!("let (case, payload) = {case};"));
        out.line("Ok(match case {");
        for (index, (name, payload)) in cases.iter().enumerate() {
            // The last arm takes what remains, which was checked to be the last case.
            let pattern = if index + 1 == count { "_".to_owned() } else { index.to_string() };
            out.line(&payload.as_ref().map_or(format!("{pattern} => Self::{name},"), |_| {
                format!("{pattern} => Self::{name}(typed::Typed::{lift}(from, payload)?),")
            }));
        }
        out.lines(["})", "}"]);
    }
}

fn variant_lowers(cases: &[(String, Option<String>)], out: &mut Source) {
    for (signature, lower, place) in
        [(LOWER_FLAT, "case_to_slots", "to, slots"), (LOWER, "case_to_memory", "to, at, Self::CASES")]
    {
        out.line(signature);
        out.line("match self {");
        for (index, (name, payload)) in cases.iter().enumerate() {
            out.line(&match payload {
                None => format!("Self::{name} => typed::sum::{lower}({place}, {index}, &()),"),
                Some(_) => {
                    format!("Self::{name}(payload) => typed::sum::{lower}({place}, {index}, payload),")
                }
            });
        }
        out.lines(["}", "}"]);
    }
}

fn define_enum(label: &str, docs: &Docs, cases: &Enum, out: &mut Source) {
    let (rust, count) = (camel(label), cases.cases.len());
    out.docs(docs, &format!("`enum {label}`"));
    out.line("#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]");
    out.line(&format!("pub enum {rust} {{"));
    for case in &cases.cases {
        out.docs(&case.docs, &format!("`{}`", case.name));
        out.line(&format!("{},", camel(&case.name)));
    }
    out.line("}");
    out.line(&format!("impl {rust} {{"));
    out.line(&format!("const CASES: layout::Cases = layout::Cases::new({count}, &[]);"));
    out.line("/// Every case, by discriminant.");
    out.line(&format!("pub const ALL: [Self; {count}] = ["));
    out.lines(cases.cases.iter().map(|case| format!("Self::{},", camel(&case.name))));
    out.lines(["];", "}"]);
    out.line(&format!("impl typed::Typed for {rust} {{"));
    out.line("const LAYOUT: layout::Layout = Self::CASES.layout;");
    out.line("const FLAT: usize = 1;");
    out.line("fn ty() -> types::ValType {");
    out.line("types::ValType::Enum([");
    out.lines(cases.cases.iter().map(|case| format!("\"{}\".into(),", case.name)));
    out.lines(["].into())", "}"]);
    out.line(&LIFT_FLAT.replace("from:", "_:"));
    out.line(&format!("Ok(Self::ALL[typed::sum::case_of_slots(slots, {count})?.0 as usize])"));
    out.line("}");
    out.line(&LIFT.replace("from:", "_:"));
    out.lines(["Ok(Self::ALL[typed::sum::case_of_bytes(bytes, Self::CASES)?.0 as usize])", "}"]);
    out.lines([LOWER_FLAT, "typed::sum::case_to_slots(to, slots, *self as u32, &())", "}"]);
    out.lines([LOWER, "typed::sum::case_to_memory(to, at, Self::CASES, *self as u32, &())", "}", "}"]);
}

fn define_flags(label: &str, docs: &Docs, flags: &Flags, out: &mut Source) -> Result<(), String> {
    let (rust, count) = (camel(label), flags.flags.len());
    if !(1..=32).contains(&count) {
        return Err(format!("{count} flags: there must be 1 to 32"));
    }
    out.docs(docs, &format!("`flags {label}`"));
    out.line("#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]");
    out.line(&format!("pub struct {rust}(pub u32);"));
    out.line(&format!("impl {rust} {{"));
    for (bit, flag) in flags.flags.iter().enumerate() {
        out.docs(&flag.docs, &format!("`{}`", flag.name));
        out.line(&format!("pub const {}: Self = Self(1 << {bit});", constant(&flag.name)));
    }
    out.line("/// Whether all of `other` are set.");
    out.line("#[must_use]");
    out.line("pub const fn contains(self, other: Self) -> bool {");
    out.lines(["self.0 & other.0 == other.0", "}", "}"]);
    out.line(&format!("impl std::ops::BitOr for {rust} {{"));
    out.lines([
        "type Output = Self;",
        "fn bitor(self, other: Self) -> Self {",
        "Self(self.0 | other.0)",
        "}",
        "}",
    ]);
    out.line(&format!("impl typed::Typed for {rust} {{"));
    out.line(&format!("const LAYOUT: layout::Layout = layout::Layout::flags({count});"));
    out.line("const FLAT: usize = 1;");
    out.line("fn ty() -> types::ValType {");
    out.line("types::ValType::Flags([");
    out.lines(flags.flags.iter().map(|flag| format!("\"{}\".into(),", flag.name)));
    out.lines(["].into())", "}"]);
    out.line(&LIFT_FLAT.replace("from:", "_:"));
    out.lines([format!("Ok(Self(typed::sum::flags_of_slots(slots, {count})))"), "}".into()]);
    out.line(&LIFT.replace("from:", "_:"));
    out.lines([format!("Ok(Self(typed::sum::flags_of_bytes(bytes, {count})))"), "}".into()]);
    out.line(&LOWER_FLAT.replace("to:", "_:"));
    out.lines(["typed::sum::flags_to_slots(slots, self.0);", "Ok(())", "}"]);
    out.line(LOWER);
    out.lines([format!("typed::sum::flags_to_memory(to, at, {count}, self.0)"), "}".into(), "}".into()]);
    Ok(())
}

fn define_resource(label: &str, docs: &Docs, number: u32, out: &mut Source) {
    out.docs(docs, &format!("`resource {label}`"));
    out.line("#[derive(Debug)]");
    out.line(&format!("pub enum {} {{}}", camel(label)));
    out.line(&format!("impl typed::Resource for {} {{", camel(label)));
    out.line(&format!("const TYPE: types::ResourceType = types::ResourceType::host({number});"));
    out.line(&format!("const NAME: &'static str = \"{label}\";"));
    out.line("}");
}
