//! Exported functions that are called with Rust types: nothing is allocated on the way, and no value is made that knows
//! its own type.

use std::marker::PhantomData;

use abi::fault::{Fault, Trap};
use abi::limits::MAX_FLAT_PARAMS;
use abi::typed::{Typed, exported};

use super::call::{Opened, blame, close, open};
use super::guest::{Guest, call_in_place};
use super::linked::ExportedFunc;
use super::tree::Tree;
use crate::domain::Domain;

/// An exported function with parameters `P`, a tuple, and result `R`, `()` for none.
#[derive(Clone, Debug)]
pub struct DirectFunc<P, R> {
    func: ExportedFunc,
    types: PhantomData<fn(P) -> R>,
}

impl<P: Typed, R: Typed> DirectFunc<P, R> {
    /// The function as one of these types.
    ///
    /// # Errors
    /// It is of others, or it is asynchronous.
    pub fn new(func: &ExportedFunc) -> Result<DirectFunc<P, R>, Trap> {
        if !exported::fits::<P, R>(&func.ty) {
            let (params, result) = (P::ty(), R::payload());
            let text = format!("the function is a `{}`, not one from {params:?} to {result:?}", func.ty);
            return Err(Trap::Host(text));
        }
        if func.asynchronous {
            return Err(Trap::Unsupported("a call of an asynchronous function with Rust types"));
        }
        Ok(DirectFunc { func: func.clone(), types: PhantomData })
    }

    /// Calls it in the tree that it is of. Meters count the bytes of the parameters and the result, not of what these
    /// point to.
    ///
    /// # Errors
    /// The fault; [`Trap::CannotEnter`] if an earlier one ended the process.
    pub fn call(&self, tree: &mut Tree, params: &P) -> Result<R, Fault> {
        let mut entered = tree.enter(self.func.domain)?;
        let (domain, func) = (&mut *entered, &self.func);
        let mut opened = Opened::default();
        open(domain, func, &mut opened)?;
        let result = if P::FLAT <= 4 {
            self.run::<4>(domain, params)
        } else {
            self.run::<MAX_FLAT_PARAMS>(domain, params)
        };
        let carried = (P::LAYOUT.size.into(), R::LAYOUT.size.into());
        close(domain, func, &opened, result.as_ref().err().map(|fault| &**fault), carried)?;
        result.map_err(|fault| *fault)
    }

    /// Parameters and results are in `SLOTS` slots, which are enough.
    #[inline]
    fn run<const SLOTS: usize>(&self, domain: &mut Domain, params: &P) -> Result<R, Box<Fault>> {
        let callee = &self.func.callee;
        let mut core = [0; SLOTS];
        let lowered = exported::lower_params(&mut Guest::new(domain, callee), params, &mut core);
        let count = lowered.map_err(|trap| blame(domain, callee.process, trap))?;
        let mut values = core.map(u128::from);
        let shape = (count, exported::core_results::<R>());
        call_in_place(domain, callee.process, self.func.core, shape, &mut values)?;
        let results = &values[..shape.1];
        let returned = [values[0] as u64];
        let mut guest = Guest::new(domain, callee);
        match exported::lift_result(&mut guest, &returned[..results.len()]) {
            Ok(value) => {
                if let Some(slot) = callee.post_return {
                    guest.staying(|guest| guest.call(slot, results, &mut []))?;
                }
                Ok(value)
            }
            Err(trap) => Err(Box::new(blame(domain, callee.process, trap))),
        }
    }
}
