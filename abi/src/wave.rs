//! Values as text: WAVE, the WebAssembly value encoding.
//!
//! A value does not know its labels, so text is made and read beside a [`ValType`]. A `map` is written as the list of
//! pairs that it is in the ABI. Handles are written as `own(REP)` and `borrow(REP)`, and cannot be read.

use std::borrow::Cow;

use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::{DisplayValue, WasmType, WasmTypeKind, WasmValue, WasmValueError};

use crate::types::{FuncType, ValType};
use crate::value::Value;

/// Text that is not the value or the call it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaveError {
    /// Not WAVE, or not of the type.
    #[error("`{text}` is not a value of type `{ty}`: {reason}")]
    Value {
        /// What was given.
        text: String,
        /// What was expected.
        ty: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Not `name(arguments)`, or not the arguments of that function.
    #[error("`{text}` is not a call: {reason}; expected `{expected}`")]
    Call {
        /// What was given.
        text: String,
        /// What was expected.
        expected: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The type has no text that can be read.
    #[error("{what} has type `{ty}`, which holds a handle; a handle cannot be written as text")]
    Handle {
        /// Which value.
        what: String,
        /// Its type.
        ty: String,
    },
}

/// Reads a value.
///
/// # Errors
/// The text is not WAVE, not of the type, or the type holds handles.
pub fn parse(ty: &ValType, text: &str) -> Result<Value, WaveError> {
    readable("the value", ty)?;
    let typed: Typed = wasm_wave::from_str(ty, text).map_err(|error| WaveError::Value {
        text: text.to_owned(),
        ty: ty.to_string(),
        reason: error.to_string(),
    })?;
    Ok(typed.value)
}

/// Writes a value of type `ty`.
#[must_use]
pub fn print(ty: &ValType, value: &Value) -> String {
    if !value.is(ty) {
        return format!("<{} that is not a {ty}>", value.name());
    }
    DisplayValue(&Typed::new(ty, value)).to_string()
}

/// Writes a value of type `ty` that may be shorter than the type says, as it was only looked at ([`crate::peek`]).
pub(crate) fn print_part(ty: &ValType, value: &Value) -> String {
    DisplayValue(&Typed::new(ty, value)).to_string()
}

/// Splits `name(arguments)` into the two; the name can be that of a function in an interface, with its version.
///
/// # Errors
/// There are no parentheses, or no name before them.
pub fn split_call(call: &str) -> Result<(&str, &str), WaveError> {
    let call = call.trim();
    let (name, _) = call.split_once('(').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
        let (text, expected) = (call.to_owned(), "NAME(ARGUMENTS)".to_owned());
        WaveError::Call { text, expected, reason: "it has no name or no parentheses".into() }
    })?;
    Ok((name.trim_end(), &call[name.len()..]))
}

/// Reads the arguments of a call, parentheses included, as a function of type `ty` takes them. Trailing arguments of
/// type `option` can be left out.
///
/// # Errors
/// The text is not WAVE, the arguments are not of the types, or a type holds handles.
pub fn parse_args(ty: &FuncType, args: &str) -> Result<Vec<Value>, WaveError> {
    for (name, ty) in &ty.params {
        readable(&format!("parameter `{name}`"), ty)?;
    }
    let wrong = |reason: String| WaveError::Call { text: args.to_owned(), expected: ty.to_string(), reason };
    let text = format!("f{args}");
    let call = UntypedFuncCall::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let types: Vec<ValType> = ty.params.iter().map(|(_, ty)| ty.clone()).collect();
    let values: Vec<Typed> = call.to_wasm_params(types.iter()).map_err(|error| wrong(error.to_string()))?;
    if values.len() != types.len() {
        return Err(wrong(format!("{} arguments where {} are needed", values.len(), types.len())));
    }
    Ok(values.into_iter().map(|typed| typed.value).collect())
}

fn readable(what: &str, ty: &ValType) -> Result<(), WaveError> {
    if ty.has_handle() {
        return Err(WaveError::Handle { what: what.to_owned(), ty: ty.to_string() });
    }
    Ok(())
}

/// A value with its labels.
#[derive(Clone, Debug)]
struct Typed {
    ty: ValType,
    value: Value,
}

impl Typed {
    fn new(ty: &ValType, value: &Value) -> Typed {
        Typed { ty: ty.clone(), value: value.clone() }
    }

    fn cow<'t>(ty: &ValType, value: &Value) -> Cow<'t, Typed> {
        Cow::Owned(Typed::new(ty, value))
    }

