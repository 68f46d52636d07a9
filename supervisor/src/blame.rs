//! A fault as a person reads it: who, where, what, through whose frames, and what to do next.

use std::fmt::Write;

use abi::fault::{Fault, Frame, Trap};
use kernel::limits::FAULT_FRAMES;

use crate::live::Aftermath;
use crate::paint::{Paint, Role};

/// The fault as it is printed to standard error.
#[must_use]
pub fn render(fault: &Fault, aftermath: &Aftermath, paint: Paint) -> String {
    let mut text = format!("{} {}\n", paint.text(Role::Bad, "fault:"), fault.trap);
    if let Some(place) = place(fault) {
        push(&mut text, format_args!("  in {place}\n"));
    }
    if !fault.frames.is_empty() {
        push(&mut text, format_args!("  {}\n", paint.text(Role::Aside, "call chain, innermost first:")));
        chain(&mut text, &fault.frames, paint);
        if fault.frames.len() == FAULT_FRAMES {
            push(&mut text, format_args!("        … only the innermost {FAULT_FRAMES} frames are kept\n"));
        }
    }
    for sentence in next(fault, aftermath) {
        push(&mut text, format_args!("  {} {sentence}\n", paint.text(Role::Note, "next:")));
    }
    text
}

fn place(fault: &Fault) -> Option<String> {
    let mut place = match (&*fault.process_name, fault.process) {
        ("", None) => return None,
        ("", Some(id)) => format!("process {id}"),
        (name, None) => format!("process {name}"),
        (name, Some(id)) => format!("process {name} (pid {id})"),
    };
    if let Some(domain) = fault.domain {
        push(&mut place, format_args!(" of domain {domain}"));
    }
    Some(place)
}

/// A frame with how often it stands there in a row.
struct Run<'a> {
    first: usize,
    frame: &'a Frame,
    times: usize,
}

/// A call chain, a frame a line, innermost first.
#[must_use]
pub fn chain_text(frames: &[Frame], paint: Paint) -> String {
    let mut text = String::new();
    chain(&mut text, frames, paint);
    text
}

fn chain(text: &mut String, frames: &[Frame], paint: Paint) {
    let runs = runs(frames);
    let name_width = runs.iter().map(|run| run.frame.process_name.chars().count()).max().unwrap_or(0);
    for Run { first, frame, times } in &runs {
        let process = format!("{:name_width$}", frame.process_name);
        push(text, format_args!("  {first:>4}  {}  {}", paint.text(Role::Name, process), function(frame)));
        if let Some(offset) = frame.offset {
            push(text, format_args!(" {}", paint.text(Role::Aside, format_args!("at {offset:#x}"))));
        }
        if *times > 1 {
            push(text, format_args!(" {}", paint.text(Role::Note, format_args!("× {times}"))));
        }
        text.push('\n');
    }
}

/// Frames of one function right after each other, as a recursion leaves them, count as one line.
fn runs(frames: &[Frame]) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        match runs.last_mut().filter(|run| same_function(run.frame, frame)) {
            Some(run) => run.times += 1,
            None => runs.push(Run { first: index, frame, times: 1 }),
        }
    }
    runs
}

fn same_function(a: &Frame, b: &Frame) -> bool {
    (a.process, a.func_index, &a.module, &a.func_name) == (b.process, b.func_index, &b.module, &b.func_name)
        && a.func_index.is_some()
}

/// A frame's function: its module and its name.
#[must_use]
pub fn function(frame: &Frame) -> String {
    let name = frame.func_name.as_deref().map(|name| format!("{:#}", rustc_demangle::demangle(name)));
    match (&frame.module, name, frame.func_index) {
        (Some(module), Some(name), Some(_)) => format!("{module}!{name}"),
        (None, Some(name), Some(_)) => name,
        (module, None, Some(index)) => format!("{}!function {index}", module.as_deref().unwrap_or("module")),
        (_, Some(name), None) => format!("── call of {name}"),
        (_, None, None) => "── call".to_string(),
    }
}

