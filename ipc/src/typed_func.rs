//! Exported functions with Rust types: checked once, when they are looked up.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use abi::fault::{Fault, Trap};
use abi::native::{NativeParams, NativeResult};
use abi::types::FuncType;
use kernel::component::linked::{Export, ExportedFunc};

use crate::launched::{Call, Launched};

/// A function of a tree that takes `P`, a tuple, and gives `R`, which is `()` for nothing.
pub struct TypedFunc<P, R> {
    func: Arc<ExportedFunc>,
    types: PhantomData<fn(P) -> R>,
}

/// Why there is no such function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoFunc {
    /// The tree exports nothing of that name, or something else.
    Unknown {
        /// The names that were looked up, `#` between them.
        name: String,
    },
    /// It has other types.
    Mismatch {
        /// Its name.
        name: String,
        /// The type that it has.
        has: String,
        /// The type that was asked for.
        asked: String,
    },
}

impl Launched {
    /// An exported function: its name, or an instance's and its name in that.
    ///
    /// # Errors
    /// The tree exports no such function.
    pub fn func(&self, path: &[&str]) -> Result<Arc<ExportedFunc>, NoFunc> {
        match self.tree().export(path) {
            Some(Export::Func(func)) => Ok(Arc::new(func.clone())),
            _ => Err(NoFunc::Unknown { name: path.join("#") }),
        }
    }

    /// The same with Rust types.
    ///
    /// # Errors
    /// The tree exports no such function, or it has other types.
    pub fn typed_func<P: NativeParams, R: NativeResult>(
        &self,
        path: &[&str],
    ) -> Result<TypedFunc<P, R>, NoFunc> {
        let func = self.func(path)?;
        let params = func.ty.params.iter().map(|(_, ty)| ty);
        if !params.eq(P::types().iter()) || func.ty.result != R::ty() {
            let unnamed = P::types().into_iter().map(|ty| ("_".into(), ty)).collect();
            let asked = FuncType { params: unnamed, result: R::ty(), ..FuncType::clone(&func.ty) };
            let (has, asked) = (func.ty.to_string(), asked.to_string());
            return Err(NoFunc::Mismatch { name: path.join("#"), has, asked });
        }
        Ok(TypedFunc { func, types: PhantomData })
    }
}

impl<P: NativeParams, R: NativeResult> TypedFunc<P, R> {
    /// Calls the function and blocks until it has returned.
    ///
    /// # Errors
    /// The fault, or that its domain is gone.
    pub fn call(&self, tree: &Launched, args: P) -> Result<R, Fault> {
        given(tree.call(&self.func, args.into_values()))
    }

    /// The same as a future, which any executor may run. Nothing is sent before it is polled.
    ///
    /// # Errors
    /// A message may not be so long.
    pub fn start(&self, tree: &Launched, args: P) -> Result<TypedCall<R>, Fault> {
        let call = tree.start_call(&self.func, args.into_values())?;
        Ok(TypedCall { call, result: PhantomData })
    }
}

/// A call under way.
#[derive(Debug)]
pub struct TypedCall<R> {
    call: Call,
    result: PhantomData<fn() -> R>,
}

impl<R: NativeResult> Future for TypedCall<R> {
    type Output = Result<R, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R, Fault>> {
        Pin::new(&mut self.call).poll(context).map(given)
    }
}

fn given<R: NativeResult>(answer: crate::mailbox::Answer) -> Result<R, Fault> {
    let odd = || Fault::new(Trap::Host("a result that is not of its function's type".to_owned()));
    R::from_result(answer?).ok_or_else(odd)
}

impl std::fmt::Display for NoFunc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoFunc::Unknown { name } => write!(f, "the tree exports no function `{name}`"),
            NoFunc::Mismatch { name, has, asked } => write!(f, "`{name}` is {has}, not {asked}"),
        }
    }
}

impl std::error::Error for NoFunc {}

impl<P, R> std::fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedFunc").field("func", &self.func.ty).finish_non_exhaustive()
    }
}
