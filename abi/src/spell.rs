//! Types spelled as WIT spells them, for errors and listings.
//!
//! Named types have lost their names when they are linked, so records and variants are written out.

use std::fmt::{self, Display, Formatter};

use crate::types::{FuncType, ResourceType, ValType};

impl Display for ValType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ValType::Bool => f.write_str("bool"),
            ValType::S8 => f.write_str("s8"),
            ValType::U8 => f.write_str("u8"),
            ValType::S16 => f.write_str("s16"),
            ValType::U16 => f.write_str("u16"),
            ValType::S32 => f.write_str("s32"),
            ValType::U32 => f.write_str("u32"),
            ValType::S64 => f.write_str("s64"),
            ValType::U64 => f.write_str("u64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::Char => f.write_str("char"),
            ValType::String => f.write_str("string"),
            ValType::ErrorContext => f.write_str("error-context"),
            ValType::List(elem) => write!(f, "list<{elem}>"),
            ValType::FixedList(elem, len) => write!(f, "list<{elem}, {len}>"),
            ValType::Map(entry) => write!(f, "map<{}, {}>", entry.0, entry.1),
            ValType::Record(fields) => {
                braced(f, "record", fields.iter().map(|field| (&*field.name, Some(&field.ty))))
            }
            ValType::Variant(cases) => {
                f.write_str("variant { ")?;
                separated(f, cases.iter(), |f, case| match &case.ty {
                    Some(ty) => write!(f, "{}({ty})", case.name),
                    None => f.write_str(&case.name),
                })?;
                f.write_str(" }")
            }
            ValType::Enum(labels) => braced(f, "enum", labels.iter().map(|label| (&**label, None))),
            ValType::Flags(labels) => braced(f, "flags", labels.iter().map(|label| (&**label, None))),
            ValType::Tuple(types) => {
                f.write_str("tuple<")?;
                separated(f, types.iter(), |f, ty| write!(f, "{ty}"))?;
                f.write_str(">")
            }
            ValType::Option(some) => write!(f, "option<{some}>"),
            ValType::Result(result) => match (&result.ok, &result.err) {
                (None, None) => f.write_str("result"),
                (Some(ok), None) => write!(f, "result<{ok}>"),
                (None, Some(err)) => write!(f, "result<_, {err}>"),
                (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
            },
            ValType::Own(ty) => write!(f, "own<{ty}>"),
            ValType::Borrow(ty) => write!(f, "borrow<{ty}>"),
            ValType::Stream(elem) => optional(f, "stream", elem.as_deref()),
            ValType::Future(elem) => optional(f, "future", elem.as_deref()),
        }
    }
}

impl Display for ResourceType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            write!(f, "host-resource-{}", self.0 & !ResourceType::host(0).0)
        } else {
            write!(f, "resource-{}", self.0)
        }
    }
}

impl Display for FuncType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_async { "async func(" } else { "func(" })?;
        separated(f, self.params.iter(), |f, (name, ty)| write!(f, "{name}: {ty}"))?;
        f.write_str(")")?;
        match &self.result {
            Some(ty) => write!(f, " -> {ty}"),
            None => Ok(()),
        }
    }
}

fn optional(f: &mut Formatter<'_>, name: &str, elem: Option<&ValType>) -> fmt::Result {
    match elem {
        Some(elem) => write!(f, "{name}<{elem}>"),
        None => f.write_str(name),
    }
}

fn braced<'t>(
    f: &mut Formatter<'_>,
    keyword: &str,
    members: impl Iterator<Item = (&'t str, Option<&'t ValType>)>,
) -> fmt::Result {
    write!(f, "{keyword} {{ ")?;
    separated(f, members, |f, (name, ty)| match ty {
        Some(ty) => write!(f, "{name}: {ty}"),
        None => f.write_str(name),
    })?;
    f.write_str(" }")
}

fn separated<T>(
    f: &mut Formatter<'_>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::types::{Field, FuncType, ResourceType, ResultType, ValType};
    use std::sync::Arc;

    #[test]
    fn functions_read_as_wit() {
        let point = ValType::Record(
            [("x", ValType::S32), ("y", ValType::F64)]
                .map(|(name, ty)| Field { name: name.into(), ty })
                .into(),
        );
        let ty = FuncType {
            params: [
                ("points".into(), ValType::List(Arc::new(point))),
                ("to".into(), ValType::Borrow(ResourceType::host(3))),
            ]
            .into(),
            result: Some(ValType::Result(Arc::new(ResultType { ok: None, err: Some(ValType::String) }))),
            is_async: false,
        };
        assert_eq!(
            ty.to_string(),
            "func(points: list<record { x: s32, y: f64 }>, to: borrow<host-resource-3>) -> result<_, string>"
        );
    }
}
