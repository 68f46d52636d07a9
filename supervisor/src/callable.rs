//! The exported functions of a component by the names that a person gives them.

use std::fmt::Write;
use std::sync::Arc;

use abi::types::FuncType;

use crate::complaint::Complaint;
use crate::nearest::nearest;

/// How many candidates a complaint lists.
const LISTED: usize = 30;

/// An exported function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callable {
    /// The exported interface it is in; none for a function that is exported itself.
    pub interface: Option<String>,
    /// Its name in there.
    pub name: String,
    /// Its type.
    pub ty: Arc<FuncType>,
}

impl Callable {
    /// `interface#name`, as it can be written after `--invoke`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether `wanted` names this: in full, or without the interface's version.
    fn is(&self, wanted: &str) -> bool {
        match (&self.interface, wanted.split_once('#')) {
            (None, None) => self.name == wanted,
            (Some(interface), Some((wanted, name))) => {
                let unversioned = interface.split('@').next().unwrap_or_default();
                self.name == name && (interface == wanted || unversioned == wanted)
            }
            _ => false,
        }
    }
}

/// Finds the function that `wanted` names: `func`, `ns:pkg/iface#func` (the version can be left out), or the bare name of
/// a function in an interface if there is only one of that name.
///
/// # Errors
/// There is none, or more than one; the complaint lists what there is.
pub fn find<'a>(file: &str, callables: &'a [Callable], wanted: &str) -> Result<&'a Callable, Complaint> {
    if let Some(exact) = callables.iter().find(|callable| callable.is(wanted)) {
        return Ok(exact);
    }
    let bare: Vec<&Callable> = callables.iter().filter(|callable| callable.name == wanted).collect();
    match bare[..] {
        [only] => Ok(only),
        [] => Err(unknown(file, callables, wanted)),
        _ => {
            let what = format!("{file}: {} functions are called `{wanted}`", bare.len());
            Err(Complaint::refused(what)
                .reason(list(bare))
                .advise("name the interface too: INTERFACE#FUNCTION(…)"))
        }
    }
}

fn unknown(file: &str, callables: &[Callable], wanted: &str) -> Complaint {
    let complaint = Complaint::refused(format!("{file}: no exported function `{wanted}`"));
    if callables.is_empty() {
        return complaint
            .reason("the component exports no functions")
            .advise("`atoll wit FILE` prints its world");
    }
    let names: Vec<String> = callables.iter().map(Callable::full_name).collect();
    let short = callables.iter().map(|callable| callable.name.as_str());
    let complaint = complaint.reason(list(callables));
    match nearest(wanted, names.iter().map(String::as_str).chain(short)) {
        Some(near) => complaint.advise(format!("did you mean `{near}`?")),
        None => complaint.advise("call one of these: NAME(ARGUMENTS in WAVE)"),
    }
}

/// What there is, one function a line.
pub fn list<'a>(callables: impl IntoIterator<Item = &'a Callable>) -> String {
    let callables: Vec<&Callable> = callables.into_iter().collect();
    let mut text = String::from("it exports");
    for callable in callables.iter().take(LISTED) {
        write!(text, "\n  {}: {}", callable.full_name(), callable.ty)
            .expect("writing to a string never fails");
    }
    if callables.len() > LISTED {
        write!(text, "\n  and {} more", callables.len() - LISTED).expect("writing to a string never fails");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use abi::types::{FuncType, ValType};

    use super::{Callable, find};
    use crate::paint::Paint;

    fn callables() -> Vec<Callable> {
        let ty = FuncType {
            params: [("x".into(), ValType::U32)].into(),
            result: Some(ValType::String),
            is_async: false,
        };
        let ty = Arc::new(ty);
        let named = |interface: Option<&str>, name: &str| Callable {
            interface: interface.map(str::to_string),
            name: name.to_string(),
            ty: Arc::clone(&ty),
        };
        vec![
            named(None, "area"),
            named(Some("a:b/shapes@0.1.0"), "area"),
            named(Some("a:b/shapes@0.1.0"), "bounds"),
            named(Some("a:b/shapes@0.1.0"), "[method]canvas.name"),
            named(Some("a:b/other"), "twice"),
            named(Some("a:b/third"), "twice"),
        ]
    }

    #[test]
    fn finds_by_every_name() {
        let callables = callables();
        let found = |wanted: &str| find("f", &callables, wanted).map(|found| found.full_name());
        let full = |wanted: &str| found(wanted).expect("there is one");
        assert_eq!(full("area"), "area");
        assert_eq!(full("bounds"), "a:b/shapes@0.1.0#bounds");
        assert_eq!(full("a:b/shapes#area"), "a:b/shapes@0.1.0#area");
        assert_eq!(full("a:b/shapes@0.1.0#area"), "a:b/shapes@0.1.0#area");
        assert_eq!(full("[method]canvas.name"), "a:b/shapes@0.1.0#[method]canvas.name");
        assert!(found("a:b/shapes@0.2.0#area").is_err());
        assert!(found("twice").is_err());
    }

    #[test]
    fn lists_what_there_is() {
        let callables = callables();
        let complain = |wanted| find("app.wasm", &callables, wanted).expect_err("none").render(Paint::PLAIN);
        insta::assert_snapshot!(complain("aera"), @"
        error: app.wasm: no exported function `aera`
          ╰─▶ it exports
                area: func(x: u32) -> string
                a:b/shapes@0.1.0#area: func(x: u32) -> string
                a:b/shapes@0.1.0#bounds: func(x: u32) -> string
                a:b/shapes@0.1.0#[method]canvas.name: func(x: u32) -> string
                a:b/other#twice: func(x: u32) -> string
                a:b/third#twice: func(x: u32) -> string
          help: did you mean `area`?
        ");
        insta::assert_snapshot!(complain("twice"), @"
        error: app.wasm: 2 functions are called `twice`
          ╰─▶ it exports
                a:b/other#twice: func(x: u32) -> string
                a:b/third#twice: func(x: u32) -> string
          help: name the interface too: INTERFACE#FUNCTION(…)
        ");
        let none = find("app.wasm", &[], "x").expect_err("none").render(Paint::PLAIN);
        insta::assert_snapshot!(none, @"
        error: app.wasm: no exported function `x`
          ╰─▶ the component exports no functions
          help: `atoll wit FILE` prints its world
        ");
    }
}
