//! Calls over a boundary as messages: values on their way, as bytes and handle slots, without component values in between.
//!
//! A letter is written from the caller's memory and read into the callee's, perhaps in another OS process. What is in one
//! has been checked, whoever wrote it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use abi::fault::Trap;
use abi::plan::Passing;
use abi::side::Side;
use abi::types::{FuncType, ValType};
use abi::value::{Resource, Value};
use abi::wire::packing::pack;
use abi::wire::unpacking::{check, unpack_from};
use abi::wire::{Message, Slot, WireError, lifting, lowering};

use super::linked::ExportedFunc;
use super::peers::Peers;

/// Values on their way: bytes that have been checked, and handles.
#[derive(Clone, Debug, Default)]
pub(super) struct Parcel {
    message: Message,
    /// Where in the bytes the values begin: before that is what they came with.
    from: usize,
    /// What they carry, as [`Value::bytes`] counts it.
    carried: u64,
}

/// A call on its way, and its answer.
pub(super) struct Letter {
    pub func: Arc<ExportedFunc>,
    pub args: Parcel,
    answer: Mutex<Option<Parcel>>,
    /// Whose resources are in an answer that nobody takes.
    peers: Weak<Peers>,
}

impl Parcel {
    /// The parameters of a call, out of its caller.
    ///
    /// # Errors
    /// Whatever the spec traps for, or values too big for the host.
    pub fn of_params(
        side: &mut dyn Side,
        ty: &FuncType,
        passing: &Passing,
        core: &[u64],
    ) -> Result<Parcel, Trap> {
        let mut parcel = Parcel::default();
        parcel.carried = lifting::lift_params(side, ty, passing, core, &mut parcel.message)?;
        Ok(parcel)
    }

    /// The result of a call, out of its callee.
    ///
    /// # Errors
    /// As [`Parcel::of_params`].
    pub fn of_results(
        side: &mut dyn Side,
        ty: &FuncType,
        passing: &Passing,
        core: &[u64],
    ) -> Result<Parcel, Trap> {
        let mut parcel = Parcel::default();
        parcel.carried = lifting::lift_results(side, ty, passing, core, &mut parcel.message)?;
        Ok(parcel)
    }

    /// Values that somebody has as such.
    ///
    /// # Errors
    /// They are not of these types.
    pub fn of_values<'t>(
        types: impl ExactSizeIterator<Item = &'t ValType>,
        values: &[Value],
    ) -> Result<Parcel, Trap> {
        let carried = values.iter().map(Value::bytes).sum();
        let mut parcel = Parcel { carried, ..Parcel::default() };
        pack(types, values, &mut parcel.message)?;
        Ok(parcel)
    }

    /// Values that somebody else has sent: the bytes of a frame from `from` on.
    ///
    /// # Errors
    /// They are not of these types.
    pub fn received<'t>(
        types: impl Iterator<Item = &'t ValType>,
        (frame, from): (Vec<u8>, usize),
        slots: Vec<Slot>,
    ) -> Result<Parcel, WireError> {
        let carried = check(types, frame.get(from..).unwrap_or(&[]), &slots)?;
        Ok(Parcel { message: Message { bytes: frame, slots }, from, carried })
    }

    /// The bytes of the values.
    pub fn bytes(&self) -> &[u8] {
        self.message.bytes.get(self.from..).unwrap_or(&[])
    }

    /// Their handles.
    pub fn slots(&self) -> &[Slot] {
        &self.message.slots
    }

    /// What they carry, as [`Value::bytes`] counts it.
    pub fn carried(&self) -> u64 {
        self.carried
    }

    /// The resources that they own.
    pub fn owned(&self) -> impl Iterator<Item = Resource> {
        self.slots().iter().filter(|slot| slot.is_own).map(|slot| slot.resource)
    }

    /// Lowers parameters into the side that is called; gives its core parameters.
    ///
    /// # Errors
    /// Whatever the spec traps for.
    pub fn lower_params(
        &self,
        side: &mut dyn Side,
        ty: &FuncType,
        passing: &Passing,
    ) -> Result<Vec<u64>, Trap> {
        lowering::lower_params(side, ty, passing, self.bytes(), self.slots())
    }

    /// Lowers a result into the side that called; `core` holds its core parameters, and gets its core results.
    ///
    /// # Errors
    /// Whatever the spec traps for.
    pub fn lower_results(
        &self,
        side: &mut dyn Side,
        ty: &FuncType,
        passing: (&Passing, &Passing),
        core: &mut [u64],
    ) -> Result<(), Trap> {
        lowering::lower_results(side, ty, passing, (self.bytes(), self.slots()), core)
    }

    /// The values as such.
    ///
    /// # Errors
    /// They would be too big for the host.
    pub fn values<'t>(&self, types: impl Iterator<Item = &'t ValType>) -> Result<Vec<Value>, WireError> {
        unpack_from(types, self.bytes(), self.slots())
    }
}

impl Letter {
    /// A call of this function with these parameters.
    pub fn new(func: &Arc<ExportedFunc>, args: Parcel, peers: &Peers) -> Arc<Letter> {
        let (func, peers) = (Arc::clone(func), peers.outside());
        Arc::new(Letter { func, args, answer: Mutex::new(None), peers })
    }

    /// Gives the answer.
    pub fn put(&self, answer: Parcel) {
        *self.answer() = Some(answer);
    }

    /// The answer, if it was given and not taken.
    pub fn take(&self) -> Option<Parcel> {
        self.answer().take()
    }

    fn answer(&self) -> MutexGuard<'_, Option<Parcel>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Letter {
    /// What an answer owns that nobody has taken is nobody's.
    fn drop(&mut self) {
        let Some(answer) = self.take() else { return };
        if let Some(peers) = self.peers.upgrade() {
            answer.owned().for_each(|resource| peers.release(resource));
        }
    }
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("carried", &self.args.carried).finish_non_exhaustive()
    }
}

/// The types of a function's parameters.
pub(super) fn param_types(ty: &FuncType) -> impl ExactSizeIterator<Item = &ValType> {
    ty.params.iter().map(|(_, ty)| ty)
}

/// The type of its result, if it has one.
pub(super) fn result_types(ty: &FuncType) -> impl ExactSizeIterator<Item = &ValType> {
    ty.result.as_slice().iter()
}
