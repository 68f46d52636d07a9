//! What another OS process needs to link the same tree: the component with its code, the options, and the names that the
//! host offers, without what is behind them.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, OnceLock};

use abi::types::ResourceType;
use abi::wire::{Cursor, Piece, WireError};
use abi::wire_fields;

use crate::component::options::{EdgeRule, Isolate, LinkOptions};
use crate::component::packed;
use crate::component::port::{EdgePolicy, OnFault};
use crate::host::{DropResource, HostFunc, HostResource, Import, Imports};
use crate::jit::engine::Engine;
use crate::jit::library::Library;
use crate::limits::MAX_NESTED_INSTANCES;
use crate::mem::shared::sealed_file;
use crate::quota::{DomainQuota, Quota};

/// How a tree was linked.
pub(crate) struct Blueprint {
    engine: Engine,
    component: Arc<[u8]>,
    libraries: Vec<Arc<Library>>,
    pub options: LinkOptions,
    /// Names that the host offers, as [`Offers`] reads them.
    pub offers: Vec<u8>,
    image: OnceLock<Result<Arc<File>, String>>,
}

impl Blueprint {
    pub fn new(
        engine: &Engine,
        component: &Arc<[u8]>,
        libraries: &[Arc<Library>],
        offers: &Imports,
        options: &LinkOptions,
    ) -> Blueprint {
        let mut names = Vec::new();
        offers.stand_in.is_some().put(&mut names);
        put_offers(engine, &offers.names, &mut names);
        Blueprint {
            engine: engine.clone(),
            component: Arc::clone(component),
            libraries: libraries.to_vec(),
            options: options.clone(),
            offers: names,
            image: OnceLock::new(),
        }
    }

    /// The executable as a file that nobody can change; made once.
    ///
    /// # Errors
    /// Its code is of this run only, or there is no room.
    pub fn image(&self) -> Result<Arc<File>, String> {
        let made = self.image.get_or_init(|| {
            if self.libraries.iter().any(|library| library.is_watched()) {
                return Err("code that is watched runs in this process only".to_owned());
            }
            let bytes = packed::write(&self.engine, &self.component, &self.libraries);
            sealed_file(c"atoll-executable", &bytes).map(Arc::new).map_err(|error| error.to_string())
        });
        made.clone()
    }
}

const FUNC: u8 = 0;
const INSTANCE: u8 = 1;
const RESOURCE: u8 = 2;
const MODULE: u8 = 3;

fn put_offers(engine: &Engine, names: &BTreeMap<String, Import>, out: &mut Vec<u8>) {
    (names.len() as u32).put(out);
    for (name, import) in names {
        name.put(out);
        match import {
            Import::Func(_) => out.push(FUNC),
            Import::Instance(inner) => {
                out.push(INSTANCE);
                put_offers(engine, &inner.names, out);
            }
            Import::Resource(resource) => {
                out.push(RESOURCE);
                resource.ty.put(out);
                resource.drop.is_some().put(out);
            }
            Import::Module(library) => {
                out.push(MODULE);
                let bytes = library.to_bytes(engine);
                (bytes.len() as u64).put(out);
                out.extend(bytes);
            }
        }
    }
}

/// What stands for what the host offers where that is not.
pub(super) struct Offers<'o> {
    pub engine: &'o Engine,
    /// For every function.
    pub func: Arc<dyn HostFunc>,
    /// For dropping a resource of a type.
    pub drop: &'o dyn Fn(ResourceType) -> Arc<DropResource>,
}

impl Offers<'_> {
    /// Reads what [`Blueprint::new`] wrote.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn read(&self, bytes: &[u8]) -> Result<Imports, WireError> {
        let mut from = Cursor::new(bytes);
        let stands_in = bool::take(&mut from)?;
        let names = self.names(&mut from, 0)?;
        let func = Arc::clone(&self.func);
        let stand_in = move |_: &str| Arc::clone(&func);
        Ok(Imports { names, stand_in: stands_in.then(|| Arc::new(stand_in) as _) })
    }

    fn names(&self, from: &mut Cursor<'_>, depth: usize) -> Result<BTreeMap<String, Import>, WireError> {
        if depth > MAX_NESTED_INSTANCES {
            return Err(from.wrong("instances nested as deep as they may", "deeper ones"));
        }
        let count = u32::take(from)?;
        let mut names = BTreeMap::new();
        for _ in 0..count {
            let name = String::take(from)?;
            let import = match u8::take(from)? {
                FUNC => Import::Func(Arc::clone(&self.func)),
                INSTANCE => Import::Instance(Imports { names: self.names(from, depth + 1)?, stand_in: None }),
                RESOURCE => {
                    let ty = ResourceType::take(from)?;
                    let drop = bool::take(from)?.then(|| (self.drop)(ty));
                    Import::Resource(HostResource { ty, drop })
                }
                MODULE => {
                    let len = usize::try_from(u64::take(from)?).unwrap_or(usize::MAX);
                    let library = self.engine.load(from.take(len, "a library")?);
                    Import::Module(library.map_err(|error| from.wrong("a library", error.to_string()))?)
                }
                other => return Err(from.wrong("something that a host offers", format!("{other}"))),
            };
            names.insert(name, import);
        }
        Ok(names)
    }
}

impl Piece for OnFault {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            OnFault::Trap => out.push(0),
            OnFault::Error => out.push(1),
            OnFault::Retry(times) => {
                out.push(2);
                times.put(out);
            }
        }
    }
    fn take(from: &mut Cursor<'_>) -> Result<OnFault, WireError> {
        Ok(match u8::take(from)? {
            0 => OnFault::Trap,
            1 => OnFault::Error,
            2 => OnFault::Retry(Piece::take(from)?),
            other => return Err(from.wrong("what is done on a fault", format!("{other}"))),
        })
    }
}

impl Piece for Isolate {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Isolate::Nothing => out.push(0),
            Isolate::All => out.push(1),
            Isolate::Named(names) => {
                out.push(2);
                names.put(out);
            }
            Isolate::Grouped(groups) => {
                out.push(3);
                (groups.len() as u32).put(out);
                for (path, group) in groups {
                    path.put(out);
                    group.put(out);
                }
            }
        }
    }
    fn take(from: &mut Cursor<'_>) -> Result<Isolate, WireError> {
        Ok(match u8::take(from)? {
            0 => Isolate::Nothing,
            1 => Isolate::All,
            2 => Isolate::Named(Piece::take(from)?),
            3 => Isolate::Grouped(Vec::take(from)?.into_iter().collect()),
            other => return Err(from.wrong("who is isolated", format!("{other}"))),
        })
    }
}

wire_fields! {
    EdgePolicy { on_fault, deadline_ns }
    EdgeRule { caller, callee, policy }
    LinkOptions { name, missing_is_fault, isolate, edge, edges }
    Quota { memory_bytes, table_elements, handles, stack_bytes }
    DomainQuota { memory_bytes, table_elements }
}
