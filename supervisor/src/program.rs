//! From a path to a component: what a file is, told from its bytes, and made a component if it can be.

use std::io::ErrorKind;
use std::path::Path;

use wast::Wat;
use wast::parser::{self, ParseBuffer};

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::{image_file, preview1};

/// A file that can be run.
#[derive(Debug)]
pub struct Program {
    /// The path as the person wrote it.
    pub path: String,
    /// The file's name, which the guest gets as its first argument.
    pub name: String,
    /// What it is.
    pub content: Content,
}

/// What can be run.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// A component's bytes.
    Component(Vec<u8>),
    /// A precompiled image of one.
    Image(Vec<u8>),
}

/// What bytes are, by their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Component,
    Module,
    Image,
    Text,
    Other(&'static str),
}

impl Program {
    /// Reads a file. Text is parsed; a preview1 module is wrapped.
    ///
    /// # Errors
    /// It cannot be read, or is nothing that can be made a component; the complaint says what it is instead.
    pub fn read(path: &Path) -> Result<Program, Complaint> {
        let shown = path.display().to_string();
        let name = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
        let bytes = std::fs::read(path).map_err(|error| unreadable(&shown, path, error))?;
        let content = content(&shown, bytes)?;
        Ok(Program { path: shown, name, content })
    }

    /// The component's bytes.
    ///
    /// # Errors
    /// It is an image: the component is not needed to run it, but is for everything else.
    pub fn component(&self) -> Result<&[u8], Complaint> {
        match &self.content {
            Content::Component(bytes) => Ok(bytes),
            Content::Image(_) => {
                let what = format!("{}: a precompiled image, where a component is needed", self.path);
                Err(Complaint::refused(what).advise("name the `.wasm` or `.wat` that it was compiled from"))
            }
        }
    }
}

fn unreadable(shown: &str, path: &Path, error: std::io::Error) -> Complaint {
    let complaint = match error.kind() {
        ErrorKind::NotFound => Complaint::new(Exit::NotFound, format!("{shown}: no such file")),
        ErrorKind::PermissionDenied => {
            Complaint::new(Exit::NotFound, format!("{shown}: not allowed to read it"))
        }
        _ if path.is_dir() => Complaint::new(Exit::NotFound, format!("{shown}: a folder, expected a file")),
        _ => Complaint::new(Exit::NotFound, format!("{shown}: cannot be read")).because(error),
    };
    match neighbour(path) {
        Some(near) => complaint.advise(format!("did you mean `{}`?", near)),
        None => complaint,
    }
}

/// The file in the same folder whose name is nearest, if there is one that is near.
fn neighbour(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names =
        std::fs::read_dir(listed).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = names.collect();
    let near = crate::nearest::nearest(wanted, names.iter().map(String::as_str))?;
    Some(folder.join(near).display().to_string())
}

/// What `bytes` can be run as.
fn content(shown: &str, bytes: Vec<u8>) -> Result<Content, Complaint> {
    match kind(&bytes) {
        Kind::Component => Ok(Content::Component(bytes)),
        Kind::Image => Ok(Content::Image(bytes)),
        Kind::Module => preview1::wrap(shown, &bytes).map(Content::Component),
        Kind::Text => {
            let text = String::from_utf8(bytes).map_err(|_| not_wasm(shown, "text that is not UTF-8"))?;
            content(shown, assemble(shown, &text)?)
        }
        Kind::Other(what) => Err(not_wasm(shown, what)),
    }
}

fn not_wasm(shown: &str, what: &str) -> Complaint {
    Complaint::refused(format!("{shown}: {what}, expected a WebAssembly component"))
        .advise("atoll runs components as `.wasm`, as `.wat` text, or precompiled by `atoll compile`")
}

