//! Functions as traits, and their registration by name.

use wit_parser::{Function, FunctionKind, Interface, Type, TypeDefKind, TypeId};

use super::World;
use super::casing::{camel, snake};
use super::names::{self, Scope};
use super::source::Source;

/// Writes the traits of an interface and its `register`.
pub fn interface(scope: &Scope<'_>, name: &str, out: &mut Source) -> Result<(), String> {
    let interface = &scope.world.resolve.interfaces[scope.interface];
    let resources: Vec<(&String, TypeId)> = own_resources(scope, interface).collect();
    for (label, id) in &resources {
        out.line(&format!("/// What a server does for `{name}.{label}`."));
        out.line(&format!("pub trait {} {{", trait_of(label)));
        for function in functions(interface, Some(*id)) {
            method(scope, name, function, out)?;
        }
        out.line("/// The guest gave up what it owned.");
        out.line("///");
        out.line("/// # Errors");
        out.line("/// A trap ends the guest's call.");
        out.line(&format!(
            "fn dropped(&mut self, this: typed::Own<{}>) -> Result<(), fault::Trap>;",
            camel(label)
        ));
        out.line("}");
    }
    let supertraits: Vec<String> = resources.iter().map(|(label, _)| trait_of(label)).collect();
    let bounds =
        if supertraits.is_empty() { String::new() } else { format!(": {}", supertraits.join(" + ")) };
    out.line(&format!("/// What a server does for `{name}`."));
    out.line(&format!("pub trait Host{bounds} {{"));
    for function in functions(interface, None) {
        method(scope, name, function, out)?;
    }
    out.line("}");
    register(scope, name, interface, out)
}

/// Resources that the interface defines itself.
fn own_resources<'w>(
    scope: &Scope<'w>,
    interface: &'w Interface,
) -> impl Iterator<Item = (&'w String, TypeId)> {
    let types = &scope.world.resolve.types;
    let all = interface.types.iter().map(|(label, id)| (label, *id));
    all.filter(|(_, id)| matches!(types[*id].kind, TypeDefKind::Resource))
}

fn functions(interface: &Interface, resource: Option<TypeId>) -> impl Iterator<Item = &Function> {
    interface.functions.values().filter(move |function| function.kind.resource() == resource)
}

fn trait_of(resource: &str) -> String {
    format!("Host{}", camel(resource))
}

/// The Rust name of a function within its trait: without `get-`, as getters are named in Rust, unless another has that
/// name.
fn rust_name(interface: &Interface, function: &Function) -> String {
    let name = function.item_name();
    let is_taken =
        |short: &str| functions(interface, function.kind.resource()).any(|other| other.item_name() == short);
    match (&function.kind, name.strip_prefix("get-")) {
        (FunctionKind::Constructor(_), _) => "construct".to_owned(),
        (_, Some(short)) if !is_taken(short) => snake(short),
        _ => snake(name),
    }
}

fn method(scope: &Scope<'_>, name: &str, function: &Function, out: &mut Source) -> Result<(), String> {
    if function.kind.is_async() {
        return Err(format!("`{}`: async functions are not supported", function.name));
    }
    let mut params = String::new();
    for param in &function.params {
        let ty = scope.rust(&param.ty).map_err(|error| format!("{}: {error}", function.name))?;
        params += &format!(", {}: {ty}", snake(&param.name));
    }
    let result = scope.rust_or_unit(function.result.as_ref());
    let result = result.map_err(|error| format!("{}: {error}", function.name))?;
    out.docs(&function.docs, &format!("`{}`", function.name));
    out.line("///");
    out.line("/// # Errors");
    out.line("/// A trap ends the guest's call.");
    let interface = &scope.world.resolve.interfaces[scope.interface];
    let rust = rust_name(interface, function);
    let (receiver, bound) = match waits(scope, name, function) {
        true => ("turn: &mut servers::turn::Turn<'_, Self>", " where Self: servers::bind::State + Sized"),
        false => ("&mut self", ""),
    };
    let signature = format!("fn {rust}({receiver}{params}) -> Result<{result}, fault::Trap>{bound}");
    if !scope.world.options.refused.iter().any(|prefix| name.starts_with(prefix)) {
        out.line(&format!("{signature};"));
        return Ok(());
    }
    out.line(&format!("{signature} {{"));
    out.line(&match refusal(scope, function.result.as_ref())? {
        Some(error) => format!("Ok(Err({error}))"),
        None => format!("Err(fault::Trap::Unsupported(\"{name}#{}\"))", function.name),
    });
    out.line("}");
    Ok(())
}

