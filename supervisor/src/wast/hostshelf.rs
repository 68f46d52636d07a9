//! What a component of a script may import from the host: the root functions and the instance `host` that Wasmtime's
//! own scripts use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::fault::Trap;
use abi::types::{FuncType, ResourceType, ValType};
use abi::value::{Resource, Value};
use kernel::host::{HostCall, HostFunc, HostResource, Import, Imports, serve_values};
use kernel::jit::engine::Engine;

const RESOURCE_1: ResourceType = ResourceType::host(0);
const RESOURCE_2: ResourceType = ResourceType::host(1);

/// How many resource types there are here.
pub(super) const TYPES: u32 = 2;

/// The core module that `host` exports.
const SIMPLE_MODULE: &str = r#"(module
    (global (export "g") i32 i32.const 100)
    (func (export "f") (result i32) i32.const 101))"#;

/// What became of the resources of type `resource1`.
#[derive(Default)]
struct Drops {
    count: AtomicU32,
    last: AtomicU32,
}

/// A function of the host's: its type, and what it makes of its arguments.
struct Shelved<F> {
    ty: FuncType,
    serve: F,
}

/// Everything that a script's components may import, or why it cannot be made.
pub(super) fn imports(engine: &Engine) -> Result<Imports, String> {
    let mut root = Imports::default();
    put(&mut root, "host-echo-u32", asynchronous(func(&[ValType::U32], Some(ValType::U32))), |args| {
        Ok(args.first().cloned())
    });
    put(&mut root, "host-return-two", func(&[], Some(ValType::U32)), |_| Ok(Some(Value::U32(2))));
    let mut host = Imports::default();
    put(&mut host, "return-three", func(&[], Some(ValType::U32)), |_| Ok(Some(Value::U32(3))));
    put(&mut host, "return-hi", func(&[], Some(ValType::String)), |_| Ok(Some(Value::String("hi".into()))));
    let mut nested = Imports::default();
    put(&mut nested, "return-four", func(&[], Some(ValType::U32)), |_| Ok(Some(Value::U32(4))));
    host.names.insert("nested".to_owned(), Import::Instance(nested));
    let module = wat::parse_str(SIMPLE_MODULE).map_err(|error| error.to_string())?;
    let library = engine.library(&module).map_err(|error| error.to_string())?;
    host.names.insert("simple-module".to_owned(), Import::Module(library));
    resources(&mut host);
    slow(&mut host);
    root.names.insert("host".to_owned(), Import::Instance(host));
    Ok(root)
}

fn resources(host: &mut Imports) {
    let drops = Arc::new(Drops::default());
    let count = Arc::clone(&drops);
    let resource = HostResource {
        ty: RESOURCE_1,
        drop: Some(Arc::new(move |_, rep| {
            count.count.fetch_add(1, Ordering::SeqCst);
            count.last.store(rep, Ordering::SeqCst);
            Ok(())
        })),
    };
    host.names.insert("resource1".to_owned(), Import::Resource(resource.clone()));
    host.names.insert("resource1-again".to_owned(), Import::Resource(resource));
    host.names.insert("resource2".to_owned(), Import::Resource(HostResource { ty: RESOURCE_2, drop: None }));
    let (own, borrow) = (ValType::Own(RESOURCE_1), ValType::Borrow(RESOURCE_1));
    put(host, "[constructor]resource1", func(&[ValType::U32], Some(own.clone())), |args| match args {
        [Value::U32(rep)] => Ok(Some(Value::Own(Resource { ty: RESOURCE_1, rep: *rep, generation: 0 }))),
        _ => Err(wrong()),
    });
    put(host, "[static]resource1.assert", func(&[own.clone(), ValType::U32], None), |args| match args {
        [Value::Own(resource), Value::U32(rep)] if resource.rep == *rep => Ok(None),
        _ => Err(wrong()),
    });
    put(host, "[method]resource1.simple", func(&[borrow.clone(), ValType::U32], None), |args| match args {
        [Value::Borrow(resource), Value::U32(rep)] if resource.rep == *rep => Ok(None),
        _ => Err(wrong()),
    });
    put(host, "[method]resource1.take-borrow", func(&[borrow.clone(), borrow.clone()], None), |_| Ok(None));
    put(host, "[method]resource1.take-own", func(&[borrow, own], None), |_| Ok(None));
    let last = Arc::clone(&drops);
    put(host, "[static]resource1.last-drop", func(&[], Some(ValType::U32)), move |_| {
        Ok(Some(Value::U32(last.last.load(Ordering::SeqCst))))
    });
    put(host, "[static]resource1.drops", func(&[], Some(ValType::U32)), move |_| {
        Ok(Some(Value::U32(drops.count.load(Ordering::SeqCst))))
    });
}

/// Functions that take their time. What never returns cannot be waited for here, so it traps.
fn slow(host: &mut Imports) {
    let never = |_: &[Value]| Err(Trap::Unsupported("a call that never returns"));
    put(host, "never-return", asynchronous(func(&[], None)), never);
    put(
        host,
        "[method]resource1.never-return",
        asynchronous(func(&[ValType::Borrow(RESOURCE_1)], None)),
        never,
    );
    put(host, "return-two-slowly", asynchronous(func(&[], Some(ValType::S32))), |_| Ok(Some(Value::S32(2))));
    put(host, "echo-slowly", asynchronous(func(&[ValType::U32], Some(ValType::U32))), |args| {
        Ok(args.first().cloned())
    });
}

fn put<F>(imports: &mut Imports, name: &str, ty: FuncType, serve: F)
where
    F: Fn(&[Value]) -> Result<Option<Value>, Trap> + Send + Sync + 'static,
{
    imports.names.insert(name.to_owned(), Import::Func(Arc::new(Shelved { ty, serve })));
}

fn func(params: &[ValType], result: Option<ValType>) -> FuncType {
    let label = |index: usize| format!("p{index}").into_boxed_str();
    let params = params.iter().enumerate().map(|(index, ty)| (label(index), ty.clone())).collect();
    FuncType { params, result, is_async: false }
}

fn asynchronous(ty: FuncType) -> FuncType {
    FuncType { is_async: true, ..ty }
}

fn wrong() -> Trap {
    Trap::Host("the host was given another resource than it expected".to_owned())
}

impl<F> HostFunc for Shelved<F>
where
    F: Fn(&[Value]) -> Result<Option<Value>, Trap> + Send + Sync,
{
    fn ty(&self) -> Option<&FuncType> {
        Some(&self.ty)
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        serve_values(call, |_, args| (self.serve)(&args))
    }
}
