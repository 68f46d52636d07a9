//! Launches a component on a machine and calls it in the three ways there are: with Rust types, as a future, and with
//! values that are only known when the program runs.
//!
//!     cargo run -p atoll-ipc --example ways_to_call

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use abi::wave;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;

const COMPONENT: &str = r#"
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
"#;

/// Runs the example.
///
/// # Errors
/// It is broken.
pub fn main() -> Result<(), Box<dyn Error>> {
    // Compile and link once; launch as often as you like.
    let engine = Engine::new()?;
    let executable = Executable::parse(&engine, &wat::parse_str(COMPONENT)?)?;
    let linked = Arc::new(executable.link(&Imports::default(), &LinkOptions::new("app"))?);

    let system = System::start(MachineOptions::default())?;
    let app = system.launch(&engine, linked, Box::new(()), Placement::default())?;

    // With Rust types, checked here and not at each call. Blocks this OS thread; the guest runs on a worker.
    let add = app.typed_func::<(u32, u32), u32>(&["add"])?;
    println!("add(1, 2) = {}", add.call(&app, (1, 2))?);

    // As a future, for whatever executor there is.
    println!("add(3, 4) = {}", block_on(add.start(&app, (3, 4))?)?);

    // With values: what a console or a fuzzer does.
    let func = app.func(&["add"])?;
    let args = wave::parse_args(&func.ty, "(5, 6)")?;
    let result = app.call(&func, args)?.ok_or("a function with a result gives one")?;
    let ty = func.ty.result.as_ref().ok_or("it has a result")?;
    println!("add(5, 6) = {}", wave::print(ty, &result));
    Ok(())
}

/// The smallest executor.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Unpark>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
