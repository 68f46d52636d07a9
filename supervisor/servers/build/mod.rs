//! The generator of host bindings: a WIT world in, Rust out.
//!
//! For each interface that the world imports there is a module with a Rust type for each WIT type
//! ([`abi::typed::Typed`](../../../abi/src/typed/mod.rs)), a trait for its functions, one for those of each of its
//! resources, and `register`, which offers them to guests by name. What a type's values look like in memory is not
//! known here: generated code names fields and cases in order, `abi::typed` does the rest.
//!
//! Shared with the tests, which compare what it generates with files.
//!
//! - [`casing`]: WIT names as Rust names
//! - [`source`]: lines of code
//! - [`names`]: how one module refers to the types of another
//! - [`define`]: WIT types as Rust types
//! - [`serve`]: functions as traits, and their registration

mod casing;
mod define;
mod names;
mod serve;
mod source;

use std::collections::BTreeMap;

use wit_parser::{InterfaceId, Resolve, TypeDefKind, TypeId, WorldId, WorldItem};

use names::Scope;
use source::Source;

/// What the WIT does not say.
pub struct Options<'o> {
    /// Prefixes of interfaces whose functions have a default: to refuse.
    pub refused: &'o [&'o str],
    /// The case of a function's error that says so; a function without one traps.
    pub refusal: &'o str,
    /// Functions that may wait, as `interface#function` without the interface's version: their servers get the state as
    /// a turn that they can end.
    pub waiting: &'o [&'o str],
    /// The number of the first resource type; the others follow in the order of their names.
    pub first_resource: u32,
}

/// Everything that is the same for all interfaces.
struct World<'w> {
    resolve: &'w Resolve,
    options: &'w Options<'w>,
    /// Imported interfaces in the order of the world, with the names they are imported by.
    interfaces: Vec<(InterfaceId, String)>,
    /// Numbers of the resource types.
    resources: BTreeMap<TypeId, u32>,
}

/// Generates the bindings of what `world` imports.
///
/// # Errors
/// Something in the world that a host cannot serve yet; the text names it.
pub fn generate(resolve: &Resolve, world: WorldId, options: &Options<'_>) -> Result<String, String> {
    let mut interfaces = Vec::new();
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => interfaces.push((*id, name)),
            WorldItem::Function(_) => {
                return Err(format!("`{name}`: functions directly in a world are not supported"));
            }
            WorldItem::Type { .. } => {
                return Err(format!("`{name}`: types directly in a world are not supported"));
            }
        }
    }
    let resources = number_resources(resolve, &interfaces, options.first_resource);
    let world = World { resolve, options, interfaces, resources };
    let mut out = Source::default();
    out.line("use ::kernel::host;");
    modules(&world, &mut out)?;
    serve::world(&world, &mut out);
    Ok(out.finish())
}

/// Sorted by name, so that a number does not change when an unrelated interface is added to the world.
fn number_resources(
    resolve: &Resolve,
    interfaces: &[(InterfaceId, String)],
    first: u32,
) -> BTreeMap<TypeId, u32> {
    let mut named = BTreeMap::new();
    for (interface, name) in interfaces {
        for (label, ty) in &resolve.interfaces[*interface].types {
            if matches!(resolve.types[*ty].kind, TypeDefKind::Resource) {
                named.insert((name, label), *ty);
            }
        }
    }
    named.into_values().zip(first..).collect()
}

/// One module an interface, inside modules for its namespace and package.
fn modules(world: &World<'_>, out: &mut Source) -> Result<(), String> {
    let mut tree: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for (index, (interface, name)) in world.interfaces.iter().enumerate() {
        tree.insert(names::module(world.resolve, *interface, name), index);
    }
    let mut open: Vec<String> = Vec::new();
    for (path, index) in &tree {
        let (_, parents) = path.split_last().expect("a module has a name");
        let common = open.iter().zip(parents).take_while(|(a, b)| a == b).count();
        while open.len() > common {
            open.pop();
            out.line("}");
        }
        for parent in &parents[common..] {
            out.line(&format!("/// `{parent}`"));
            out.line(&format!("pub mod {parent} {{"));
            open.push(parent.clone());
        }
        interface(world, *index, path, out)?;
    }
    for _ in open {
        out.line("}");
    }
    Ok(())
}

fn interface(world: &World<'_>, index: usize, path: &[String], out: &mut Source) -> Result<(), String> {
    let (id, name) = &world.interfaces[index];
    let scope = Scope { world, interface: *id, path };
    let interface = &world.resolve.interfaces[*id];
    out.docs(&interface.docs, &format!("`{name}`"));
    out.line(
        "#[allow(unused_imports, unused_variables, reason = \"not every type needs all that is at hand\")]",
    );
    out.line(&format!("pub mod {} {{", path.last().expect("a module has a name")));
    out.line("use ::{abi::{fault, layout, side, typed, types}, kernel::host};");
    for (label, ty) in &interface.types {
        define::ty(&scope, label, *ty, out).map_err(|error| format!("{name}.{label}: {error}"))?;
    }
    serve::interface(&scope, name, out).map_err(|error| format!("{name}: {error}"))?;
    out.line("}");
    Ok(())
}
