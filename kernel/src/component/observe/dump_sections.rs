//! A core dump as bytes: its sections, written one after the other.
//!
//! A section begins with its length. Those that describe are made in memory first; the data section, which can be as long
//! as the memories are, is measured and then written, page by page.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::jit::library::Library;
use crate::jit::sections::code_starts;
use crate::jit::valtype::ValType;
use crate::mem::linear::Memory;
use crate::vm::VmGlobal;

/// Memories are looked through in pieces of so many bytes; pieces of zeros are left out.
const PIECE_BYTES: usize = 4096;
/// A stretch of zeros that is shorter than this is written all the same, so that a memory has no more than
/// 65,536 segments.
const GAP_BYTES: u64 = 1 << 16;

/// What is dumped.
#[derive(Default)]
pub(super) struct Snapshot<'d> {
    pub instances: Vec<Instance<'d>>,
    modules: Vec<&'d Arc<Library>>,
    memories: Vec<&'d Arc<Memory>>,
    globals: Vec<(ValType, *const VmGlobal)>,
}

/// An instance: what of the process is its.
pub(super) struct Instance<'d> {
    pub library: &'d Library,
    module: u32,
    memories: Vec<u32>,
    globals: Vec<u32>,
    /// Where the bodies of its functions begin in the module's binary, by index of those that it defines.
    bodies: Vec<u32>,
}

impl<'d> Snapshot<'d> {
    /// An instance of the process.
    pub fn add(&mut self, instance: &'d crate::instance::Instance) {
        let module = place(&mut self.modules, &instance.library, Arc::ptr_eq);
        let memories = instance.memories.iter();
        let memories = memories.map(|memory| place(&mut self.memories, memory, Arc::ptr_eq)).collect();
        let types = (0..).zip(&instance.library.module.globals);
        let globals = types.map(|(index, ty)| {
            let global = (ty.ty, instance.global(index).cast_const());
            let known = self.globals.iter().position(|known| known.1 == global.1);
            let index = known.unwrap_or_else(|| {
                self.globals.push(global);
                self.globals.len() - 1
            });
            index as u32
        });
        let globals = globals.collect();
        let library = &instance.library;
        let bodies = code_starts(&library.module.bytes);
        self.instances.push(Instance { library, module, memories, globals, bodies });
    }
}

impl Instance<'_> {
    /// Where the body of a function of it begins, if it has one, and that has this offset in it.
    pub fn body_of(&self, func: u32, offset: Option<u32>) -> Option<u32> {
        let defined = self.library.module.defined_func(func)? as usize;
        let start = *self.bodies.get(defined)?;
        let end = self.bodies.get(defined + 1).copied().unwrap_or(u32::MAX);
        offset.is_none_or(|offset| (start..end).contains(&offset)).then_some(start)
    }
}

/// The place of something in a list, to which it is added if it is new.
fn place<'d, T>(list: &mut Vec<&'d T>, thing: &'d T, same: impl Fn(&T, &T) -> bool) -> u32 {
    let known = list.iter().position(|known| same(known, thing));
    let place = known.unwrap_or_else(|| {
        list.push(thing);
        list.len() - 1
    });
    place as u32
}

/// Writes a dump.
pub(super) struct Encoder<'o> {
    out: &'o mut dyn Write,
    written: u64,
}

