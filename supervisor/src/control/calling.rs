//! Calls of exported functions from outside: text in, text out.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use abi::control::faultview::FaultView;
use abi::control::response::Response;
use abi::wave;

use super::patience::Line;
use crate::complaint::Complaint;
use crate::launch;
use crate::steward::Steward;

/// How often whoever waits for a callee looks whether its client still does.
const STEP: Duration = Duration::from_millis(100);

/// Calls `interface#function(arguments)`. It may take as long as it takes; a client that hangs up does not wait.
///
/// # Errors
/// There is no such function, or the arguments are not its.
pub fn call(steward: &dyn Steward, text: &str, line: &mut dyn Line) -> Result<Response, Complaint> {
    let launched = steward.launched();
    let (func, args) = launch::invocation(steward.file(), launched.tree().linked(), text, "call")?;
    let call = match launched.start_call(&func, args) {
        Ok(call) => call,
        Err(fault) => return Ok(Response::Fault(Box::new(FaultView::from(&fault)))),
    };
    let Some(answer) = wait(call, line) else { return Ok(Response::Done) };
    Ok(match answer {
        Ok(None) => Response::Returned(None),
        Ok(Some(value)) => {
            let ty = func.ty.result.as_ref().expect("a function with a result has its type");
            let text = wave::print(ty, &value);
            // Nobody out there can hold a handle.
            launched.tree().undelivered().release(&[value]);
            Response::Returned(Some(text))
        }
        Err(fault) => Response::Fault(Box::new(FaultView::from(&fault))),
    })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What comes of a future; nothing if the client hangs up before.
fn wait<T>(future: impl Future<Output = T>, line: &mut dyn Line) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, mut future) = (Context::from_waker(&waker), pin!(future));
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        if line.has_hung_up() {
            return None;
        }
        thread::park_timeout(STEP);
    }
}
