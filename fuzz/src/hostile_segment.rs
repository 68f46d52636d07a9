//! The process of a domain, in the hands of a guest: it writes what it likes to the segment, whenever it likes, and says
//! what it likes in frames that are well formed.
//!
//! Our side must come back from every wait, with a value or a fault, and read nothing that is outside.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use abi::types::ResourceType;
use abi::value::{Resource, Value};
use ipc::segment::line::SEGMENT_BYTES;
use ipc::segment::ring::{Pause, Receiver, Sender, WHOLE};
use kernel::component::apart::{Apart, ApartDomain, Cut, Line, Needs, Starter};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::{Export, Linked};
use kernel::component::tree::Tree;
use kernel::host::{HostCall, HostResource, Import, Imports, OverValues};
use kernel::jit::engine::Engine;
use kernel::mem::shared::SharedMemory;
use kernel::quota::Quotas;

/// Looks at memory that a peer scribbles over, and at frames that it makes up.
pub fn check(data: &[u8]) {
    scribbled(data);
    told(data);
}

/// Where a ring has its words, and a few places more.
const PLACES: [usize; 8] = [0, 4, 64, 68, 128, 132, WHOLE - 8, 1000];

/// A peer that does the next thing whenever it is waited for, and goes away when there is none.
struct Scribbler<'d> {
    memory: Arc<SharedMemory>,
    data: &'d [u8],
    /// The ends that an honest peer has.
    sender: Sender,
    receiver: Receiver,
}

/// Waits for nobody.
struct Never;

impl Pause for Never {
    fn wait(&mut self, _: &AtomicU32, _: &AtomicU32, _: u32, _: bool) -> Result<(), Cut> {
        Err(Cut::Late)
    }
    fn wake(&self, _: &AtomicU32) {}
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk::<N>()?;
    *data = rest;
    Some(*taken)
}

impl Scribbler<'_> {
    fn act(&mut self) -> Option<()> {
        let [what] = take(&mut self.data)?;
        let base = if what & 1 == 0 { 0 } else { WHOLE };
        let place = PLACES[usize::from(what >> 1) % PLACES.len()];
        match what >> 4 {
            // A word, an index perhaps: anything, or a little more than there is.
            0..=3 => self
                .memory
                .word(base + place)
                .store(u32::from_le_bytes(take(&mut self.data)?), Ordering::SeqCst),
            4..=7 => {
                let [more] = take(&mut self.data)?;
                self.memory.word(base + place).fetch_add(more.into(), Ordering::SeqCst);
            }
            8..=10 => {
                let bytes = take::<8>(&mut self.data)?;
                self.memory.copy_in(base + place, &bytes);
            }
            11 => {
                let _ = self.receiver.receive(&mut Vec::new(), &mut Never);
            }
            _ => {
                let [len] = take(&mut self.data)?;
                let len = usize::from(len).min(self.data.len());
                let (frame, rest) = self.data.split_at(len);
                self.data = rest;
                let _ = self.sender.send([frame, &[]], &mut Never);
            }
        }
        Some(())
    }
}

impl Pause for Scribbler<'_> {
    fn wait(&mut self, _: &AtomicU32, _: &AtomicU32, _: u32, _: bool) -> Result<(), Cut> {
        self.act().ok_or(Cut::Late)
    }
    fn wake(&self, _: &AtomicU32) {}
}

fn scribbled(data: &[u8]) {
    let memory = Arc::new(SharedMemory::create(SEGMENT_BYTES).expect("there is room for a segment"));
    let mut sender = Sender::new(Arc::clone(&memory), 0);
    let mut receiver = Receiver::new(Arc::clone(&memory), WHOLE);
    let mut peer = Scribbler {
        sender: Sender::new(Arc::clone(&memory), WHOLE),
        receiver: Receiver::new(Arc::clone(&memory), 0),
        memory,
        data,
    };
    let mut frame = Vec::new();
    // Every turn the peer does something, or the ring is broken, or it is read on.
    for turn in 0..=data.len() {
        let _ = peer.act();
        let sent = sender.send([&[], &vec![turn as u8; turn * 997 % 5000]], &mut peer);
        if sent.and_then(|()| receiver.receive(&mut frame, &mut peer)).is_err() {
            break;
        }
    }
}

