//! `atoll up`: brings up what a manifest describes, and keeps it running until it is told to end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipc::launched::Launched;
use ipc::system::System;
use kernel::component::linked::ExportedFunc;
use servers::{Output, Wasi};

use crate::args;
use crate::chronicle::{self, Chronicle};
use crate::complaint::Complaint;
use crate::console::{Paints, Trouble};
use crate::control::listening::ControlSocket;
use crate::control::scraping;
use crate::core_file::CoreFiles;
use crate::detach;
use crate::exit_code::Exit;
use crate::interrupt::Interrupts;
use crate::launch;
use crate::live::unlaunched;
use crate::logs::{Logs, Stream};
use crate::manifest::{Loaded, Printed};
use crate::progress::Progress;
use crate::spans::Spans;
use crate::steward::{Steward, Ward};
use crate::tend::driver::{Driver, Undrivable};
use crate::tend::happening::Happening;
use crate::tend::overseer::Outcome;
use crate::tend::tended::Tended;

/// Brings a manifest's tree up, and stays until it has ended.
///
/// # Errors
/// The manifest is wrong, or the tree does not come up.
pub fn up(args: &args::Up, paints: Paints) -> Result<Exit, Trouble> {
    let file = manifest(&args.file);
    if args.detach {
        return detach::detach(&file, args);
    }
    if args.in_background {
        detach::settle()?;
    }
    let interrupts = Interrupts::take()?;
    let engine = launch::engine()?;
    let loaded = {
        let _progress = Progress::of(&format!("compiling {}", file.display()));
        Loaded::read(&file, &engine)?
    };
    let logs = logs(&loaded);
    let wasi = wasi(&loaded, &logs)?;
    let system = System::start(loaded.workers.options(&loaded.linked));
    let system =
        system.map_err(|error| Complaint::new(Exit::Failed, "no machine to run on").because(error))?;
    let linked = Arc::clone(&loaded.linked);
    let launched = system.launch_within(&engine, linked, Box::new(wasi), loaded.quotas(), |domain, _| {
        loaded.placement(domain)
    });
    let launched = Arc::new(launched.map_err(|error| unlaunched(&loaded.file, error))?);
    dump_on_fault(&loaded, &launched, &logs);
    let shape = match (args.in_background, args.json) {
        (true, _) => chronicle::Shape::Nothing,
        (false, true) => chronicle::Shape::Json,
        (false, false) => chronicle::Shape::Text(paints.out),
    };
    let chronicle = Chronicle::begin(shape, &loaded.name, &logs);
    let exit = tend(args, &loaded, &launched, &logs, &chronicle, &interrupts);
    chronicle.end();
    // The end of this process takes it down faster than piece by piece.
    std::mem::forget((launched, system));
    exit
}

/// Keeps a launched tree running until its outermost supervisor has ended.
fn tend(
    args: &args::Up,
    loaded: &Loaded,
    launched: &Arc<Launched>,
    logs: &Arc<Logs>,
    chronicle: &Chronicle,
    interrupts: &Interrupts,
) -> Result<Exit, Trouble> {
    let run_of = |path: &str| -> Option<Arc<ExportedFunc>> {
        loaded.processes.iter().find(|process| process.path == path)?.run.clone()
    };
    let (teller, top, in_background) = (chronicle.teller(), loaded.name.clone(), args.in_background);
    let tell = move |happening: &Happening| {
        teller.tell(happening);
        if in_background && matches!(happening, Happening::Up { supervisor } if *supervisor == top) {
            detach::ready(&top);
        }
    };
    let driver = Driver::new(launched, &loaded.spec, &run_of, Box::new(tell));
    let mut driver = driver.map_err(|error| undrivable(loaded, &error))?;
    let tended = Tended::new(Ward::new(&*loaded.name, &*loaded.file, launched, logs), &driver);
    let steward: Arc<dyn Steward> = Arc::new(tended);
    interrupts.end(&steward);
    let _socket = ControlSocket::open(&steward, note);
    if let Some(address) = args.metrics {
        note(&format!("meters are at http://{}/metrics", scraping::serve_tree(address, &steward)?));
    }
    let _spans = Spans::begin(&args.spans, &steward)?;
    Ok(match driver.run() {
        Outcome::ShutDown => interrupts.exit().unwrap_or(Exit::Success),
        Outcome::GaveUp => Exit::GaveUp,
        Outcome::NotStarted => Exit::Fault,
        Outcome::Finished if driver.has_failed() => Exit::Guest(1),
        Outcome::Finished => Exit::Success,
    })
}

