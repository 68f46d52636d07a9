//! A library as bytes: written once, loaded by later runs without compiling.
//!
//! ```text
//! magic, version   12 bytes
//! SHA-256 of the rest
//! bincode: Stored — target, hash of the module, sections, code, tables
//! ```
//! The code is trusted as much as the kernel's own: the checksum finds accidents, not malice. Code refers to itself by
//! relative addresses only, and the few absolute ones are listed, so it runs wherever it is loaded.

use std::sync::Arc;

use bincode::{Decode, Encode};
use cranelift_codegen::ir::TrapCode;
use cranelift_codegen::isa::TargetIsa;
use sha2::{Digest, Sha256};

use super::body::Caught;
use super::builtin::Builtin;
use super::compile_error::CompileError;
use super::engine::Engine;
use super::image::{Image, Tables};
use super::library::Library;
use super::routine;
use crate::vm::{CtxCounts, CtxLayout};

const MAGIC: &[u8; 8] = b"\0atoll\0L";
/// Of the format alone; what the code relies on is part of [`target`].
const VERSION: u32 = 2;
const HEADER: usize = 8 + 4 + 32;

/// Why stored bytes are no library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// They are something else.
    #[error("this is no precompiled library")]
    NotAnImage,
    /// Another version of the kernel wrote them.
    #[error("the precompiled library has format {found}, this version reads {}: compile it again", VERSION)]
    Version {
        /// The version that was found.
        found: u32,
    },
    /// They are damaged.
    #[error("the precompiled library is damaged: {0}")]
    Damaged(String),
    /// They were made for another processor or with other settings.
    #[error("the precompiled library was made for {found}, this machine is {here}: compile it again")]
    Target {
        /// What they were made for.
        found: String,
        /// What this is.
        here: String,
    },
    /// They could not be loaded.
    #[error(transparent)]
    Load(#[from] CompileError),
}

#[derive(Encode, Decode)]
struct Stored {
    target: String,
    hash: [u8; 32],
    module: Vec<u8>,
    code: Vec<u8>,
    functions: Vec<(u32, u32)>,
    traps: Vec<(u32, u8)>,
    lines: Vec<(u32, u32)>,
    catches: Vec<(u32, u32, u32)>,
    routines: Vec<(u32, u8)>,
}

impl Library {
    /// The library as bytes for [`Engine::load`].
    #[must_use]
    pub fn to_bytes(&self, engine: &Engine) -> Vec<u8> {
        let tables = &self.code.tables;
        let stored = Stored {
            target: target(engine.isa()),
            hash: self.hash,
            module: self.module.bytes.to_vec(),
            code: self.code.block().bytes().to_vec(),
            functions: tables.functions.iter().map(|range| (range.start, range.end)).collect(),
            traps: tables.traps.iter().map(|(at, code)| (*at, code.as_raw().get())).collect(),
            lines: tables.lines.clone(),
            catches: tables.catches.iter().map(|c| (c.at, c.handler, c.frame_bytes)).collect(),
            routines: tables
                .routines
                .iter()
                .filter_map(|(at, r)| Some((*at, routine::number(*r)?)))
                .collect(),
        };
        let rest = bincode::encode_to_vec(stored, config()).expect("vectors and strings can be encoded");
        let mut bytes = Vec::with_capacity(HEADER + rest.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&Sha256::digest(&rest));
        bytes.extend_from_slice(&rest);
        bytes
    }
}

