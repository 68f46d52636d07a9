//! Checking the references that the host hands in: compiled code follows them without asking.

use super::Domain;
use super::externs::Func;
use crate::jit::valtype::{HeapType, RefType};
use crate::mem::block::Pinned;
use crate::vm::{VmFuncImport, VmFuncRef};

impl Domain {
    /// Whether a word is a value of a reference type in this domain.
    #[must_use]
    pub fn is_ref(&self, word: u128, ty: RefType) -> bool {
        let Ok(word) = usize::try_from(word) else { return false };
        if word == 0 {
            return ty.nullable;
        }
        match ty.heap {
            HeapType::Extern => true,
            HeapType::Exn => self.exceptions.as_ref().is_some_and(|exceptions| exceptions.contains(word)),
            HeapType::Func => self.func_ref_at(word).is_some(),
            HeapType::Concrete(sig) => self.func_ref_at(word).is_some_and(|func| func.sig == sig.0),
            // The bottoms, and the guests' own heap, of which nothing exists yet.
            _ => false,
        }
    }

    fn func_ref_at(&self, address: usize) -> Option<VmFuncRef> {
        let of_instance = self.instances.iter().any(|instance| instance.holds_func_ref(address));
        let mut of_host = self.host.iter().flat_map(|host| &host.refs);
        let known = of_instance || of_host.any(|known| known.as_ptr() as usize == address);
        // SAFETY: a function reference of this domain is there: instances and the list say so.
        known.then(|| unsafe { (address as *const VmFuncRef).read() })
    }

    /// The function that a `funcref` word refers to; `None` for null and for what is no reference of this
    /// domain.
    #[must_use]
    pub fn func_of_ref(&self, word: u128) -> Option<Func> {
        let func = self.func_ref_at(usize::try_from(word).ok()?)?;
        let import = VmFuncImport { code: func.code, ctx: func.ctx };
        Some(Func { import, sig: crate::jit::sig::SigId(func.sig), domain: self.key })
    }

    /// A `funcref` word that refers to a function. `None` if the function is another domain's.
    pub fn ref_of_func(&mut self, func: &Func) -> Option<u128> {
        if func.domain != self.key {
            return None;
        }
        let wanted = (func.import.code, func.import.ctx);
        let refs = &mut self.host_items().refs;
        let known = refs.iter().find(|known| (known.code, known.ctx) == wanted);
        let address = match known {
            Some(known) => known.as_ptr(),
            None => {
                let made = VmFuncRef { code: wanted.0, ctx: wanted.1, sig: func.sig.0 };
                refs.push(Pinned::new(made));
                refs.last()?.as_ptr()
            }
        };
        Some(address as usize as u128)
    }
}