    /// A variant-like value's payload, if it has one.
    fn payload<'t>(ty: Option<&ValType>, value: &Option<Box<Value>>) -> Option<Cow<'t, Typed>> {
        Some(Typed::cow(ty?, value.as_deref()?))
    }
}

type Boxed<'t, T> = Box<dyn Iterator<Item = T> + 't>;

impl WasmType for ValType {
    fn kind(&self) -> WasmTypeKind {
        match self {
            ValType::Bool => WasmTypeKind::Bool,
            ValType::S8 => WasmTypeKind::S8,
            ValType::U8 => WasmTypeKind::U8,
            ValType::S16 => WasmTypeKind::S16,
            ValType::U16 => WasmTypeKind::U16,
            ValType::S32 => WasmTypeKind::S32,
            ValType::U32 => WasmTypeKind::U32,
            ValType::S64 => WasmTypeKind::S64,
            ValType::U64 => WasmTypeKind::U64,
            ValType::F32 => WasmTypeKind::F32,
            ValType::F64 => WasmTypeKind::F64,
            ValType::Char => WasmTypeKind::Char,
            ValType::String => WasmTypeKind::String,
            // The crate reads no fixed-length lists; their length is checked where they are made.
            ValType::List(_) | ValType::FixedList(..) | ValType::Map(_) => WasmTypeKind::List,
            ValType::Record(_) => WasmTypeKind::Record,
            ValType::Tuple(_) => WasmTypeKind::Tuple,
            ValType::Enum(_) => WasmTypeKind::Enum,
            ValType::Option(_) => WasmTypeKind::Option,
            ValType::Result(_) => WasmTypeKind::Result,
            ValType::Flags(_) => WasmTypeKind::Flags,
            // A handle is written as a case with its representation; reading one has been refused before.
            ValType::Variant(_)
            | ValType::Own(_)
            | ValType::Borrow(_)
            | ValType::Stream(_)
            | ValType::Future(_)
            | ValType::ErrorContext => WasmTypeKind::Variant,
        }
    }

    fn list_element_type(&self) -> Option<ValType> {
        match self {
            ValType::List(elem) | ValType::FixedList(elem, _) => Some((**elem).clone()),
            ValType::Map(entry) => Some(pair(entry)),
            _ => None,
        }
    }

