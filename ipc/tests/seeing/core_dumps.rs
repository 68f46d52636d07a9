//! Core dumps, read back as any tool reads them.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use abi::fault::{Fault, Trap};
use abi::id::ProcessId;
use kernel::component::link::Isolate;
use kernel::component::observe::dump::{Dumps, WriteDump};
use kernel::component::port::OnFault;
use wasmparser::{
    CoreDumpInstancesSection, CoreDumpModulesSection, CoreDumpSection, CoreDumpStackFrame,
    CoreDumpStackSection, DataKind, KnownCustom, Operator, Parser, Payload,
};

use super::shelf::{call, domain, launch, number, process, system, text};

const SOON: Duration = Duration::from_secs(20);

/// What is in a dump.
#[derive(Default)]
struct Read {
    name: String,
    modules: Vec<String>,
    /// Module, memories, globals.
    instances: Vec<(u32, Vec<u32>, Vec<u32>)>,
    thread: String,
    frames: Vec<CoreDumpStackFrame>,
    /// Pages.
    memories: Vec<u64>,
    globals: Vec<i64>,
    /// Memory, offset, bytes.
    segments: Vec<(u32, u64, Vec<u8>)>,
}

/// The value of a constant expression.
fn constant(expr: &wasmparser::ConstExpr<'_>) -> i64 {
    match expr.get_operators_reader().read().unwrap() {
        Operator::I32Const { value } => i64::from(value),
        Operator::I64Const { value } => value,
        other => panic!("{other:?}"),
    }
}

fn read(dump: &[u8]) -> Read {
    let mut read = Read::default();
    for payload in Parser::new(0).parse_all(dump) {
        match payload.unwrap() {
            Payload::CustomSection(custom) => match custom.as_known() {
                KnownCustom::CoreDump(CoreDumpSection { name }) => read.name = name.to_owned(),
                KnownCustom::CoreDumpModules(CoreDumpModulesSection { modules }) => {
                    read.modules = modules.into_iter().map(str::to_owned).collect();
                }
                KnownCustom::CoreDumpInstances(CoreDumpInstancesSection { instances }) => {
                    let parts = |it: wasmparser::CoreDumpInstance| (it.module_index, it.memories, it.globals);
                    read.instances = instances.into_iter().map(parts).collect();
                }
                KnownCustom::CoreDumpStack(CoreDumpStackSection { name, frames }) => {
                    (read.thread, read.frames) = (name.to_owned(), frames);
                }
                _ => panic!("{}", custom.name()),
            },
            Payload::MemorySection(memories) => {
                read.memories = memories.into_iter().map(|memory| memory.unwrap().initial).collect();
            }
            Payload::GlobalSection(globals) => {
                read.globals =
                    globals.into_iter().map(|global| constant(&global.unwrap().init_expr)).collect();
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment.unwrap();
                    let DataKind::Active { memory_index, offset_expr } = segment.kind else { panic!() };
                    let offset = constant(&offset_expr) as u32;
                    read.segments.push((memory_index, offset.into(), segment.data.to_vec()));
                }
            }
            Payload::Version { .. } | Payload::End(_) => {}
            other => panic!("{other:?}"),
        }
    }
    read
}

impl Read {
    /// Bytes of a memory, as the dump has them.
    fn bytes(&self, memory: u32, at: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; (self.memories[memory as usize] as usize) << 16];
        for (_, offset, data) in self.segments.iter().filter(|(of, ..)| *of == memory) {
            bytes[*offset as usize..][..data.len()].copy_from_slice(data);
        }
        bytes[at..][..len].to_vec()
    }

    /// The module of a frame's instance.
    fn module_of(&self, frame: usize) -> &str {
        &self.modules[self.instances[self.frames[frame].instanceidx as usize].0 as usize]
    }
}