/// What to do about it, one sentence each.
fn next(fault: &Fault, aftermath: &Aftermath) -> Vec<String> {
    let mut sentences = Vec::new();
    let (known, unknown) = by_name(&fault.frames);
    if !known && unknown {
        let hint = "the functions have no names; build without stripping the name section to see them";
        sentences.push(hint.to_string());
    }
    if let Some(advice) = advice(&fault.trap) {
        sentences.push(advice.to_string());
    }
    sentences.extend(left(aftermath));
    sentences
}

/// How many processes a sentence names.
const NAMED: usize = 8;

/// What has become of the tree.
fn left(Aftermath { ended, living }: &Aftermath) -> Option<String> {
    let named = |paths: &[String]| {
        let more = paths.len().saturating_sub(NAMED);
        let shown = paths[..paths.len() - more].join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    let verb = |paths: &[String], one, several| if paths.len() == 1 { one } else { several };
    let have_ended = format!("{} {} ended", named(ended), verb(ended, "has", "have"));
    match (ended.as_slice(), living.as_slice()) {
        ([], _) => None,
        (_, []) => Some(have_ended),
        _ => Some(format!("{have_ended}; {} {} on as before", named(living), verb(living, "lives", "live"))),
    }
}

/// Whether there are frames of guest functions with names, and without.
fn by_name(frames: &[Frame]) -> (bool, bool) {
    let mut functions = frames.iter().filter(|frame| frame.func_index.is_some());
    (
        functions.clone().any(|frame| frame.func_name.is_some()),
        functions.any(|frame| frame.func_name.is_none()),
    )
}

fn advice(trap: &Trap) -> Option<&'static str> {
    Some(match trap {
        Trap::Unreachable => {
            "the guest stopped itself (a panic, an abort, a failed assertion): what it printed above says why"
        }
        Trap::StackOverflow => {
            "a recursion without end, or a stack too small for it: look for the function that repeats"
        }
        Trap::MemoryOutOfBounds => {
            "the guest used an address outside its memory: a null or stale pointer, or an index that nothing checked"
        }
        Trap::TableOutOfBounds | Trap::UndefinedElement | Trap::UninitializedElement | Trap::BadSignature => {
            "the guest called through a function pointer that is none: a stale pointer, or a cast between function types"
        }
        Trap::IntegerDivideByZero | Trap::IntegerOverflow | Trap::BadConversionToInteger => {
            "arithmetic without an answer: check the operands before the operation at the innermost frame"
        }
        Trap::CannotEnter => {
            "the process has faulted before, or is on the call chain already; calls into it must not come back"
        }
        Trap::CannotLeave => {
            "no imports can be called while the guest allocates for a call or cleans up after one"
        }
        Trap::InvalidUtf8 | Trap::IncompleteUtf8 | Trap::InvalidUtf16 | Trap::InvalidChar(_) => {
            "the guest passed text that is not the encoding it declares: bytes must go as list<u8>"
        }
        Trap::UnalignedPointer { .. }
        | Trap::StringOutOfBounds { .. }
        | Trap::ListOutOfBounds { .. }
        | Trap::PointerOutOfBounds { .. }
        | Trap::ReallocOutOfBounds { .. }
        | Trap::ReallocUnaligned { .. }
        | Trap::InvalidDiscriminant { .. } => {
            "the guest's side of the canonical ABI is wrong: rebuild it with current bindings, or mend its `cabi_realloc`"
        }
        Trap::UnknownHandle(_) | Trap::WrongHandleType { .. } | Trap::NotOwned { .. } => {
            "the guest used a handle that it does not have: dropped before, given away, or never received"
        }
        Trap::StillLent { .. } => {
            "drop or pass on a resource only after the call that borrows it has returned"
        }
        Trap::BorrowsRemain(_) => "drop every borrow that a call brought before returning from it",
        Trap::UncaughtException => {
            "a core exception left the component: catch it before the exported function returns"
        }
        _ => return None,
    })
}

