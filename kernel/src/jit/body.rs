//! One compiled function before it has an address: code and what is known of it.

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, LibCall, TrapCode};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{Context, FinalizedMachExceptionHandler, FinalizedRelocTarget};

use super::compile_error::CompileError;

/// Namespace of the functions that are published together: the index is the function's place among them.
pub const LOCAL: u32 = 0;
/// Namespace of functions that have an address already: the index is the place in the list given to
/// [`super::image::Image::assemble`].
pub const PLACED: u32 = 1;

/// The source location of code that belongs to no operator.
pub const NO_SOURCE: u32 = u32::MAX;

/// One compiled function. Offsets are bytes from its first instruction.
#[derive(Debug, Default)]
pub struct Body {
    /// Machine code and the constants behind it.
    pub code: Vec<u8>,
    /// Instructions that may trap, ascending.
    pub traps: Vec<(u32, TrapCode)>,
    /// Where the code of a source location begins, ascending; [`NO_SOURCE`] for none.
    pub lines: Vec<(u32, u32)>,
    /// Calls whose exceptions land in this function, by return address, ascending.
    pub catches: Vec<Caught>,
    /// What must be filled in.
    pub relocs: Vec<Relocation>,
}

/// A call whose exceptions land in the calling function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// Return address.
    pub at: u32,
    /// Where the handler begins.
    pub handler: u32,
    /// Frame pointer minus stack pointer at the call.
    pub frame_bytes: u32,
}

/// A place in code that depends on addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The first of the bytes to fill.
    pub at: u32,
    /// Whether they are 4, relative to their own address, or 8, absolute.
    pub relative: bool,
    /// What they refer to.
    pub target: RelocTarget,
    /// To be added.
    pub addend: i64,
}

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocTarget {
    /// A function of the same image.
    Local(u32),
    /// A function that has an address already.
    Placed(u32),
    /// A routine of the code generator's.
    Routine(LibCall),
}

impl Body {
    /// Compiles the function in `context`, which is cleared.
    ///
    /// # Errors
    /// [`CompileError::Codegen`] with `name` if the code generator refuses.
    pub fn compile(
        isa: &dyn TargetIsa,
        context: &mut Context,
        name: impl Fn() -> String,
    ) -> Result<Body, CompileError> {
        let result =
            context.compile(isa, &mut ControlPlane::default()).map_err(|error| error.inner.to_string());
        let body = match result {
            Ok(_) => extract(context),
            Err(message) => Err(message),
        };
        context.clear();
        body.map_err(|message| CompileError::Codegen { func: name(), message })
    }

    fn line(&mut self, start: u32, source: u32) {
        if self.lines.last().is_none_or(|last| last.1 != source) {
            self.lines.push((start, source));
        }
    }
}

fn extract(context: &Context) -> Result<Body, String> {
    let compiled = context.compiled_code().ok_or("no code")?;
    let buffer = &compiled.buffer;
    let mut body = Body { code: buffer.data().to_vec(), ..Body::default() };
    body.traps.extend(buffer.traps().iter().map(|trap| (trap.offset, trap.code)));
    let mut end = 0;
    for line in buffer.get_srclocs_sorted() {
        let source = if line.loc.is_default() { NO_SOURCE } else { line.loc.bits() };
        if line.start > end {
            body.line(end, NO_SOURCE);
        }
        body.line(line.start, source);
        end = line.end;
    }
    body.line(end, NO_SOURCE);
    for site in buffer.call_sites() {
        let Some(handler) = site.exception_handlers.first() else { continue };
        let (FinalizedMachExceptionHandler::Default(handler), Some(frame_bytes)) =
            (handler, site.frame_offset)
        else {
            return Err("an unexpected exception table".to_owned());
        };
        body.catches.push(Caught { at: site.ret_addr, handler: *handler, frame_bytes });
    }
    for reloc in buffer.relocs() {
        let target = match &reloc.target {
            FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                let name = &context.func.params.user_named_funcs()[*name];
                if name.namespace == LOCAL {
                    RelocTarget::Local(name.index)
                } else {
                    RelocTarget::Placed(name.index)
                }
            }
            FinalizedRelocTarget::ExternalName(ExternalName::LibCall(routine)) => {
                RelocTarget::Routine(*routine)
            }
            other => return Err(format!("an unexpected relocation to {other:?}")),
        };
        let relative = match reloc.kind {
            Reloc::X86CallPCRel4 | Reloc::X86PCRel4 => true,
            Reloc::Abs8 => false,
            other => return Err(format!("an unexpected relocation {other}")),
        };
        body.relocs.push(Relocation { at: reloc.offset, relative, target, addend: reloc.addend });
    }
    body.catches.sort_by_key(|caught| caught.at);
    Ok(body)
}
