//! A guest that calls everything with whatever: it may be refused or trapped, and nothing else may happen.

use std::fs;

use abi::fault::Trap;
use abi::side::Encoding;
use abi::typed::imported::MAX_CORE_PARAMS;
use kernel::host::{HostCall, Import, Imports};
use servers::{
    Buffer, Entropy, Input, LookupError, Network, Output, Resolver, SeededEntropy, SimulatedClock, Wasi,
};

use crate::fake_guest::FakeGuest;
use crate::folder::Folder;

const ROUNDS: usize = 40;
const CALLS: usize = 600;

fn next(source: &mut SeededEntropy) -> u64 {
    let mut bytes = [0; 8];
    source.fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// A core value: often one that names something, sometimes one at an edge.
fn value(source: &mut SeededEntropy, guest: &FakeGuest) -> u64 {
    let edges = [0, 1, 3, 7, 8, 4095, 4097, 65_535, u64::from(u32::MAX), 1 << 31, 1 << 32, u64::MAX];
    match next(source) % 8 {
        0..=2 => next(source) % guest.handles.len() as u64,
        3 => edges[next(source) as usize % edges.len()],
        4 => next(source) % guest.memory.len() as u64,
        5 => next(source) % 32,
        6 => (next(source) % 4096) * 8,
        _ => next(source),
    }
}

/// Knows no names.
struct Nobody;

impl Resolver for Nobody {
    fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, LookupError> {
        Err(LookupError::Unknown)
    }
}

/// All that a guest could do on this machine without disturbing others: ports that the system chooses.
fn network() -> Network {
    Network {
        listen: vec!["*:0".parse().unwrap()],
        udp_listen: vec!["*:0".parse().unwrap()],
        connect: vec!["127.0.0.1:1".parse().unwrap()],
        udp: vec!["127.0.0.1:1".parse().unwrap()],
        resolve: vec!["*".parse().unwrap()],
    }
}

#[test]
fn nothing_a_guest_passes_harms_the_host() {
    let folder = Folder::new();
    let (inside, outside) = (folder.path("in"), folder.path("out"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let mut imports = Imports::default();
    servers::register(&mut imports);
    let mut source = SeededEntropy::new(42);
    let mut outcomes = [0; 2];
    for _ in 0..ROUNDS {
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a"), vec![b'a'; 100]).unwrap();
        std::os::unix::fs::symlink("../out", inside.join("b")).unwrap();
        let builder = Wasi::builder().preopen(folder.grant("in", false)).preopen(folder.grant("out", true));
        let builder =
            builder.monotonic_clock(SimulatedClock::default()).stdin(Input::bytes(vec![b'a'; 1000]));
        let builder = builder.stdout(Output::buffer(&Buffer::default())).args(["a", "b"]).env("a", "b");
        let builder = builder.network(network()).resolver(Nobody);
        round(&imports, builder.build().unwrap(), &mut source, &mut outcomes);
        fs::remove_dir_all(&inside).unwrap();
    }
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    let both_happened = outcomes.iter().all(|count| *count > ROUNDS * CALLS / 20);
    assert!(both_happened, "{} calls went well, {} trapped", outcomes[0], outcomes[1]);
}

fn round(imports: &Imports, wasi: Wasi, source: &mut SeededEntropy, outcomes: &mut [usize; 2]) {
    let mut guest = FakeGuest::new(Encoding::Utf8, wasi);
    // Names of files, and small numbers that are pointers, lengths and discriminants.
    let pattern =
        [b"a\0\0\0".as_slice(), b"b/secret", b"..\0\0", &1u32.to_le_bytes(), &16u32.to_le_bytes()].concat();
    for (index, byte) in guest.memory.iter_mut().enumerate() {
        *byte = pattern[index % pattern.len()];
    }
    let instances: Vec<&Import> = imports.names.values().collect();
    for _ in 0..CALLS {
        let Import::Instance(instance) = instances[next(source) as usize % instances.len()] else { continue };
        let (name, import) = instance.names.iter().nth(next(source) as usize % instance.names.len()).unwrap();
        let outcome = match import {
            Import::Func(func) => {
                let core: Vec<u64> = (0..MAX_CORE_PARAMS).map(|_| value(source, &guest)).collect();
                guest.call_core(&**func, &core).map(drop)
            }
            Import::Resource(resource) => {
                // The kernel drops what the guest owns, and nothing else.
                let owned = |entry: &Option<_>| entry.is_some_and(|(ty, _)| ty == resource.ty);
                let Some(index) = guest.handles.iter().position(owned) else { continue };
                let (_, rep) = guest.handles[index].take().unwrap();
                resource.drop.as_ref().unwrap()(guest.state(), rep)
            }
            _ => continue,
        };
        match outcome {
            Ok(()) => outcomes[0] += 1,
            Err(Trap::Host(text)) => assert!(!text.contains("representation"), "{name}: {text}"),
            Err(_) => outcomes[1] += 1,
        }
    }
}