fn push(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}

#[cfg(test)]
mod tests {
    use abi::fault::{Fault, Frame, Trap};
    use abi::id::{DomainId, ProcessId};
    use kernel::limits::FAULT_FRAMES;

    use super::render;
    use crate::live::Aftermath;
    use crate::paint::Paint;

    fn aftermath(ended: &[&str], living: &[&str]) -> Aftermath {
        let paths = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
        Aftermath { ended: paths(ended), living: paths(living) }
    }

    fn frame(process: u32, name: &str, func: Option<(u32, Option<&str>)>) -> Frame {
        Frame {
            process: Some(ProcessId { index: process, generation: 0 }),
            process_name: name.to_string(),
            module: func.map(|_| "store".to_string()),
            func_index: func.map(|(index, _)| index),
            func_name: func.and_then(|(_, name)| name).map(str::to_string),
            offset: func.map(|(index, _)| index * 16),
        }
    }

    fn fault(trap: Trap, frames: Vec<Frame>) -> Fault {
        Fault {
            trap,
            process: Some(ProcessId { index: 1, generation: 0 }),
            process_name: "/app/kv".into(),
            domain: Some(DomainId { index: 0, generation: 0 }),
            registers: None,
            frames,
        }
    }

    #[test]
    fn names_the_whole_chain() {
        let mut adapter = frame(1, "/app/kv", None);
        adapter.func_name = Some("a:b/kv#store".to_string());
        let frames = vec![
            frame(1, "/app/kv", Some((7, Some("_RNvCskp7mYM8O6Yn_4wasi4oops")))),
            frame(1, "/app/kv", Some((9, None))),
            adapter,
            frame(0, "/app", Some((3, Some("main")))),
        ];
        let aftermath = aftermath(&["/app/kv", "/app"], &["/app/log"]);
        insta::assert_snapshot!(render(&fault(Trap::MemoryOutOfBounds, frames), &aftermath, Paint::PLAIN), @"
        fault: out of bounds memory access
          in process /app/kv (pid 1/gen0) of domain 0/gen0
          call chain, innermost first:
             0  /app/kv  store!wasi::oops at 0x70
             1  /app/kv  store!function 9 at 0x90
             2  /app/kv  ── call of a:b/kv#store
             3  /app     store!main at 0x30
          next: the guest used an address outside its memory: a null or stale pointer, or an index that nothing checked
          next: /app/kv, /app have ended; /app/log lives on as before
        ");
    }

    #[test]
    fn folds_recursion() {
        let mut frames = vec![frame(1, "/app/kv", Some((7, None))); FAULT_FRAMES - 1];
        frames.push(frame(1, "/app/kv", Some((1, None))));
        let living = (0..10).map(|index| format!("/{index}"));
        let aftermath = Aftermath { living: living.collect(), ..aftermath(&["/app/kv"], &[]) };
        insta::assert_snapshot!(render(&fault(Trap::StackOverflow, frames), &aftermath, Paint::PLAIN), @"
        fault: call stack exhausted
          in process /app/kv (pid 1/gen0) of domain 0/gen0
          call chain, innermost first:
             0  /app/kv  store!function 7 at 0x70 × 63
            63  /app/kv  store!function 1 at 0x10
                … only the innermost 64 frames are kept
          next: the functions have no names; build without stripping the name section to see them
          next: a recursion without end, or a stack too small for it: look for the function that repeats
          next: /app/kv has ended; /0, /1, /2, /3, /4, /5, /6, /7 and 2 more live on as before
        ");
    }

    #[test]
    fn says_what_little_is_known() {
        insta::assert_snapshot!(render(&Fault::new(Trap::Host("disk on fire".into())), &Aftermath::default(), Paint::PLAIN), @"fault: disk on fire");
    }
}
