//! `atoll logs`: what processes have printed, and what was said of them.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use abi::control::log_line::{LogLine, Source};
use abi::control::process_row::TreeSummary;
use abi::control::request::Request;
use abi::control::response::Response;

use super::columns::harmless;
use super::listing::Running;
use super::watchargs::LogsArgs;
use crate::complaint::Complaint;
use crate::console::{Paints, Trouble, print};
use crate::control::addressing;
use crate::control::dialing::{DialError, PROMPT, unexpected, unreachable};
use crate::exit_code::Exit;
use crate::paint::{Paint, Role};

/// How long a supervisor waits for the next line before it answers that there is none.
const WAIT_MS: u32 = 10_000;

/// Prints lines.
///
/// # Errors
/// There is no such tree or process.
pub fn logs(args: &LogsArgs, paints: Paints) -> Result<Exit, Trouble> {
    let running = Running::of_user();
    let path = args.name.as_deref().and_then(|name| one_process(&running.trees, name));
    let (tree, mut line) = running.tree(args.name.as_deref())?;
    let style = Style::of(args, &tree, path.as_deref(), paints.out);
    let (mut from, mut tail, mut wait_ms) = (0, args.tail, 0);
    loop {
        let request = Request::Logs { path: path.clone(), from, tail: tail.take(), wait_ms };
        let patience = PROMPT + Duration::from_millis(wait_ms.into());
        let (lines, next, missed) = match line.exchange(&request, patience) {
            Ok(Response::Lines { lines, next, missed }) => (lines, next, missed),
            Ok(Response::Refused(refusal)) => return Err(Complaint::from(refusal).into()),
            Ok(other) => return Err(unexpected(&other).into()),
            // The tree has ended, and with it what it prints.
            Err(DialError::Gone) if from > 0 || args.follow => return Ok(Exit::Success),
            Err(error) => return Err(unreachable(tree.os_pid, error).into()),
        };
        if missed && (from > 0 || !args.json) {
            eprintln!("note: older lines are not kept any more");
        }
        let text: String = lines.iter().map(|line| style.line(line)).collect();
        print(&text)?;
        if std::io::stdout().flush().is_err() {
            return Ok(Exit::Success);
        }
        // Without -f it is over when there is nothing more.
        if !args.follow && (lines.is_empty() || args.tail.is_some()) {
            return Ok(Exit::Success);
        }
        (from, wait_ms) = (next, if args.follow { WAIT_MS } else { 0 });
    }
}

/// The path of the process that a name means, if it does not mean a tree.
fn one_process(trees: &[TreeSummary], name: &str) -> Option<String> {
    let (tree, process) = addressing::process(trees, name).ok()?;
    (process > 0).then(|| trees[tree].processes[process].path.clone())
}

/// How lines are printed.
struct Style {
    json: bool,
    /// How wide the names are that stand before the lines; none if all are of one process.
    names: Option<usize>,
    /// Whether what a terminal would obey is left out.
    harmless: bool,
    paint: Paint,
}

impl Style {
    fn of(args: &LogsArgs, tree: &TreeSummary, path: Option<&str>, paint: Paint) -> Style {
        let widths = tree.processes.iter().map(|process| shown(&process.path).chars().count());
        let names = path.is_none().then(|| widths.max().unwrap_or(0));
        Style { json: args.json, names, harmless: std::io::stdout().is_terminal(), paint }
    }

    fn line(&self, line: &LogLine) -> String {
        if self.json {
            return serde_json::to_string(line).expect("strings and numbers always have a JSON form") + "\n";
        }
        let (mark, role) = match line.source {
            Source::Stdout => ("|", Role::Aside),
            Source::Stderr => ("!", Role::Note),
            Source::Lifecycle => ("*", Role::Bad),
        };
        let tame = |text: &str| text.split('\t').map(harmless).collect::<Vec<String>>().join("\t");
        let text = if self.harmless { tame(&line.text) } else { line.text.clone() };
        match self.names {
            Some(width) => {
                let name = format!("{:width$}", harmless(shown(&line.path)));
                format!("{} {} {text}\n", self.paint.text(Role::Name, name), self.paint.text(role, mark))
            }
            None => format!("{text}\n"),
        }
    }
}

fn shown(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use abi::control::log_line::{LogLine, Source};

    use super::Style;
    use crate::paint::Paint;

    #[test]
    fn lines_say_who_printed_them() {
        let line = |path: &str, source, text: &str| LogLine {
            path: path.to_owned(),
            source,
            text: text.to_owned(),
            ..LogLine::default()
        };
        let style = Style { json: false, names: Some(10), harmless: true, paint: Paint::PLAIN };
        let lines = [
            line("/shop", Source::Stdout, "open\tfor business"),
            line("/shop/store", Source::Stderr, "\x1b]0;mine\x07low"),
            line("/shop/store", Source::Lifecycle, "faulted"),
        ];
        let text: String = lines.iter().map(|line| style.line(line)).collect();
        insta::assert_snapshot!(text);
        let raw = Style { names: None, harmless: false, ..style };
        assert_eq!(raw.line(&lines[1]), "\x1b]0;mine\x07low\n");
    }
}
