//! A compiled core module: inert, shared by everything that loads it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use cranelift_codegen::ir::TrapCode;

use super::image::Code;
use super::module::Module;
use super::small::SmallBody;
use super::watch::Board;
use crate::trap::site::{Catch, CodeFrame, CodeInfo};

/// A compiled core module.
pub struct Library {
    /// SHA-256 of the module's bytes.
    pub hash: [u8; 32],
    /// What is known of the module besides its code.
    pub module: Module,
    pub(super) code: Code,
    /// By index among the functions that have a body. None for a library that was loaded as machine code.
    pub(super) small: HashMap<u32, SmallBody>,
    derived: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Whose address the code has, if it is watched.
    board: Option<Arc<Board>>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("module", &self.module.name).finish_non_exhaustive()
    }
}

/// What the code at an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The function, by index in its module.
    pub func_index: u32,
    /// Byte offset in the module's binary; none for code that belongs to no operator.
    pub offset: Option<u32>,
    /// Why the instruction may trap.
    pub trap: Option<TrapCode>,
}

impl Library {
    pub(super) fn new(hash: [u8; 32], module: Module, code: Code, board: Option<Arc<Board>>) -> Library {
        Library { hash, module, code, small: HashMap::new(), derived: OnceLock::new(), board }
    }

    /// Whether its code notes what it does: it is good for this run of atoll only.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.board.is_some()
    }

    /// What those who instantiate the library compute once from its module, and keep with it.
    ///
    /// # Panics
    /// If it was computed before as another type.
    pub(crate) fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Module) -> T) -> &T {
        let derived = self.derived.get_or_init(|| Box::new(make(&self.module)));
        derived.downcast_ref().expect("one type is derived from a library")
    }

    /// Makes the code known to whoever meets a program counter.
    pub(super) fn describe(self: &Arc<Library>) {
        let info: Weak<dyn CodeInfo> = Arc::downgrade(&(Arc::clone(self) as Arc<dyn CodeInfo>));
        self.code.block().describe(info);
    }

    /// The entry of the `index`th function that has a body.
    #[must_use]
    pub fn func(&self, index: u32) -> *const u8 {
        self.code.func(index as usize)
    }

    /// The body of the `index`th function that has one, if it is small.
    #[must_use]
    pub fn small(&self, index: u32) -> Option<&SmallBody> {
        self.small.get(&index)
    }

    /// What the code at an address of this library is.
    #[must_use]
    pub fn lookup(&self, pc: usize) -> Option<Site> {
        let offset = pc.checked_sub(self.code.block().base() as usize)?;
        self.site(u32::try_from(offset).ok()?)
    }

    /// Bytes of machine code.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.code.block().len()
    }

    fn site(&self, at: u32) -> Option<Site> {
        let (func, offset) = self.code.locate(at)?;
        let func = u32::try_from(func).expect("the validator bounds functions");
        Some(Site { func_index: func + self.module.imported.funcs, offset, trap: self.code.trap(at) })
    }
}

impl CodeInfo for Library {
    fn trap(&self, offset: u32) -> Option<TrapCode> {
        self.code.trap(offset)
    }

    fn frame(&self, offset: u32) -> Option<CodeFrame> {
        let site = self.site(offset)?;
        Some(CodeFrame {
            module: self.module.name.clone(),
            func_index: Some(site.func_index),
            func_name: self.module.func_name(site.func_index).map(str::to_owned),
            offset: site.offset,
        })
    }

    fn catches(&self, offset: u32) -> Catch {
        self.code.catches(offset)
    }
}
