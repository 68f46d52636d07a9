//! `atoll route`: each import of a process, who provides it, over what, and why or why not.

use std::path::Path;

use abi::control::request::Request;
use abi::control::response::Response;
use abi::control::routing::{RouteRow, Routes};
use ipc::system::Place;
use kernel::component::link::LinkOptions;
use kernel::component::linked::Linked;
use servers::{Origin, Output, Wasi};

use super::columns::harmless;
use super::listing::Running;
use super::watchargs::Route;
use crate::complaint::Complaint;
use crate::console::{Trouble, print, tree_name};
use crate::control::dialing::{PROMPT, unexpected};
use crate::control::routes::routes;
use crate::exit_code::Exit;
use crate::jsontext::json;
use crate::launch;
use crate::manifest::combining::is_within;
use crate::manifest::{Loaded, Printed, Unserved};
use crate::paint::{Paint, Role};
use crate::program::Program;

/// Prints them.
///
/// # Errors
/// There is no such file or process, or it has no such import.
pub fn route(args: &Route, paint: Paint) -> Result<Exit, Trouble> {
    let is_file = Path::new(&args.name).is_file();
    let mut found = match (is_file, Path::new(&args.name).extension()) {
        (false, _) => vec![of_process(&args.name)?],
        (true, Some(extension)) if extension == "toml" => of_manifest(Path::new(&args.name))?,
        (true, _) => of_file(&args.name)?,
    };
    if let Some(wanted) = &args.import {
        for routes in &mut found {
            routes.imports.retain(|row| row.import.contains(wanted.as_str()));
        }
        found.retain(|routes| !routes.imports.is_empty());
        if found.is_empty() {
            let what = format!("`{}` imports nothing that is called `{wanted}`", args.name);
            let advice = format!("`atoll route {}` lists all", args.name);
            return Err(Complaint::new(Exit::NotFound, what).advise(advice).into());
        }
    }
    if is_file && !args.json {
        // Who only passes on what it gets has nothing to say.
        found.retain(|routes| !routes.imports.is_empty());
    }
    print(&if args.json { json(&found) } else { render(&found, paint) })
}

fn of_process(name: &str) -> Result<Routes, Complaint> {
    let (tree, process, mut line) = Running::of_user().process(name)?;
    match line.ask(&Request::Route { path: tree.processes[process].path.clone() }, PROMPT)? {
        Response::Routes(routes) => Ok(routes),
        other => Err(unexpected(&other)),
    }
}

/// Those of a component, as `atoll run` without options would have them.
fn of_file(file: &str) -> Result<Vec<Routes>, Complaint> {
    let source = Program::read(Path::new(file))?;
    let engine = launch::engine()?;
    let options = LinkOptions { missing_is_fault: true, ..LinkOptions::new(tree_name(&source.path)) };
    let linked = launch::executable(&engine, &source)?.link(&launch::offers(), &options);
    let linked = linked
        .map_err(|error| Complaint::refused(format!("{}: cannot be linked", source.path)).because(error))?;
    let wasi = Wasi::builder().named_as_in(&linked).inherit_stdio().origin(Origin::CommandLine).build();
    let wasi = wasi.map_err(|error| Complaint::new(Exit::Failed, "no system servers").because(error))?;
    Ok(at_rest(&linked, &wasi, &|_| Place::Anywhere))
}