    fn record_fields(&self) -> Boxed<'_, (Cow<'_, str>, ValType)> {
        match self {
            ValType::Record(fields) => {
                Box::new(fields.iter().map(|field| (Cow::Borrowed(&*field.name), field.ty.clone())))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn tuple_element_types(&self) -> Boxed<'_, ValType> {
        match self {
            ValType::Tuple(types) => Box::new(types.iter().cloned()),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn variant_cases(&self) -> Boxed<'_, (Cow<'_, str>, Option<ValType>)> {
        match self {
            ValType::Variant(cases) => {
                Box::new(cases.iter().map(|case| (Cow::Borrowed(&*case.name), case.ty.clone())))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn enum_cases(&self) -> Boxed<'_, Cow<'_, str>> {
        labels(self)
    }

    fn option_some_type(&self) -> Option<ValType> {
        match self {
            ValType::Option(some) => Some((**some).clone()),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<ValType>, Option<ValType>)> {
        match self {
            ValType::Result(result) => Some((result.ok.clone(), result.err.clone())),
            _ => None,
        }
    }

    fn flags_names(&self) -> Boxed<'_, Cow<'_, str>> {
        labels(self)
    }
}

fn labels(ty: &ValType) -> Boxed<'_, Cow<'_, str>> {
    match ty {
        ValType::Enum(labels) | ValType::Flags(labels) => {
            Box::new(labels.iter().map(|label| Cow::Borrowed(&**label)))
        }
        _ => Box::new(std::iter::empty()),
    }
}

fn pair(entry: &(ValType, ValType)) -> ValType {
    ValType::Tuple([entry.0.clone(), entry.1.clone()].into())
}

macro_rules! scalars {
    ($($make:ident $unwrap:ident $name:ident $ty:ty;)*) => {
        $(
            fn $make(value: $ty) -> Typed {
                Typed { ty: ValType::$name, value: Value::$name(value) }
            }

            fn $unwrap(&self) -> $ty {
                match &self.value {
                    Value::$name(value) => *value,
                    _ => <$ty>::default(),
                }
            }
        )*
    };
}

/// The crate asks for a part of a value only after it has looked at the kind of its type, and a value that is not of
/// its type is never given to it; so where a method finds another kind it answers with nothing.
impl WasmValue for Typed {
    type Type = ValType;

    scalars! {
        make_bool unwrap_bool Bool bool;
        make_s8 unwrap_s8 S8 i8;
        make_u8 unwrap_u8 U8 u8;
        make_s16 unwrap_s16 S16 i16;
        make_u16 unwrap_u16 U16 u16;
        make_s32 unwrap_s32 S32 i32;
        make_u32 unwrap_u32 U32 u32;
        make_s64 unwrap_s64 S64 i64;
        make_u64 unwrap_u64 U64 u64;
        make_f32 unwrap_f32 F32 f32;
        make_f64 unwrap_f64 F64 f64;
        make_char unwrap_char Char char;
    }

    fn kind(&self) -> WasmTypeKind {
        self.ty.kind()
    }

    fn make_string(value: Cow<'_, str>) -> Typed {
        Typed { ty: ValType::String, value: Value::String(value.into()) }
    }

    fn make_list(ty: &ValType, elems: impl IntoIterator<Item = Typed>) -> Result<Typed, WasmValueError> {
        let elems = elems.into_iter().map(|elem| elem.value);
        let value = match ty {
            ValType::Map(_) => {
                let entries = elems.map(|entry| match entry {
                    Value::Tuple(mut pair) if pair.len() == 2 => {
                        pair.pop().zip(pair.pop()).map(|(v, k)| (k, v))
                    }
                    _ => None,
                });
                Value::Map(entries.collect::<Option<_>>().ok_or_else(|| other("expected a pair"))?)
            }
            _ => Value::List(elems.collect()),
        };
        if let (ValType::FixedList(_, count), Value::List(elems)) = (ty, &value)
            && elems.len() != *count as usize
        {
            return Err(other(format!("expected {count} elements, got {}", elems.len())));
        }
        Ok(Typed { ty: ty.clone(), value })
    }

    fn make_record<'a>(
        ty: &ValType,
        fields: impl IntoIterator<Item = (&'a str, Typed)>,
    ) -> Result<Typed, WasmValueError> {
        let mut given: Vec<(&str, Typed)> = fields.into_iter().collect();
        let ValType::Record(fields) = ty else {
            return Err(other("expected no record"));
        };
        let values = fields.iter().map(|field| {
            let at = given.iter().position(|(name, _)| **name == *field.name);
            let at = at.ok_or_else(|| WasmValueError::MissingField(field.name.to_string()))?;
            Ok(given.swap_remove(at).1.value)
        });
        let value = Value::Record(values.collect::<Result<_, _>>()?);
        match given.first() {
            Some((name, _)) => Err(WasmValueError::UnknownField((*name).to_owned())),
            None => Ok(Typed { ty: ty.clone(), value }),
        }
    }

    fn make_tuple(ty: &ValType, elems: impl IntoIterator<Item = Typed>) -> Result<Typed, WasmValueError> {
        let elems = elems.into_iter().map(|elem| elem.value);
        Ok(Typed { ty: ty.clone(), value: Value::Tuple(elems.collect()) })
    }

    fn make_variant(ty: &ValType, case: &str, payload: Option<Typed>) -> Result<Typed, WasmValueError> {
        let names = match ty {
            ValType::Variant(cases) => cases.iter().map(|case| &*case.name),
            _ => return Err(other("expected no variant")),
        };
        let case = find(names, case)?;
        Ok(Typed {
            ty: ty.clone(),
            value: Value::Variant(case, payload.map(|payload| Box::new(payload.value))),
        })
    }

    fn make_enum(ty: &ValType, case: &str) -> Result<Typed, WasmValueError> {
        let ValType::Enum(names) = ty else {
            return Err(other("expected no enum"));
        };
        let case = find(names.iter().map(|name| &**name), case)?;
        Ok(Typed { ty: ty.clone(), value: Value::Enum(case) })
    }

    fn make_option(ty: &ValType, some: Option<Typed>) -> Result<Typed, WasmValueError> {
        Ok(Typed { ty: ty.clone(), value: Value::Option(some.map(|some| Box::new(some.value))) })
    }

    fn make_result(
        ty: &ValType,
        result: Result<Option<Typed>, Option<Typed>>,
    ) -> Result<Typed, WasmValueError> {
        let boxed = |payload: Option<Typed>| payload.map(|payload| Box::new(payload.value));
        Ok(Typed { ty: ty.clone(), value: Value::Result(result.map(boxed).map_err(boxed)) })
    }

    fn make_flags<'a>(
        ty: &ValType,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Typed, WasmValueError> {
        let ValType::Flags(labels) = ty else {
            return Err(other("expected no flags"));
        };
        let mut bits = 0;
        for name in names {
            let name = name.strip_prefix('%').unwrap_or(name);
            bits |= 1_u32.checked_shl(find(labels.iter().map(|label| &**label), name)?).unwrap_or(0);
        }
        Ok(Typed { ty: ty.clone(), value: Value::Flags(bits) })
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        match &self.value {
            Value::String(text) => Cow::Borrowed(text),
            _ => Cow::Borrowed(""),
        }
    }

    fn unwrap_list(&self) -> Boxed<'_, Cow<'_, Typed>> {
        match (&self.ty, &self.value) {
            (ValType::List(elem) | ValType::FixedList(elem, _), Value::List(elems)) => {
                Box::new(elems.iter().map(|value| Typed::cow(elem, value)))
            }
            (ValType::Map(entry), Value::Map(entries)) => {
                let ty = pair(entry);
                Box::new(entries.iter().map(move |(key, value)| {
                    Cow::Owned(Typed {
                        ty: ty.clone(),
                        value: Value::Tuple(vec![key.clone(), value.clone()]),
                    })
                }))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn unwrap_record(&self) -> Boxed<'_, (Cow<'_, str>, Cow<'_, Typed>)> {
        match (&self.ty, &self.value) {
            (ValType::Record(fields), Value::Record(values)) => {
                let pairs = fields.iter().zip(values);
                Box::new(
                    pairs.map(|(field, value)| (Cow::Borrowed(&*field.name), Typed::cow(&field.ty, value))),
                )
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn unwrap_tuple(&self) -> Boxed<'_, Cow<'_, Typed>> {
        match (&self.ty, &self.value) {
            (ValType::Tuple(types), Value::Tuple(values)) => {
                Box::new(types.iter().zip(values).map(|(ty, value)| Typed::cow(ty, value)))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Typed>>) {
        match (&self.ty, &self.value) {
            (ValType::Variant(cases), Value::Variant(case, payload)) => match cases.get(*case as usize) {
                Some(case) => (Cow::Borrowed(&*case.name), Typed::payload(case.ty.as_ref(), payload)),
                None => (Cow::Borrowed(""), None),
            },
            (_, Value::Own(resource) | Value::Borrow(resource)) => {
                let rep = Typed { ty: ValType::U32, value: Value::U32(resource.rep) };
                (Cow::Borrowed(self.value.name()), Some(Cow::Owned(rep)))
            }
            _ => (Cow::Borrowed(""), None),
        }
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match (&self.ty, &self.value) {
            (ValType::Enum(labels), Value::Enum(case)) => {
                Cow::Borrowed(labels.get(*case as usize).map_or("", |label| &**label))
            }
            _ => Cow::Borrowed(""),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Typed>> {
        match (&self.ty, &self.value) {
            (ValType::Option(ty), Value::Option(some)) => Typed::payload(Some(ty), some),
            _ => None,
        }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Typed>>, Option<Cow<'_, Typed>>> {
        match (&self.ty, &self.value) {
            (ValType::Result(ty), Value::Result(Ok(payload))) => Ok(Typed::payload(ty.ok.as_ref(), payload)),
            (ValType::Result(ty), Value::Result(Err(payload))) => {
                Err(Typed::payload(ty.err.as_ref(), payload))
            }
            _ => Ok(None),
        }
    }

    fn unwrap_flags(&self) -> Boxed<'_, Cow<'_, str>> {
        match (&self.ty, &self.value) {
            (ValType::Flags(labels), Value::Flags(bits)) => {
                let set = labels.iter().enumerate().filter(move |(bit, _)| bits >> (*bit).min(31) & 1 != 0);
                Box::new(set.map(|(_, label)| Cow::Borrowed(&**label)))
            }
            _ => Box::new(std::iter::empty()),
        }
    }
}

fn find<'n>(mut names: impl Iterator<Item = &'n str>, name: &str) -> Result<u32, WasmValueError> {
    let at = names.position(|have| have == name).and_then(|at| u32::try_from(at).ok());
    at.ok_or_else(|| WasmValueError::UnknownCase(name.to_owned()))
}

fn other(reason: impl Into<String>) -> WasmValueError {
    WasmValueError::Other(reason.into())
}