impl<'o> Encoder<'o> {
    pub fn new(out: &'o mut dyn Write) -> Encoder<'o> {
        Encoder { out, written: 0 }
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Writes all of it: `frames` are instance, function and offset.
    pub fn write(&mut self, path: &str, snapshot: &Snapshot<'_>, frames: &[[u32; 3]]) -> io::Result<()> {
        self.put(b"\0asm\x01\0\0\0")?;
        self.custom("core", &named(path))?;
        self.custom("coremodules", &modules(&snapshot.modules))?;
        self.custom("coreinstances", &instances(&snapshot.instances))?;
        self.custom("corestack", &stack(frames))?;
        self.section(MEMORY_SECTION, &memories(&snapshot.memories))?;
        self.section(GLOBAL_SECTION, &globals(&snapshot.globals))?;
        self.data(&snapshot.memories)
    }

    fn custom(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        let mut section = Vec::with_capacity(contents.len() + 16);
        string(&mut section, name);
        section.extend_from_slice(contents);
        self.section(CUSTOM_SECTION, &section)
    }

    fn section(&mut self, id: u8, contents: &[u8]) -> io::Result<()> {
        let mut head = vec![id];
        unsigned(&mut head, contents.len() as u64);
        self.put(&head)?;
        self.put(contents)
    }

    fn data(&mut self, memories: &[&Arc<Memory>]) -> io::Result<()> {
        let mut segments = Vec::new();
        for (index, memory) in (0..).zip(memories) {
            for run in filled(memory) {
                let mut head = Vec::new();
                segment(&mut head, index, memory, &run);
                segments.push((head, *memory, run));
            }
        }
        let mut count = Vec::new();
        unsigned(&mut count, segments.len() as u64);
        let bytes =
            |(head, _, run): &(Vec<u8>, &Arc<Memory>, Range<u64>)| head.len() as u64 + (run.end - run.start);
        let mut head = vec![DATA_SECTION];
        unsigned(&mut head, count.len() as u64 + segments.iter().map(bytes).sum::<u64>());
        self.put(&head)?;
        self.put(&count)?;
        for (head, memory, run) in segments {
            self.put(&head)?;
            pieces(memory, run, &mut |_, bytes| self.put(bytes))?;
        }
        Ok(())
    }
}

const CUSTOM_SECTION: u8 = 0;
const MEMORY_SECTION: u8 = 5;
const GLOBAL_SECTION: u8 = 6;
const DATA_SECTION: u8 = 11;

/// What is done with a piece: where it begins, and its bytes.
type Work<'w, E> = dyn FnMut(u64, &[u8]) -> Result<(), E> + 'w;

/// Goes through a part of a memory piece by piece.
fn pieces<E>(memory: &Memory, part: Range<u64>, work: &mut Work<'_, E>) -> Result<(), E> {
    let mut piece = [0; PIECE_BYTES];
    let mut at = part.start;
    while at < part.end {
        let bytes = usize::try_from(part.end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        if memory.ty().shared {
            // Others may store to it; never shrinking, it has the bytes.
            let _ = memory.read(at, &mut piece[..bytes]);
            work(at, &piece[..bytes])?;
        } else {
            // SAFETY: the domain stands still, and nobody else has the memory.
            let all = unsafe { memory.as_slice() };
            work(at, &all[at as usize..][..bytes])?;
        }
        at += bytes as u64;
    }
    Ok(())
}

/// The parts of a memory that are not zero, without short gaps in between.
fn filled(memory: &Memory) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    let all = 0..memory.bytes() as u64;
    let looked: Result<(), std::convert::Infallible> = pieces(memory, all, &mut |at, bytes| {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let end = at + bytes.len() as u64;
        match runs.last_mut() {
            Some(last) if at - last.end < GAP_BYTES => last.end = end,
            _ => runs.push(at..end),
        }
        Ok(())
    });
    let Ok(()) = looked;
    runs
}

fn segment(head: &mut Vec<u8>, index: u32, memory: &Memory, run: &Range<u64>) {
    const ACTIVE_IN: u64 = 2;
    match index {
        0 => unsigned(head, 0),
        _ => {
            unsigned(head, ACTIVE_IN);
            unsigned(head, index.into());
        }
    }
    match memory.ty().memory64 {
        true => constant(head, I64_CONST, run.start.cast_signed()),
        false => constant(head, I32_CONST, (run.start as u32).cast_signed().into()),
    }
    head.push(END);
    unsigned(head, run.end - run.start);
}

const END: u8 = 0x0b;
const I32_CONST: u8 = 0x41;
const I64_CONST: u8 = 0x42;

fn constant(out: &mut Vec<u8>, opcode: u8, value: i64) {
    out.push(opcode);
    signed(out, value);
}

/// What every structure of the conventions begins with.
const HEAD: u8 = 0;

fn named(name: &str) -> Vec<u8> {
    let mut out = vec![HEAD];
    string(&mut out, name);
    out
}

fn modules(libraries: &[&Arc<Library>]) -> Vec<u8> {
    let mut out = Vec::new();
    unsigned(&mut out, libraries.len() as u64);
    let mut unnamed: HashMap<&str, usize> = HashMap::new();
    for library in libraries {
        let name = library.module.name.as_deref().unwrap_or_default();
        *unnamed.entry(name).or_default() += 1;
        let hash: String = library.hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        // Two libraries may call themselves the same.
        let known = !name.is_empty() && unnamed[name] == 1;
        out.extend(named(&if known { name.to_owned() } else { format!("{name}@{hash}") }));
    }
    out
}

fn instances(instances: &[Instance<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    unsigned(&mut out, instances.len() as u64);
    for instance in instances {
        out.push(HEAD);
        unsigned(&mut out, instance.module.into());
        for list in [&instance.memories, &instance.globals] {
            unsigned(&mut out, list.len() as u64);
            list.iter().for_each(|index| unsigned(&mut out, (*index).into()));
        }
    }
    out
}

fn stack(frames: &[[u32; 3]]) -> Vec<u8> {
    let mut out = named("main");
    unsigned(&mut out, frames.len() as u64);
    for frame in frames {
        out.push(HEAD);
        frame.iter().for_each(|part| unsigned(&mut out, (*part).into()));
        // No locals, and nothing on the operand stack.
        out.extend([0, 0]);
    }
    out
}

fn memories(memories: &[&Arc<Memory>]) -> Vec<u8> {
    const USUAL_PAGE: u32 = 16;
    let mut out = Vec::new();
    unsigned(&mut out, memories.len() as u64);
    for memory in memories {
        let ty = memory.ty();
        let custom = ty.page_log2 != USUAL_PAGE;
        let flags = [ty.maximum.is_some(), ty.shared, ty.memory64, custom];
        out.push((0..).zip(flags).map(|(bit, set)| u8::from(set) << bit).sum());
        unsigned(&mut out, memory.pages());
        ty.maximum.iter().for_each(|maximum| unsigned(&mut out, *maximum));
        if custom {
            unsigned(&mut out, ty.page_log2.into());
        }
    }
    out
}

fn globals(globals: &[(ValType, *const VmGlobal)]) -> Vec<u8> {
    let mut out = Vec::new();
    unsigned(&mut out, globals.len() as u64);
    for (ty, global) in globals {
        // SAFETY: a global of an instance of the domain, which stands still.
        let bytes = unsafe { (**global).0 };
        let value = u128::from_le_bytes(bytes);
        match ty {
            ValType::I32 => {
                out.extend([0x7f, 0]);
                constant(&mut out, I32_CONST, (value as u32).cast_signed().into());
            }
            ValType::I64 => {
                out.extend([0x7e, 0]);
                constant(&mut out, I64_CONST, (value as u64).cast_signed());
            }
            ValType::F32 => {
                out.extend([0x7d, 0, 0x43]);
                out.extend(&bytes[..4]);
            }
            ValType::F64 => {
                out.extend([0x7c, 0, 0x44]);
                out.extend(&bytes[..8]);
            }
            ValType::V128 => {
                out.extend([0x7b, 0, 0xfd, 0x0c]);
                out.extend(&bytes);
            }
            // What it refers to is not in the dump.
            ValType::Ref(_) => out.extend([0x70, 0, 0xd0, 0x70]),
        }
        out.push(END);
    }
    out
}

fn string(out: &mut Vec<u8>, text: &str) {
    unsigned(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// LEB128
fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// LEB128 of a signed number.
fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        let negative = low & 0x40 != 0;
        if value == 0 && !negative || value == -1 && negative {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}
