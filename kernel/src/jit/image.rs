//! Functions placed one after another: position-independent code with its tables, and what that is once it runs.

use std::ops::Range;

use cranelift_codegen::ir::{LibCall, TrapCode};

use super::body::{Body, Caught, NO_SOURCE, RelocTarget};
use super::compile_error::CompileError;
use super::routine;
use crate::limits::CODE_ARENA_BYTES;
use crate::mem::code::CodeBlock;
use crate::trap::site::Catch;

/// Functions placed one after another; calls among them are resolved. Offsets are bytes from the first function.
#[derive(Debug, Default)]
pub struct Image {
    code: Vec<u8>,
    tables: Tables,
    placed: Vec<Placed>,
}

/// What is known of an image's code.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Each function's code.
    pub functions: Vec<Range<u32>>,
    /// Instructions that may trap, ascending.
    pub traps: Vec<(u32, TrapCode)>,
    /// Where the code of a source location begins, ascending.
    pub lines: Vec<(u32, u32)>,
    /// Calls whose exceptions land in the calling function, ascending.
    pub catches: Vec<Caught>,
    /// Where the absolute address of a routine belongs.
    pub routines: Vec<(u32, LibCall)>,
}

/// A relative call to a function that has an address already.
#[derive(Debug)]
struct Placed {
    at: u32,
    function: u32,
    addend: i64,
}

/// An image that can run.
#[derive(Debug)]
pub struct Code {
    block: CodeBlock,
    pub(super) tables: Tables,
}

impl Image {
    /// Places functions in this order, each at a multiple of `align` bytes.
    ///
    /// # Errors
    /// [`CompileError::Limit`] if together they are longer than all machine code may be.
    pub fn assemble(bodies: Vec<Body>, align: usize) -> Result<Image, CompileError> {
        let mut image = Image::default();
        let mut relocs = Vec::new();
        for body in bodies {
            let start = image.code.len().next_multiple_of(align);
            let end = start + body.code.len();
            if end > CODE_ARENA_BYTES {
                let allowed = CODE_ARENA_BYTES as u64;
                return Err(CompileError::Limit { limit: "machine code", value: end as u64, allowed });
            }
            // Between functions is what must never run: int3.
            image.code.resize(start, 0xcc);
            image.code.extend_from_slice(&body.code);
            let (start, end) = (start as u32, end as u32);
            let tables = &mut image.tables;
            tables.functions.push(start..end);
            tables.traps.extend(body.traps.iter().map(|(at, code)| (start + at, *code)));
            tables.lines.extend(body.lines.iter().map(|(at, source)| (start + at, *source)));
            tables.catches.extend(body.catches.iter().map(|caught| Caught {
                at: start + caught.at,
                handler: start + caught.handler,
                frame_bytes: caught.frame_bytes,
            }));
            relocs.extend(body.relocs.iter().map(|reloc| (start + reloc.at, *reloc)));
        }
        for (at, reloc) in relocs {
            match (reloc.target, reloc.relative) {
                (RelocTarget::Local(index), true) => {
                    let to = image.tables.functions[index as usize].start;
                    let value = i64::from(to) + reloc.addend - i64::from(at);
                    image.patch(at, value)?;
                }
                (RelocTarget::Placed(function), true) => {
                    image.placed.push(Placed { at, function, addend: reloc.addend });
                }
                (RelocTarget::Routine(which), false) if reloc.addend == 0 => {
                    image.tables.routines.push((at, which))
                }
                (target, _) => return Err(refused(format!("an unexpected relocation to {target:?}"))),
            }
        }
        Ok(image)
    }

    /// From parts that were written by [`Code::bytes`].
    pub(super) fn from_parts(code: Vec<u8>, tables: Tables) -> Image {
        Image { code, tables, placed: Vec::new() }
    }

    fn patch(&mut self, at: u32, value: i64) -> Result<(), CompileError> {
        let value = i32::try_from(value).map_err(|_| refused("a call that is too far".to_owned()))?;
        self.code[at as usize..at as usize + 4].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Gives the code an address. `placed` has the addresses that namespace [`super::body::PLACED`] refers to.
    ///
    /// # Errors
    /// [`CompileError::Memory`] if there is no room; [`CompileError::Codegen`] if a placed function is too far away.
    pub fn publish(self, placed: &[*const u8]) -> Result<Code, CompileError> {
        let mut far = None;
        let block = CodeBlock::publish(self.code.len(), |bytes, base| {
            bytes.copy_from_slice(&self.code);
            for &(at, which) in &self.tables.routines {
                let address = routine::address(which).unwrap_or(0) as u64;
                bytes[at as usize..at as usize + 8].copy_from_slice(&address.to_le_bytes());
            }
            for call in &self.placed {
                let from = base as i64 + i64::from(call.at);
                let to = placed[call.function as usize] as i64 + call.addend;
                match i32::try_from(to - from) {
                    Ok(value) => bytes[call.at as usize..][..4].copy_from_slice(&value.to_le_bytes()),
                    Err(_) => far = Some(call.function),
                }
            }
        });
        if far.is_some() {
            return Err(refused("a call that is too far".to_owned()));
        }
        let missing = self.tables.routines.iter().find(|(_, which)| routine::address(*which).is_none());
        if let Some((_, which)) = missing {
            return Err(refused(format!("it needs the routine {which}, which the kernel does not have")));
        }
        let block = block.map_err(|error| CompileError::Memory(error.to_string()))?;
        Ok(Code { block, tables: self.tables })
    }
}

fn refused(message: String) -> CompileError {
    CompileError::Codegen { func: "(linking)".to_owned(), message }
}

impl Code {
    /// The entry of the function at this place.
    #[must_use]
    pub fn func(&self, index: usize) -> *const u8 {
        self.block.base().wrapping_add(self.tables.functions[index].start as usize)
    }

    /// The block, to register who knows about it.
    #[must_use]
    pub fn block(&self) -> &CodeBlock {
        &self.block
    }

    /// Why the instruction at `offset` may trap.
    #[must_use]
    pub fn trap(&self, offset: u32) -> Option<TrapCode> {
        let at = self.tables.traps.binary_search_by_key(&offset, |entry| entry.0).ok()?;
        Some(self.tables.traps[at].1)
    }

    /// Which function the code at `offset` is of, and its source location.
    #[must_use]
    pub fn locate(&self, offset: u32) -> Option<(usize, Option<u32>)> {
        let functions = &self.tables.functions;
        let func = functions.partition_point(|range| range.start <= offset).checked_sub(1)?;
        if !functions[func].contains(&offset) {
            return None;
        }
        let line = self.tables.lines.partition_point(|entry| entry.0 <= offset).checked_sub(1);
        let source =
            line.map(|line| self.tables.lines[line]).filter(|entry| entry.0 >= functions[func].start);
        Some((func, source.map(|entry| entry.1).filter(|&source| source != NO_SOURCE)))
    }

    /// What the call that returns to `offset` does with an exception.
    #[must_use]
    pub fn catches(&self, offset: u32) -> Catch {
        match self.tables.catches.binary_search_by_key(&offset, |caught| caught.at) {
            Ok(at) => {
                let caught = self.tables.catches[at];
                Catch::Land { offset: caught.handler, frame_bytes: caught.frame_bytes }
            }
            Err(_) => Catch::Pass,
        }
    }
}