/// Whether a function may wait.
fn waits(scope: &Scope<'_>, interface: &str, function: &Function) -> bool {
    let unversioned = interface.split('@').next().unwrap_or(interface);
    let is_it = |path: &&str| path.split_once('#') == Some((unversioned, &function.name));
    scope.world.options.waiting.iter().any(is_it)
}

/// The error value that refuses a call, if the result can hold it.
fn refusal(scope: &Scope<'_>, result: Option<&Type>) -> Result<Option<String>, String> {
    let types = &scope.world.resolve.types;
    let Some(Type::Id(result)) = result else { return Ok(None) };
    let TypeDefKind::Result(result) = &types[scope.resolved(*result)].kind else { return Ok(None) };
    let Some(Type::Id(error)) = result.err else { return Ok(None) };
    let case = scope.world.options.refusal;
    let has_case = match &types[scope.resolved(error)].kind {
        TypeDefKind::Enum(cases) => cases.cases.iter().any(|it| it.name == case),
        TypeDefKind::Variant(cases) => cases.cases.iter().any(|it| it.name == case && it.ty.is_none()),
        _ => false,
    };
    Ok(if has_case { Some(format!("{}::{}", scope.rust_of(error)?, camel(case))) } else { None })
}

fn register(scope: &Scope<'_>, name: &str, interface: &Interface, out: &mut Source) -> Result<(), String> {
    out.line(&format!("/// Offers `{name}` to guests."));
    out.line(&format!("pub fn register<S: {}World>(imports: &mut host::Imports) {{", scope.root()));
    out.line("let mut instance = servers::bind::Instance::default();");
    for (label, id) in &interface.types {
        let resource = scope.resolved(*id);
        if !matches!(scope.world.resolve.types[resource].kind, TypeDefKind::Resource) {
            continue;
        }
        let ty = scope.rust_of(resource)?;
        let owner = ty.rsplit_once("::").map_or(String::new(), |(module, _)| format!("{module}::"));
        let name = scope.world.resolve.types[resource].name.as_deref().expect("a resource has a name");
        let served = format!("<S as {owner}{}>::dropped", trait_of(name));
        out.line(&format!("instance.resource::<S, {ty}>(\"{label}\", {served});"));
    }
    for function in interface.functions.values() {
        let served = match function.kind.resource() {
            None => "Host".to_owned(),
            Some(id) => {
                trait_of(scope.world.resolve.types[id].name.as_deref().expect("a resource has a name"))
            }
        };
        let params: String =
            function.params.iter().map(|param| format!("{}, ", snake(&param.name))).collect();
        let pattern = if params.is_empty() { "()".to_owned() } else { format!("({})", params.trim_end()) };
        let labels: Vec<_> = function.params.iter().map(|param| format!("\"{}\"", param.name)).collect();
        let (register, receiver) = match waits(scope, name, function) {
            true => ("waiting_func", "turn: &mut servers::turn::Turn<'_, S>"),
            false => ("func", "state: &mut S"),
        };
        out.line(&format!(
            "instance.{register}(\"{name}\", \"{}\", &[{}], |{receiver}, {pattern}| {{",
            function.name,
            labels.join(", ")
        ));
        let given = receiver.split(':').next().unwrap_or_default();
        out.line(&format!(
            "<S as {served}>::{}({given}, {})",
            rust_name(interface, function),
            params.trim_end().trim_end_matches(',')
        ));
        out.line("});");
    }
    out.line(&format!("imports.names.insert(\"{name}\".into(), instance.finish());"));
    out.line("}");
    Ok(())
}

/// Writes what joins the interfaces: one trait for all servers, one function that offers them all.
pub fn world(world: &World<'_>, out: &mut Source) {
    let modules: Vec<String> = world
        .interfaces
        .iter()
        .map(|(id, name)| names::module(world.resolve, *id, name).join("::"))
        .collect();
    let bounds: Vec<String> = modules.iter().map(|module| format!("{module}::Host")).collect();
    let bounds = format!("servers::bind::State + {}", bounds.join(" + "));
    out.line("/// A server of every interface.");
    out.line(&format!("pub trait World: {bounds} {{}}"));
    out.line(&format!("impl<S: {bounds}> World for S {{}}"));
    out.line("/// Offers every interface to guests; calls are served by the state of type `S` that a tree is launched with.");
    out.line("pub fn register<S: World>(imports: &mut host::Imports) {");
    out.lines(modules.iter().map(|module| format!("{module}::register::<S>(imports);")));
    out.line("}");
}
