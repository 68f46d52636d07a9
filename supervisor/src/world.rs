//! The WIT of a component: what `atoll wit` prints.

use wit_component::{DecodedWasm, OutputToString, WitPrinter};

use crate::complaint::Complaint;

/// The world of a component (or the packages of a binary WIT package) as WIT text.
///
/// # Errors
/// The bytes are no component, or its types do not make WIT.
pub fn print(path: &str, component: &[u8]) -> Result<String, Complaint> {
    let complain = |what: &str, error: &dyn std::fmt::Display| {
        Complaint::refused(format!("{path}: {what}"))
            .reason(error)
            .advise("`atoll validate` says where it is invalid")
    };
    let decoded = wit_component::decode(component)
        .map_err(|error| complain("its types cannot be read as WIT", &format!("{error:#}")))?;
    let main = decoded.package();
    let resolve = match &decoded {
        DecodedWasm::WitPackage(resolve, _) | DecodedWasm::Component(resolve, _) => resolve,
    };
    let complain = |error| complain("its world cannot be printed", &format!("{error:#}"));
    let mut text = String::new();
    let others = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != main);
    for id in std::iter::once(main).chain(others) {
        let mut printer: WitPrinter<OutputToString> = WitPrinter::default();
        printer.print_package(resolve, id, id == main).map_err(complain)?;
        if id != main {
            text.push('\n');
        }
        text.push_str(&printer.output.to_string());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::paint::Paint;

    #[test]
    fn prints_a_world() {
        let text = r#"(component
            (import "a:b/c@0.1.0" (instance (export "f" (func (param "x" u32) (result string))))))"#;
        let buffer = wast::parser::ParseBuffer::new(text).expect("tokens");
        let bytes =
            wast::parser::parse::<wast::Wat<'_>>(&buffer).expect("text").encode().expect("a component");
        insta::assert_snapshot!(print("a.wat", &bytes).expect("WIT"), @"
        package root:component;

        world root {
          import a:b/c@0.1.0;
        }

        package a:b@0.1.0 {
          interface c {
            f: func(x: u32) -> string;
          }
        }
        ");
    }

    #[test]
    fn complains() {
        let error = print("a.wasm", b"\0asm\x0d\0\x01\0\x07\xff").expect_err("no WIT");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @"
        error: a.wasm: its types cannot be read as WIT
          ╰─▶ unexpected end-of-file (at offset 0xa)
          help: `atoll validate` says where it is invalid
        ");
    }
}
