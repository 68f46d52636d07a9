//! Images that `atoll compile` writes: a component with its machine code, for this version of atoll and this processor.
//!
//! ```text
//! magic     8 bytes
//! version   u32 of this format, little-endian
//! checksum  u64 of everything after it
//! image     the kernel's, which checks target and version
//! ```
//! What is checked finds accidents and stale images. Machine code is trusted as an executable is: run images only of
//! whom you would run programs.

use std::path::Path;

use kernel::component::executable::Executable;
use kernel::jit::engine::Engine;

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::launch;
use crate::program::Program;
use crate::treetext::bytes as size;

/// How an image begins.
pub const MAGIC: &[u8; 8] = b"\0atoll\0I";

const VERSION: u32 = 1;

/// Compiles a file and writes its image; says in a line what was written.
///
/// # Errors
/// The file cannot be compiled, or the image cannot be written.
pub fn compile(file: &Path, output: &Path) -> Result<String, Complaint> {
    let source = Program::read(file)?;
    source.component()?;
    let engine = launch::engine()?;
    let executable = launch::executable(&engine, &source)?;
    let image = seal(&executable.to_image());
    replace(output, &image).map_err(|error| {
        let what = format!("{}: the image cannot be written", output.display());
        Complaint::new(Exit::Failed, what).because(error)
    })?;
    let code: usize = executable.libraries().iter().map(|library| library.code_bytes()).sum();
    let (code, whole) = (size(code as u64), size(image.len() as u64));
    Ok(format!("{}: {code} of machine code, {whole}; for this machine and this atoll\n", output.display()))
}

/// Writes beside the target and renames, so that nobody ever sees half an image.
fn replace(output: &Path, image: &[u8]) -> std::io::Result<()> {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}", std::process::id()));
    let beside = output.with_file_name(name);
    let written = std::fs::write(&beside, image).and_then(|()| std::fs::rename(&beside, output));
    if written.is_err() {
        // What stopped the writing is told; that half a file may be left over is the lesser news.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Makes an executable of an image, without compiling.
///
/// # Errors
/// It is damaged, or was made by another atoll or for another processor.
pub fn load(engine: &Engine, path: &str, image: &[u8]) -> Result<Executable, Complaint> {
    let stale = |reason: String| {
        Complaint::refused(format!("{path}: a precompiled image that cannot be used here"))
            .reason(reason)
            .advise("compile it again: atoll compile COMPONENT -o IMAGE")
    };
    let image = open(image).map_err(stale)?;
    Executable::from_image(engine, image).map_err(|error| stale(error.to_string()))
}

fn seal(image: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&checksum(image).to_le_bytes());
    file.extend_from_slice(image);
    file
}

fn open(file: &[u8]) -> Result<&[u8], String> {
    let cut = || "it is cut off".to_string();
    let rest = file.strip_prefix(MAGIC).ok_or("it is no image")?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(format!("it has format {version}, this atoll reads {VERSION}"));
    }
    let (sum, image) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    if u64::from_le_bytes(*sum) != checksum(image) {
        return Err("it is damaged: the checksum differs".to_string());
    }
    Ok(image)
}

/// Finds accidents: a multiply and a rotation for every 8 bytes, which no single changed bit survives.
fn checksum(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = bytes.len() as u64 ^ ODD;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(ODD).rotate_left(29);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{open, seal};

    #[test]
    fn no_changed_bit_and_no_cut_passes() {
        let file = seal(b"machine code");
        assert_eq!(open(&file), Ok(&b"machine code"[..]));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut bad = file.clone();
                bad[at] ^= 1 << bit;
                assert!(open(&bad).is_err(), "byte {at} bit {bit}");
            }
            assert!(open(&file[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn says_why() {
        let mut old = seal(b"machine code");
        old[8] = 9;
        assert_eq!(open(&old), Err("it has format 9, this atoll reads 1".to_string()));
    }
}