impl Engine {
    /// Whether these bytes begin like a precompiled library.
    #[must_use]
    pub fn is_precompiled(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Loads what [`Library::to_bytes`] wrote, or returns the library of the same module that is loaded already.
    ///
    /// The bytes must come from someone who may run machine code here.
    ///
    /// # Errors
    /// [`ImageError`]
    pub fn load(&self, bytes: &[u8]) -> Result<Arc<Library>, ImageError> {
        let stored = read(bytes)?;
        let here = target(self.isa());
        if stored.target != here {
            return Err(ImageError::Target { found: stored.target, here });
        }
        if let Some(library) = self.cached(&stored.hash) {
            return Ok(library);
        }
        let module = self.module(stored.module)?;
        let tables = Tables {
            functions: stored.functions.into_iter().map(|(start, end)| start..end).collect(),
            traps: stored.traps.into_iter().filter_map(|(at, code)| Some((at, trap(code)?))).collect(),
            lines: stored.lines,
            catches: stored.catches.into_iter().map(caught).collect(),
            routines: stored
                .routines
                .into_iter()
                .filter_map(|(at, r)| Some((at, routine::numbered(r)?)))
                .collect(),
        };
        if tables.functions.len() != module.defined_funcs() {
            return Err(ImageError::Damaged("functions are missing".to_owned()));
        }
        let code = Image::from_parts(stored.code, tables).publish(&[])?;
        Ok(self.keep(Library::new(stored.hash, module, code, None))?)
    }
}

fn read(bytes: &[u8]) -> Result<Stored, ImageError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ImageError::NotAnImage)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(ImageError::NotAnImage)?;
    let found = u32::from_le_bytes(*version);
    if found != VERSION {
        return Err(ImageError::Version { found });
    }
    let damaged = |what: &str| ImageError::Damaged(what.to_owned());
    let (sum, rest) = rest.split_first_chunk::<32>().ok_or_else(|| damaged("it is cut off"))?;
    if *sum != *Sha256::digest(rest) {
        return Err(damaged("the checksum differs"));
    }
    let (stored, _) =
        bincode::decode_from_slice(rest, config()).map_err(|error| damaged(&error.to_string()))?;
    Ok(stored)
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard()
}

fn trap(code: u8) -> Option<TrapCode> {
    Some(TrapCode::from_raw(code.try_into().ok()?))
}

fn caught((at, handler, frame_bytes): (u32, u32, u32)) -> Caught {
    Caught { at, handler, frame_bytes }
}

/// Everything that code depends on: the processor, the code generator, the built-ins, the contexts' layout.
fn target(isa: &dyn TargetIsa) -> String {
    let mut stamp = Sha256::new();
    for builtin in Builtin::ALL {
        stamp.update(format!("{builtin:?}{:?}", builtin.signature()));
    }
    let one = CtxCounts { types: 1, func_imports: 1, memories: 1, table_imports: 1, ..CtxCounts::default() };
    let one =
        CtxCounts { tables: 1, global_imports: 1, globals: 1, tag_imports: 1, tags: 1, func_refs: 1, ..one };
    stamp.update(format!("{:?}", CtxLayout::new(&one)));
    let stamp = stamp.finalize();
    let kernel = env!("CARGO_PKG_VERSION");
    let mut text =
        format!("{} kernel-{kernel}-{:02x}{:02x}{:02x}", isa.triple(), stamp[0], stamp[1], stamp[2]);
    text.push_str(&format!(" cranelift-{}", cranelift_codegen::VERSION));
    for flag in isa.isa_flags().iter().filter(|flag| flag.as_bool() == Some(true)) {
        text.push(' ');
        text.push_str(flag.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_comes_back_from_its_bytes() {
        let engine = Engine::new().unwrap();
        let wat = r#"(module $m (func $f (export "f") (param i32) (result i32) local.get 0) (memory 1) (data "abc"))"#;
        let library = engine.library(&wat::parse_str(wat).unwrap()).unwrap();
        let bytes = library.to_bytes(&engine);
        let other = Engine::new().unwrap();
        let loaded = other.load(&bytes).unwrap();
        assert_eq!(loaded.hash, library.hash);
        assert_eq!(loaded.module.name.as_deref(), Some("m"));
        assert_eq!(loaded.module.export("f"), library.module.export("f"));
        assert_eq!(loaded.module.data_bytes(&loaded.module.data[0]), b"abc");
        assert_eq!(loaded.code.block().bytes(), library.code.block().bytes());
        assert!(Arc::ptr_eq(&engine.load(&bytes).unwrap(), &library));
    }

    #[test]
    fn what_is_stale_or_damaged_is_refused() {
        let engine = Engine::new().unwrap();
        let library = engine.library(&wat::parse_str("(module (func))").unwrap()).unwrap();
        let bytes = library.to_bytes(&engine);
        assert_eq!(engine.load(b"\0asm\x01\0\0\0").unwrap_err(), ImageError::NotAnImage);
        let mut old = bytes.clone();
        old[8] = 0;
        assert_eq!(engine.load(&old).unwrap_err(), ImageError::Version { found: 0 });
        for at in [12, 50, bytes.len() - 1] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(matches!(engine.load(&bad), Err(ImageError::Damaged(_))), "byte {at}");
        }
        assert!(matches!(engine.load(&bytes[..20]), Err(ImageError::Damaged(_))));
    }
}