/// Those of a manifest: as `atoll up` would have them.
fn of_manifest(file: &Path) -> Result<Vec<Routes>, Complaint> {
    let (loaded, unserved) = Loaded::with_gaps(file, &launch::engine()?)?;
    let mut builder = Wasi::builder().deny_others();
    let logged = || Output::closure(|_| Ok(()));
    for (process, grants) in loaded.grants(|_| Printed { stdout: logged(), stderr: logged() }) {
        builder = builder.grant(process, grants);
    }
    let wasi = builder.build().map_err(|error| {
        Complaint::new(Exit::Failed, format!("{}: a grant cannot be given", loaded.file)).because(error)
    })?;
    let mut found = at_rest(&loaded.linked, &wasi, &|domain| loaded.placement(domain).place);
    // The root is made for the manifest, and only passes on what its processes import.
    found.remove(0);
    for Unserved { path, import, why, complaint } in unserved {
        let (_, _, advice) = complaint.into_words();
        // Advice that is laid out in lines has a line here.
        let advice = advice.iter().flat_map(|advice| advice.split_whitespace()).collect::<Vec<_>>().join(" ");
        let within = found.iter_mut().filter(|routes| is_within(&routes.path, &path));
        for row in within.flat_map(|routes| &mut routes.imports) {
            if row.provider.is_none() && row.import == import {
                row.why.clone_from(&why);
                row.advice = Some(advice.clone());
            }
        }
    }
    Ok(found)
}

/// The imports of all processes of a tree that does not run.
fn at_rest(linked: &Linked, wasi: &Wasi, place: &dyn Fn(u32) -> Place) -> Vec<Routes> {
    let all = 0..u32::try_from(linked.processes().len()).unwrap_or(u32::MAX);
    let grants = |process, name: &str| wasi.explain(process, name);
    all.filter_map(|process| routes(linked, process, &|_| None, place, &grants)).collect()
}

/// A process and its imports, a line each.
fn render(found: &[Routes], paint: Paint) -> String {
    let mut text = String::new();
    for routes in found {
        text.push_str(&format!("{}\n", paint.text(Role::Name, harmless(&routes.path))));
        let width = routes.imports.iter().map(|row| row.import.chars().count()).max().unwrap_or(0);
        for row in &routes.imports {
            text.push_str(&line(row, width, paint));
        }
        if routes.imports.is_empty() {
            text.push_str("  it imports nothing\n");
        }
    }
    text
}

fn line(row: &RouteRow, width: usize, paint: Paint) -> String {
    let mark = if row.granted { paint.text(Role::Good, "✓") } else { paint.text(Role::Bad, "✗") };
    let provider = row.provider.as_deref().unwrap_or("nobody");
    let mut line = format!("  {mark} {:width$}  {}", harmless(&row.import), harmless(provider));
    if let Some(rung) = row.rung.as_deref().filter(|rung| *rung != "server") {
        line.push_str(&format!("  {}", harmless(rung)));
    }
    if !row.why.is_empty() {
        line.push_str(&format!("  {}", paint.text(Role::Aside, harmless(&row.why))));
    }
    line.push('\n');
    if let Some(advice) = &row.advice {
        line.push_str(&format!("    {:width$}  to change that: {}\n", "", harmless(advice)));
    }
    line
}

#[cfg(test)]
mod tests {
    use abi::control::routing::{RouteRow, Routes};

    use super::render;
    use crate::paint::Paint;

    #[test]
    fn each_import_is_a_line() {
        let text = str::to_owned;
        let row = |import: &str,
                   granted,
                   provider: Option<&str>,
                   rung: Option<&str>,
                   why: &str,
                   advice: Option<&str>| RouteRow {
            import: text(import),
            granted,
            provider: provider.map(text),
            rung: rung.map(text),
            why: text(why),
            advice: advice.map(text),
        };
        let imports = vec![
            row(
                "demo:shop/kv",
                true,
                Some("/shop/store"),
                Some("channel"),
                "over a boundary, on fault error",
                None,
            ),
            row(
                "wasi:filesystem/types@0.2.6",
                true,
                Some("server wasi:filesystem/types"),
                Some("server"),
                "/data, read-only",
                None,
            ),
            row(
                "wasi:sockets/tcp@0.2.6",
                false,
                Some("server wasi:sockets/tcp"),
                Some("server"),
                "no address is granted",
                Some("`--connect example.com:443`"),
            ),
            row("x:y/z", false, None, None, "nobody provides it: calling it is a fault", Some("compose one")),
        ];
        let found = [
            Routes { path: text("/shop/front"), imports },
            Routes { path: text("/shop/idle"), imports: Vec::new() },
        ];
        insta::assert_snapshot!(render(&found, Paint::PLAIN));
    }
}
