//! A nested component that goes wrong in every way, behind a boundary: it traps, spins and grows; its caller is told,
//! and goes on.
//!
//!     cargo run -p atoll-ipc --example blast_zone

use std::error::Error;
use std::sync::Arc;

use atoll_ipc::actor::CallLimits;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::quota::Quota;
use kernel::sched::account::Share;
use kernel::sched::machine::MachineOptions;

/// `plugin` does what it is told; `app` asks it, and gets what it did or the fault as a text.
const COMPONENT: &str = r#"
(component
  (component $Plugin
    (core module $m
      (memory (export "mem") 1)
      (func (export "do") (param $what i32) (result i32)
        (if (i32.eq (local.get $what) (i32.const 1)) (then (unreachable)))
        (if (i32.eq (local.get $what) (i32.const 2)) (then (loop $l (br $l))))
        (if (i32.eq (local.get $what) (i32.const 3))
          (then (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))))
        (i32.store8 (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (memory.size))
        (i32.const 16)))
    (core instance $i (instantiate $m))
    (func (export "do") (param "what" u32) (result (result u32 (error string)))
      (canon lift (core func $i "do") (memory (core memory $i "mem")))))
  (component $App
    (import "do" (func $do (param "what" u32) (result (result u32 (error string)))))
    (core module $libc
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $libc (instantiate $libc))
    (core func $do' (canon lower (func $do)
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "" "do" (func $do (param i32 i32)))
      (func (export "ask") (param $what i32) (result i32)
        (call $do (local.get $what) (i32.const 64)) (i32.const 64)))
    (core instance $i (instantiate $m (with "" (instance (export "do" (func $do'))))))
    (func (export "ask") (param "what" u32) (result (result u32 (error string)))
      (canon lift (core func $i "ask") (memory (core memory $libc "mem")))))
  (instance $plugin (instantiate $Plugin))
  (instance $app (instantiate $App (with "do" (func $plugin "do"))))
  (export "ask" (func $app "ask")))
"#;

/// Runs the example.
///
/// # Errors
/// It is broken.
pub fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new()?;
    let executable = Executable::parse(&engine, &wat::parse_str(COMPONENT)?)?;
    let options = LinkOptions {
        // What is below this process is a domain of its own; whoever calls it gets an `err` when it fails.
        isolate: Isolate::Named(vec!["plugin".to_owned()]),
        edge: EdgePolicy { on_fault: OnFault::Error, deadline_ns: Some(50_000_000) },
        ..LinkOptions::new("demo")
    };
    let linked = Arc::new(executable.link(&Imports::default(), &options)?);

    let system = System::start(MachineOptions::default())?;
    let placement = Placement {
        // At most half a core, and a tenth of a second for a call.
        share: Share { cap: Some(500), ..Share::default() },
        limits: CallLimits { wall_clock_ns: Some(100_000_000), ..CallLimits::default() },
        ..Placement::default()
    };
    let demo = system.launch(&engine, linked, Box::new(()), placement)?;
    let plugin = demo.tree().linked().processes().iter().position(|process| process.name == "plugin");
    let plugin = plugin.ok_or("the plugin is a process")?;
    demo.tree().set_quota(plugin, Quota { memory_bytes: Some(1 << 20), ..Quota::default() })?;

    println!("works:  {:?}", ask(&demo, 0)?);
    println!("grows:  {:?} pages, then -1", ask(&demo, 3)?);
    println!("traps:  {:?}", ask(&demo, 1)?);
    restart(&demo)?;
    println!("spins:  {:?}", ask(&demo, 2)?);
    restart(&demo)?;
    println!("works again, in its next life: {:?}", ask(&demo, 0)?);
    for process in demo.tree().processes() {
        println!(
            "{} {} is {}, faults: {}",
            process.id, process.info.path, process.state, process.meters.faults
        );
    }
    Ok(())
}

fn ask(demo: &Launched, what: u32) -> Result<Result<u32, String>, Box<dyn Error>> {
    let ask = demo.typed_func::<(u32,), Result<u32, String>>(&["ask"])?;
    Ok(ask.call(demo, (what,))?)
}

/// Begins the next life of the plugin's domain; the first is the app's.
fn restart(demo: &Launched) -> Result<(), Box<dyn Error>> {
    Ok(demo.restart(1, "the example")?)
}
