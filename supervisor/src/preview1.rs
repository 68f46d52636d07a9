//! Core modules: what one is, and a component around those that can have one.
//!
//! A WASI preview1 command becomes a component by the adapter that the Bytecode Alliance publishes; a module that carries
//! its world (as `wit-bindgen` leaves it) becomes the component it was meant to be.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::complaint::Complaint;

/// How many names a complaint lists before it counts the rest.
const LISTED: usize = 8;

/// What matters of a core module here.
#[derive(Debug, Default)]
struct Outline {
    /// Modules that it imports from, each once.
    imports: Vec<String>,
    exports: Vec<String>,
    /// Whether it carries a world in a `component-type` section.
    world: bool,
}

/// Makes a component of a core module.
///
/// # Errors
/// The module is none that says how it wants to be one; the complaint says what it has.
pub fn wrap(path: &str, module: &[u8]) -> Result<Vec<u8>, Complaint> {
    let outline = outline(path, module)?;
    let command = outline.exports.iter().any(|name| name == "_start");
    let preview1 = outline.imports.iter().any(|name| name == PREVIEW1);
    if !command && !outline.world {
        return Err(bare(path, &outline));
    }
    let mut encoder = ComponentEncoder::default();
    let mut encode = || {
        encoder.module(module)?;
        if command || preview1 {
            encoder.adapter(PREVIEW1, if command { COMMAND } else { REACTOR })?;
        }
        encoder.encode()
    };
    encode().map_err(|error| {
        let what = format!("{path}: a core module of which no component can be made");
        Complaint::refused(what).reason(format!("{error:#}")).advise(FOREIGN)
    })
}

const FOREIGN: &str =
    "a core module may import `wasi_snapshot_preview1` and what its own WIT world names, nothing else";

fn outline(path: &str, module: &[u8]) -> Result<Outline, Complaint> {
    let mut outline = Outline::default();
    let mut read = || -> wasmparser::Result<()> {
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let name = import?.module;
                        if !outline.imports.iter().any(|known| known == name) {
                            outline.imports.push(name.to_string());
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        outline.exports.push(export?.name.to_string());
                    }
                }
                Payload::CustomSection(section) => {
                    outline.world |= section.name().starts_with("component-type")
                }
                _ => {}
            }
        }
        Ok(())
    };
    let invalid = |error| Complaint::refused(format!("{path}: a malformed core module")).because(error);
    read().map_err(invalid).map(|()| outline)
}

fn bare(path: &str, outline: &Outline) -> Complaint {
    let list = |names: &[String]| match names {
        [] => "nothing".to_string(),
        names => {
            let shown =
                names.iter().take(LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let rest = names.len().saturating_sub(LISTED);
            if rest > 0 { format!("{shown} and {rest} more") } else { shown }
        }
    };
    let has = format!("it imports from {}; it exports {}", list(&outline.imports), list(&outline.exports));
    Complaint::refused(format!("{path}: a core WebAssembly module, expected a component"))
        .reason(has)
        .advise("a WASI preview1 command (it exports `_start`) would have been wrapped as it is")
        .advise("for any other module, write its world in WIT and make a component of both with wasm-tools:")
        .advise(
            "  wasm-tools component embed WORLD.wit MODULE -o M && wasm-tools component new M -o COMPONENT",
        )
}

#[cfg(test)]
mod tests {
    use super::wrap;
    use crate::paint::Paint;

    fn module(text: &str) -> Vec<u8> {
        let buffer = wast::parser::ParseBuffer::new(text).expect("tokens");
        wast::parser::parse::<wast::Wat<'_>>(&buffer).expect("text").encode().expect("a module")
    }

    #[test]
    fn wraps_a_command() {
        let module = module(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 1) (func (export "_start")))"#,
        );
        let component = wrap("a.wasm", &module).expect("a component");
        assert_eq!(&component[..8], b"\0asm\x0d\0\x01\0");
    }

    #[test]
    fn says_what_a_bare_module_has() {
        let module = module(
            r#"(module (import "env" "f" (func)) (func (export "add")) (memory (export "memory") 1))"#,
        );
        let error = wrap("a.wasm", &module).expect_err("no component");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @"
        error: a.wasm: a core WebAssembly module, expected a component
          ╰─▶ it imports from `env`; it exports `add`, `memory`
          help: a WASI preview1 command (it exports `_start`) would have been wrapped as it is
                for any other module, write its world in WIT and make a component of both with wasm-tools:
                  wasm-tools component embed WORLD.wit MODULE -o M && wasm-tools component new M -o COMPONENT
        ");
    }

    #[test]
    fn says_what_cannot_be_wrapped() {
        let module = module(r#"(module (import "env" "f" (func)) (func (export "_start")))"#);
        let error = wrap("a.wasm", &module).expect_err("no component");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @"
        error: a.wasm: a core module of which no component can be made
          ╰─▶ failed to decode world from module: module was not valid: failed to resolve import `env::f`: module requires an import interface named `env`
          help: a core module may import `wasi_snapshot_preview1` and what its own WIT world names, nothing else
        ");
        let error = wrap("a.wasm", b"\0asm\x01\0\0\0\x01\xff").expect_err("no module");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @"
        error: a.wasm: a malformed core module
          ╰─▶ unexpected end-of-file (at offset 0xa)
        ");
    }
}