#[test]
fn a_process_that_runs_is_dumped_as_it_is_and_goes_on() {
    let system = system();
    let launched = Arc::new(launch(&system, Isolate::All, OnFault::Error));
    call(&launched, "repeat", vec![number(3)]).unwrap();
    let asking = thread::spawn({
        let launched = Arc::clone(&launched);
        move || call(&launched, "ask", vec![text("~ loops")])
    });
    let store = domain(&launched, "store");
    while launched.domain(store).unwrap().calls() < 7 {
        thread::sleep(Duration::from_millis(1));
    }
    let mut dump = Vec::new();
    let length = launched.dump(process(&launched, "store"), SOON, &mut dump).unwrap().unwrap();
    assert_eq!(length, dump.len() as u64);
    let read = read(&dump);
    assert_eq!((&*read.name, &*read.thread), ("/shop/store", "main"));
    assert_eq!(read.modules, ["m", "n"]);
    assert_eq!(read.instances, [(0, vec![0], vec![0, 1]), (1, vec![], vec![])]);
    assert_eq!(read.memories, [2]);
    // The sixth call of `get` left its key and its length, and the seventh is in the loop.
    assert_eq!(read.globals[1], 7);
    let key_at = u32::from_le_bytes(read.bytes(0, 20, 4).try_into().unwrap()) as usize;
    assert_eq!(read.bytes(0, key_at, 1), b"k");
    assert_eq!(read.bytes(0, 70_000, 18), b"on the second page");
    let dumped: usize = read.segments.iter().map(|(.., data)| data.len()).sum();
    assert!(dumped <= 3 * 4096 && dump.len() < 4 * 4096, "what is zero is left out: {dumped}");
    assert_eq!((read.frames.len(), read.module_of(0), read.frames[0].funcidx), (1, "m", 1));
    assert!(read.frames[0].codeoffset > 0);
    // Front's own dump has its own frame: it waits.
    let mut dump = Vec::new();
    launched.dump(process(&launched, "front"), SOON, &mut dump).unwrap().unwrap();
    let read = self::read(&dump);
    let module = read.module_of(0).to_owned();
    assert_eq!((&*read.name, read.frames.len(), &*module), ("/shop/front", 1, "m"));
    assert_eq!(read.bytes(read.instances[0].1[0], 256, 2), b"k1");
    launched.kill(store, "by a test").unwrap();
    asking.join().unwrap().unwrap();
}

/// Dumps, by path.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, Trap, Vec<u8>)>>);

impl Dumps for Kept {
    fn faulted(&self, _: ProcessId, path: &str, fault: &Fault, write: &mut WriteDump<'_>) {
        let mut dump = Vec::new();
        let out: &mut dyn Write = &mut dump;
        write(out).unwrap();
        self.0.lock().unwrap().push((path.to_owned(), fault.trap.clone(), dump));
    }
}

#[test]
fn a_process_that_faults_is_dumped_if_that_was_asked_for() {
    let system = system();
    for isolate in [Isolate::default(), Isolate::All] {
        let launched = launch(&system, isolate, OnFault::Trap);
        let kept = Arc::new(Kept::default());
        let store = process(&launched, "store");
        launched.tree().dump_on_fault(&[store], Arc::clone(&kept) as Arc<dyn Dumps>);
        call(&launched, "ask", vec![text("! is the key")]).unwrap_err();
        let kept = kept.0.lock().unwrap();
        let [(path, trap, dump)] = &kept[..] else { panic!("{} dumps", kept.len()) };
        assert_eq!((&**path, trap), ("/shop/store", &Trap::Unreachable));
        let read = read(dump);
        assert_eq!((read.frames.len(), read.module_of(0), read.frames[0].funcidx), (1, "m", 1));
        assert_eq!(read.globals, [1024 + 12, 1]);
        assert_eq!(read.bytes(0, 1024, 12), b"! is the key");
    }
}

#[test]
fn who_cannot_be_written_to_gets_its_error_back() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let error = launched.dump(process(&launched, "store"), SOON, &mut Full).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "full");
    call(&launched, "ask", vec![text("k1")]).unwrap();
}