/// A depot that is apart, with every kind of thing between it and others.
const TOWN: &str = r#"
(component
  (import "host" (instance $host
    (export "token" (type $token (sub resource)))
    (export "open" (func (param "n" u32) (result (own $token))))
    (export "read" (func (param "self" (borrow $token)) (param "text" string) (result (list u8))))))
  (alias export $host "token" (type $token))
  (alias export $host "open" (func $open))
  (alias export $host "read" (func $read))
  (component $Bank
    (core module $m (func (export "dtor") (param i32)) (func (export "id") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    (type $counter (resource (rep i32) (dtor (core func $i "dtor"))))
    (core func $new (canon resource.new $counter))
    (core module $n (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
    (core instance $j (instantiate $n (with "" (instance (export "new" (func $new))))))
    (export $c "counter" (type $counter))
    (func (export "make") (param "n" u32) (result (own $c)) (canon lift (core func $j "make")))
    (func (export "get") (param "self" (borrow $c)) (result u32) (canon lift (core func $i "id"))))
  (instance $bank (instantiate $Bank))
  (alias export $bank "counter" (type $counter))
  (component $Depot
    (import "token" (type $token (sub resource)))
    (import "open" (func $open (param "n" u32) (result (own $token))))
    (import "read" (func $read (param "self" (borrow $token)) (param "text" string) (result (list u8))))
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "n" u32) (result (own $counter))))
    (import "get" (func $get (param "self" (borrow $counter)) (result u32)))
    (core module $m
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "f") (param i32 i32 i32) (result i32) (i32.const 16))
      (func (export "g") (param i32)))
    (core instance $i (instantiate $m))
    (core func (canon lower (func $open)))
    (core func (canon lower (func $read) (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
    (core func (canon lower (func $make)))
    (core func (canon lower (func $get)))
    (func (export "mix") (param "token" (own $token)) (param "text" string) (result (list (option string)))
      (canon lift (core func $i "f") (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
    (func (export "lend") (param "token" (borrow $token)) (canon lift (core func $i "g"))))
  (instance $depot (instantiate $Depot (with "token" (type $token)) (with "open" (func $open)) (with "read" (func $read))
    (with "counter" (type $counter)) (with "make" (func $bank "make")) (with "get" (func $bank "get"))))
  (export "depot" (instance $depot)))
"#;

const TOKEN: ResourceType = ResourceType::host(1);

/// A host function that gives a token, or a few bytes to who brings one and a text.
fn host_func(rep: u32) -> Import {
    Import::Func(Arc::new(OverValues(move |_: &mut dyn HostCall, args: Vec<Value>| {
        Ok(Some(match args.len() {
            1 => Value::Own(Resource { ty: TOKEN, rep, generation: 0 }),
            _ => Value::List(vec![Value::U8(1), Value::U8(2)]),
        }))
    })))
}

static LINKED: LazyLock<(Engine, Arc<Linked>)> = LazyLock::new(|| {
    let engine = Engine::new().expect("there is a compiler for this machine");
    let bytes = wat::parse_str(TOWN).expect("the town is well formed");
    let executable = Executable::parse(&engine, &bytes).expect("the town is valid");
    let mut host = Imports::default();
    let drop = |_: &mut (dyn Any + Send), _: u32| Ok(());
    host.names
        .insert("token".into(), Import::Resource(HostResource { ty: TOKEN, drop: Some(Arc::new(drop)) }));
    host.names.insert("open".into(), host_func(5));
    host.names.insert("read".into(), host_func(6));
    let mut imports = Imports::default();
    imports.names.insert("host".into(), Import::Instance(host));
    let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("town") };
    let linked = executable.link(&imports, &options).expect("the town links");
    (engine, Arc::new(linked))
});

/// Says what is in the data, frame by frame.
#[derive(Debug)]
struct Teller {
    frames: std::vec::IntoIter<Vec<u8>>,
    /// How often it says first that what it was asked for is done.
    honest: usize,
}

impl Line for Teller {
    fn send(&mut self, _: &[u8], _: &[u8]) -> Result<(), Cut> {
        Ok(())
    }
    fn receive(&mut self, frame: &mut Vec<u8>) -> Result<(), Cut> {
        // Done, no news, no handles.
        const DONE: [u8; 7] = [0, 0, 0, 0, 0, 0, 0];
        if self.honest > 0 {
            self.honest -= 1;
            *frame = DONE.to_vec();
            return Ok(());
        }
        *frame = self.frames.next().ok_or(Cut::Late)?;
        Ok(())
    }
}

struct Tellers(Vec<Vec<u8>>, usize);

impl Starter for Tellers {
    fn start(&self, _: &Needs) -> Result<Box<dyn Line>, String> {
        Ok(Box::new(Teller { frames: self.0.clone().into_iter(), honest: self.1 }))
    }
}

fn told(data: &[u8]) {
    let (engine, linked) = &*LINKED;
    let mut rest = data;
    // The first byte says whether it lies from the beginning on.
    let [first] = take(&mut rest).unwrap_or([0]);
    let mut frames = Vec::new();
    while let Some([len]) = take(&mut rest) {
        let (frame, later) = rest.split_at(usize::from(len).min(rest.len()));
        frames.push(frame.to_vec());
        rest = later;
    }
    let depot = linked.processes().iter().find(|process| process.name == "depot");
    let number = depot.expect("it is in the town").place.domain;
    let honest = if first % 8 == 0 { usize::from(first / 8) } else { 1000 };
    let steps = 1 + linked.steps_of(number);
    let starter = Arc::new(Tellers(frames, honest.min(steps)));
    let apart = Apart::new(vec![ApartDomain { number, call_ns: None }], starter);
    let launched = Tree::launch_apart(engine, Arc::clone(linked), Box::new(()), &Quotas::default(), apart);
    let Ok(mut tree) = launched else { return };
    let token = |rep| Resource { ty: TOKEN, rep, generation: 0 };
    for turn in 0..4 {
        let (name, args) = match turn % 2 {
            0 => ("mix", vec![Value::Own(token(turn)), Value::String("x".into())]),
            _ => ("lend", vec![Value::Borrow(token(turn))]),
        };
        let Some(Export::Func(func)) = tree.export(&["depot", name]).cloned() else { return };
        if let Ok(Some(value)) = tree.call(&func, &args) {
            assert!(func.ty.result.as_ref().is_some_and(|ty| value.is(ty)), "{value:?}");
        }
    }
    let _ = (tree.processes(), tree.faults());
}