fn kind(bytes: &[u8]) -> Kind {
    const WASM: &[u8] = b"\0asm";
    match bytes {
        [] => Kind::Other("an empty file"),
        _ if bytes.starts_with(image_file::MAGIC) => Kind::Image,
        [0, b'a', b's', b'm', 0x01, 0, 0, 0, ..] => Kind::Module,
        [0, b'a', b's', b'm', 0x0d, 0, 0x01, 0, ..] => Kind::Component,
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Kind::Other("a WebAssembly module of an unknown version"),
        [0, b'a', b's', b'm', _, _, 0x01, 0, ..] => {
            Kind::Other("a component in a draft of the binary format that is no longer used")
        }
        _ if bytes.len() < 8 && (bytes.starts_with(WASM) || WASM.starts_with(bytes)) => {
            Kind::Other("a WebAssembly file cut off inside its header")
        }
        _ if bytes.starts_with(b"\x7fELF") => Kind::Other("a native executable or library (ELF)"),
        _ if bytes.starts_with(b"MZ") => Kind::Other("a Windows executable"),
        _ if bytes.starts_with(b"#!") => Kind::Other("a script"),
        _ if bytes.starts_with(b"\x1f\x8b") => Kind::Other("a gzip archive; unpack it first"),
        _ if bytes.starts_with(b"PK\x03\x04") => Kind::Other("a zip archive; unpack it first"),
        _ if looks_like_wat(bytes) => Kind::Text,
        _ if std::str::from_utf8(bytes).is_ok() => Kind::Other("text that is not WebAssembly text"),
        _ => Kind::Other("not WebAssembly"),
    }
}

/// Whether the first thing that is neither space nor comment opens a parenthesis.
fn looks_like_wat(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut lines =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with(";;"));
    lines.next().is_some_and(|line| line.starts_with('('))
}

/// Text to binary.
fn assemble(shown: &str, text: &str) -> Result<Vec<u8>, Complaint> {
    let complain = |error: wast::Error| {
        let (line, column) = error.span().linecol_in(text);
        let what = format!("{shown}:{}:{}: not valid WebAssembly text", line + 1, column + 1);
        Complaint::refused(what).at(shown, text, error.span().offset(), error.message())
    };
    let buffer = ParseBuffer::new(text).map_err(complain)?;
    let mut wat = parser::parse::<Wat<'_>>(&buffer).map_err(complain)?;
    wat.encode().map_err(complain)
}

#[cfg(test)]
mod tests {
    use super::{Content, Kind, content, kind};
    use crate::paint::Paint;

    #[test]
    fn tells_files_apart() {
        assert_eq!(kind(b"\0asm\x0d\0\x01\0"), Kind::Component);
        assert_eq!(kind(b"\0asm\x01\0\0\0"), Kind::Module);
        assert_eq!(kind(b";; a comment\n\n  (component)"), Kind::Text);
        for other in
            [&b""[..], b"\0as", b"\0asm\x0a\0\x01\0", b"\x7fELF...", b"#!/bin/sh", b"hello", b"\xff\xfe"]
        {
            assert!(matches!(kind(other), Kind::Other(_)), "{other:?}");
        }
    }

    #[test]
    fn reads_text() {
        let wat = content("a.wat", b"(component)".to_vec()).expect("a component");
        assert_eq!(wat, Content::Component(b"\0asm\x0d\0\x01\0".to_vec()));
        let error = content("a.wat", b"(component\n  (core modul)\n)\n".to_vec()).expect_err("no component");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @"
        error: a.wat:2:4: not valid WebAssembly text
           ╭─[a.wat:2:4]
         1 │ (component
         2 │   (core modul)
           ·    ┬
           ·    ╰── expected valid component field
         3 │ )
           ╰────
        ");
    }

    #[test]
    fn says_what_a_wrong_file_is() {
        let error = content("ls", b"\x7fELF\x02".to_vec()).expect_err("no component");
        insta::assert_snapshot!(error.render(Paint::PLAIN), @"
        error: ls: a native executable or library (ELF), expected a WebAssembly component
          help: atoll runs components as `.wasm`, as `.wat` text, or precompiled by `atoll compile`
        ");
    }
}
