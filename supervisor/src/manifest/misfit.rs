//! Why components do not fit together, with both sides in WIT.

use super::binaries::Process;
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::compose::contrast::{Difference, Identity};
use crate::compose::outside::OutsideError;
use crate::compose::parts::ComposeError;

/// The complaint about what does not fit; `processes` are in the order of the parts.
pub fn complain(sheet: &Sheet, processes: &[&Process], error: &ComposeError) -> Complaint {
    let name = |part: usize| processes[part].entry.name.as_str();
    let place = |part: usize| processes[part].entry.place.clone();
    match error {
        ComposeError::Differ { importer, import, exporter, export, difference } => {
            let import = &processes[*importer].binary.face.imports[*import].name;
            let (a, b) = (name(*importer), name(*exporter));
            let what = format!("`{a}` imports another `{import}` than `{b}` exports");
            let complaint = sheet.complain(place(*importer), what, format!("imports {import}"));
            let complaint = sheet.point(complaint, place(*exporter), format!("exports {export}"));
            complaint
                .reason(sides(difference, a, "imports", b, "exports", &name))
                .advise("make both of the same version of the WIT, or wire the import to another process")
        }
        ComposeError::Outside(OutsideError::Differ { import, first, second, difference }) => {
            let (a, b) = (name(*second), name(*first));
            let what = format!("`{a}` and `{b}` have different ideas of the system's `{import}`");
            let complaint = sheet.complain(place(*second), what, "this one");
            let complaint = sheet.point(complaint, place(*first), "and this one");
            complaint
                .reason(sides(difference, a, "imports", b, "imports", &name))
                .advise("make both of the same version of the WIT")
        }
        ComposeError::Outside(OutsideError::Cycle { import }) => {
            let what =
                format!("{}: the imports of `{import}` and others bring types of each other", sheet.path);
            Complaint::refused(what).advise("make the components of the same version of the WIT")
        }
        ComposeError::Unsupported { part, import, what } => {
            let what =
                format!("`{}` imports the {what} `{import}`: that is not passed from outside", name(*part));
            let complaint = sheet.complain(place(*part), what, "this process");
            complaint.advise("processes get interfaces, functions and types")
        }
        ComposeError::Unseen { part, import } => {
            let what = format!("`{}` imports `{import}` with a type that nobody has a name for", name(*part));
            let complaint = sheet.complain(place(*part), what, "this process");
            complaint.advise("the interface that defines the type must be imported or exported too")
        }
        ComposeError::Dangling { part, import } => {
            let what = format!("`{}` is wired to somebody who does not export `{import}`", name(*part));
            sheet.complain(place(*part), what, "this process")
        }
    }
}

/// Both sides of a difference, one below the other.
fn sides<'n>(
    difference: &Difference,
    a: &str,
    a_does: &str,
    b: &str,
    b_does: &str,
    name: &dyn Fn(usize) -> &'n str,
) -> String {
    let Difference { item, wanted, offered, owners } = difference;
    if let Some((ours, theirs)) = owners {
        let owner = |identity: &Identity| match identity {
            Identity::System(_) => "the system".to_owned(),
            Identity::Of(part, _) => format!("`{}`", name(*part)),
        };
        return format!(
            "{item} has not the same resource type: that of {} for `{a}`, that of {} for `{b}`",
            owner(ours),
            owner(theirs)
        );
    }
    let (a, b) = (format!("{a} {a_does}"), format!("{b} {b_does}"));
    let width = a.chars().count().max(b.chars().count());
    format!("{item}\n{a:width$}  {wanted}\n{b:width$}  {offered}")
}
