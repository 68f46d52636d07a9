//! The frames of a thread that executes a domain and stands still.

use abi::fault::Frame;

use super::Domain;
use crate::arch::Suspended;
use crate::sched::hold::Standstill;
use crate::trap::activation::{Activation, Stretch};
use crate::vm::domain::EXIT_FP;

/// Guest code that stands still.
#[derive(Debug)]
pub(crate) struct Live<'s> {
    activation: &'s Activation,
    suspended: Option<&'s Suspended>,
}

impl<'s> Live<'s> {
    /// The guest code of a thread, if it has any on its stack.
    pub fn of(standstill: &'s Standstill<'_>) -> Option<Live<'s>> {
        let place = standstill.place();
        // SAFETY: both are on the stack of the thread, which stands where they are alive for as long as `standstill`.
        unsafe { Some(Live { activation: place.activation.as_ref()?, suspended: place.suspended.as_ref() }) }
    }

    /// Whether it has called the host.
    pub fn is_in_host(&self) -> bool {
        self.suspended.is_none()
    }
}

impl Domain {
    /// The frames of the thread that executes it, innermost first, as many as a fault keeps.
    pub(crate) fn live_frames(&self, live: &Live<'_>) -> Vec<Frame> {
        let exit_fp = self.record.get(EXIT_FP.cast_unsigned());
        // What is walked is the stack that this domain's code runs on, whatever the thread does besides.
        let ours = |address| self.stacks.last().is_some_and(|stack| stack.usable.contains(&address));
        let outer_fp = live.activation.outer_fp();
        let first = match live.suspended {
            Some(suspended) if ours(suspended.sp()) && ours(outer_fp) => {
                // SAFETY: the thread stands there.
                unsafe { live.activation.suspended_stretch(suspended) }
            }
            None if ours(exit_fp) && ours(outer_fp) => {
                // SAFETY: the stub's frame waits for the host.
                unsafe { live.activation.stretch_from(exit_fp) }
            }
            _ => return Vec::new(),
        };
        // SAFETY: the thread stands, so everything on its stack is alive.
        let outer = unsafe { live.activation.outer_stretches() };
        let chain: Vec<Stretch> = std::iter::once(first).chain(outer).collect();
        self.frames_of(&chain, live.suspended.is_some())
    }
}