/// Has those processes leave a core whose manifest says so.
fn dump_on_fault(loaded: &Loaded, launched: &Launched, logs: &Arc<Logs>) {
    let wanted = |path: &str| loaded.processes.iter().any(|process| process.dump && process.path == path);
    let all = loaded.linked.processes().iter().enumerate();
    let dumped: Vec<usize> = all.filter(|(_, info)| wanted(&info.path)).map(|(index, _)| index).collect();
    let folder = Path::new(&*loaded.file).parent().unwrap_or(Path::new(""));
    if !dumped.is_empty() {
        launched.tree().dump_on_fault(&dumped, Arc::new(CoreFiles::new(folder, logs, note)));
    }
}

fn note(text: &str) {
    // In the background nobody reads it.
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

fn undrivable(loaded: &Loaded, error: &Undrivable) -> Complaint {
    Complaint::refused(format!("{}: cannot be supervised", loaded.file)).reason(error)
}

/// The manifest that a person means: a folder's is the `atoll.toml` in it.
fn manifest(file: &Path) -> PathBuf {
    if file.is_dir() { file.join("atoll.toml") } else { file.to_path_buf() }
}

/// What each process may see and reach. What it prints goes to the logs.
fn wasi(loaded: &Loaded, logs: &Arc<Logs>) -> Result<Wasi, Complaint> {
    let files = log_files(loaded)?;
    let output = |path: &str, stream| {
        let (mut keep, file) = (logs.writer(path, stream), files.get(path).cloned());
        Output::closure(move |bytes| {
            keep(bytes)?;
            file.as_deref().map_or(Ok(()), |mut file| file.write_all(bytes))
        })
    };
    let printed =
        |path: &str| Printed { stdout: output(path, Stream::Stdout), stderr: output(path, Stream::Stderr) };
    let mut builder = Wasi::builder().named_as_in(&loaded.linked).deny_others();
    for (process, grants) in loaded.grants(printed) {
        builder = builder.grant(process, grants);
    }
    builder.build().map_err(|error| {
        Complaint::new(Exit::Failed, format!("{}: a grant cannot be given", loaded.file)).because(error)
    })
}

/// Empty logs, with as much room for each process as the manifest says.
fn logs(loaded: &Loaded) -> Arc<Logs> {
    let logs = Logs::default();
    for process in &loaded.processes {
        if let Some(lines) = process.log_lines {
            logs.bound(&process.path, lines);
        }
    }
    Arc::new(logs)
}

/// The files that get what processes print, by path; what is in them already stays.
fn log_files(loaded: &Loaded) -> Result<BTreeMap<&str, Arc<File>>, Complaint> {
    let open = |(path, file): (&'_ str, &PathBuf)| {
        let opened = File::options().append(true).create(true).open(file);
        let failed = |error| {
            let what = format!("{}: what {path} prints cannot be kept in {}", loaded.file, file.display());
            Complaint::new(Exit::Failed, what).because(error)
        };
        opened.map_err(failed)
    };
    let wanted =
        loaded.processes.iter().filter_map(|process| Some((&*process.path, process.log_file.as_ref()?)));
    wanted.map(|(path, file)| Ok((path, Arc::new(open((path, file))?)))).collect()
}
