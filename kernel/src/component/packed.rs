//! Precompiled executables: a component and the machine code of its modules, as bytes.
//!
//! ```text
//! magic  component: u64 length, bytes   u32 libraries, each: u64 length, bytes   u32 modules, each: u32 library
//! ```
//!
//! Numbers are little endian. The component is parsed and validated again when an image is loaded; only its code is
//! taken on trust, so an image must come from someone who may run machine code here. Each library checks its own
//! version, processor and checksum.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::ImageLoadError;
use super::executable::{Executable, features};
use super::parse;
use crate::jit::engine::Engine;
use crate::jit::library::Library;

const MAGIC: &[u8] = b"\0atoll executable 1\n";

/// Whether these bytes begin like a precompiled executable.
#[must_use]
pub fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The image of an executable whose component is `component`.
pub(super) fn write(engine: &Engine, component: &[u8], libraries: &[Arc<Library>]) -> Vec<u8> {
    let mut distinct: Vec<&Arc<Library>> = Vec::new();
    let mut numbers = HashMap::new();
    let modules: Vec<u32> = libraries
        .iter()
        .map(|library| {
            *numbers.entry(library.hash).or_insert_with(|| {
                distinct.push(library);
                number(distinct.len() - 1)
            })
        })
        .collect();
    let mut image = MAGIC.to_vec();
    push_bytes(&mut image, component);
    image.extend(number(distinct.len()).to_le_bytes());
    for library in distinct {
        push_bytes(&mut image, &library.to_bytes(engine));
    }
    image.extend(number(modules.len()).to_le_bytes());
    for module in modules {
        image.extend(module.to_le_bytes());
    }
    image
}

/// Loads an image.
///
/// # Errors
/// The bytes are no image, are cut off, were written for another version or processor, or hold an invalid component.
pub(super) fn read(engine: &Engine, image: &[u8]) -> Result<Executable, ImageLoadError> {
    let mut rest = image.strip_prefix(MAGIC).ok_or(ImageLoadError::NotAnImage)?;
    let component = take_bytes(&mut rest)?;
    let parsed = parse::parse(component, features())?;
    let count = take_u32(&mut rest)?;
    let mut distinct = Vec::new();
    for _ in 0..count {
        distinct.push(engine.load(take_bytes(&mut rest)?)?);
    }
    let modules = take_u32(&mut rest)?;
    if modules as usize != parsed.modules.len() {
        return Err(ImageLoadError::Truncated("its modules are not those of its component"));
    }
    let mut libraries = Vec::new();
    for _ in 0..modules {
        let library = distinct.get(take_u32(&mut rest)? as usize);
        libraries.push(Arc::clone(library.ok_or(ImageLoadError::Truncated("a library is missing"))?));
    }
    Ok(Executable::new(engine, component, parsed.root, libraries))
}

fn push_bytes(image: &mut Vec<u8>, bytes: &[u8]) {
    image.extend((bytes.len() as u64).to_le_bytes());
    image.extend_from_slice(bytes);
}

fn number(len: usize) -> u32 {
    u32::try_from(len).expect("parsing bounds the number of modules")
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], ImageLoadError> {
    let (taken, after) = rest.split_at_checked(len).ok_or(ImageLoadError::Truncated("it is cut off"))?;
    *rest = after;
    Ok(taken)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, ImageLoadError> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ImageLoadError> {
    let low = take_u32(rest)?;
    let high = take_u32(rest)?;
    let len = usize::try_from(u64::from(high) << 32 | u64::from(low));
    take(rest, len.map_err(|_| ImageLoadError::Truncated("it is cut off"))?)
}
