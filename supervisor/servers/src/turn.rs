//! A call's turn with the state of the servers, which it can end to wait.
//!
//! There is one state a tree, and one call at a time has it. One that waits lets the others go on, and finds the state as
//! they left it: what it knew of it before, it must look up again.

use std::os::fd::BorrowedFd;

use abi::fault::Trap;
use kernel::host::HostCall;
use kernel::sched::park::{self, Interest};

use crate::bind::State;

/// The state, for as long as nothing is waited for.
pub struct Turn<'t, S>(Way<'t, S>);

enum Way<'t, S> {
    /// As the state of the tree whose guest calls.
    Call(&'t mut dyn HostCall),
    /// Nobody else has it.
    Alone(&'t mut S),
}

impl<'t, S: State> Turn<'t, S> {
    /// A turn that shares with nobody: whoever has the state calls a server itself.
    pub fn alone(state: &'t mut S) -> Turn<'t, S> {
        Turn(Way::Alone(state))
    }

    /// The turn of a guest's call; `None` if the tree has another state.
    pub(crate) fn of_call(call: &'t mut dyn HostCall) -> Option<Turn<'t, S>> {
        call.state().is::<S>().then_some(Turn(Way::Call(call)))
    }

    /// The state.
    pub fn state(&mut self) -> &mut S {
        match &mut self.0 {
            Way::Call(call) => {
                let (process, index) = (call.process(), call.process_index());
                let state = call.state().downcast_mut::<S>().expect("a tree keeps its state");
                state.called_by(process, index);
                state
            }
            Way::Alone(state) => state,
        }
    }

    /// Waits until one of the files is ready or until `deadline_ns`, as [`park::now_ns`] tells the time. May return
    /// without a reason: look again.
    ///
    /// # Errors
    /// The verdict, if the caller is condemned; or what the system says of the files.
    pub fn wait(
        &mut self,
        files: &[(BorrowedFd<'_>, Interest)],
        deadline_ns: Option<u64>,
    ) -> Result<(), Trap> {
        self.end();
        park::wait(files, deadline_ns)
    }

    /// Lets others run if it is their turn; to be called between the steps of what takes long.
    ///
    /// # Errors
    /// The verdict, if the caller is condemned.
    pub fn checkpoint(&mut self) -> Result<(), Trap> {
        self.end();
        park::checkpoint()
    }

    fn end(&mut self) {
        if let Way::Call(call) = &mut self.0 {
            call.release_state();
        }
    }
}
