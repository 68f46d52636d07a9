//! What a person is told when something cannot be done: which file, which item, what was expected, what to do.

use std::fmt;
use std::ops::Range;

use abi::control::refusal::Refusal;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::exit_code::Exit;
use crate::paint::Paint;
use crate::watch::columns::harmless;

/// One complaint. It is printed once, by the console, and ends the run with its exit code.
#[derive(Debug)]
pub struct Complaint {
    /// How the run ends.
    pub exit: Exit,
    /// Boxed: it is returned up through many functions, and hardly ever made.
    text: Box<Text>,
}

/// What a complaint says.
#[derive(Debug)]
struct Text {
    what: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    advice: Vec<String>,
    place: Option<Place>,
}

/// Places in a text that somebody wrote.
#[derive(Debug)]
struct Place {
    source: NamedSource<String>,
    labels: Vec<(Range<usize>, String)>,
}

/// A cause that is only text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

impl Complaint {
    /// A complaint that says what is wrong, naming the file and the item.
    pub fn new(exit: Exit, what: impl Into<String>) -> Complaint {
        let text = Text { what: what.into(), cause: None, advice: Vec::new(), place: None };
        Complaint { exit, text: Box::new(text) }
    }

    /// A file that cannot be run, and why.
    pub fn refused(what: impl Into<String>) -> Complaint {
        Complaint::new(Exit::Refused, what)
    }

    /// Adds what led to it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Complaint {
        self.text.cause = Some(cause.into());
        self
    }

    /// Adds what led to it, as text.
    #[must_use]
    pub fn reason(self, cause: impl fmt::Display) -> Complaint {
        self.because(Reason(cause.to_string()))
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Complaint {
        self.text.advice.push(advice.into());
        self
    }

    /// Points into a text.
    #[must_use]
    pub fn at(self, name: &str, text: &str, offset: usize, label: impl Into<String>) -> Complaint {
        let offset = offset.min(text.len());
        self.underline(name, text, offset..offset + 1, label)
    }

    /// Underlines a part of a text; done again, another part of the same text.
    #[must_use]
    pub fn underline(
        mut self,
        name: &str,
        text: &str,
        part: Range<usize>,
        label: impl Into<String>,
    ) -> Complaint {
        let source = || NamedSource::new(name, text.to_string());
        let place = self.text.place.get_or_insert_with(|| Place { source: source(), labels: Vec::new() });
        place.labels.push((part, label.into()));
        self
    }

    /// Whether it points into a text.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.text.place.is_some()
    }

    /// What is wrong, what led to it, and what to do about it.
    #[must_use]
    pub fn into_words(self) -> (String, Option<String>, Vec<String>) {
        let Text { what, cause, advice, .. } = *self.text;
        (what, cause.as_deref().map(chain), advice)
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &[String] {
        &self.text.advice
    }

    /// What is wrong and what led to it, where there is room for a line only.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        match &self.text.cause {
            Some(cause) => format!("{}: {}", self.text.what, chain(&**cause)),
            None => self.text.what.clone(),
        }
    }

    /// As it is printed to standard error.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let mut theme = if paint.on { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        theme.characters.error = "error:".to_string();
        let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_links(false);
        let mut text = String::new();
        // Rendering writes to a string and fails only if that fails; then the plain text still stands.
        if handler.render_report(&mut text, self).is_err() {
            text = format!("error: {self}\n");
        }
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let mut text = lines.join("\n");
        if let Some(rest) = text.strip_prefix("  ") {
            text = rest.to_string();
        }
        text + "\n"
    }
}

/// An error with what led to it.
fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl From<Refusal> for Complaint {
    fn from(refusal: Refusal) -> Complaint {
        let complaint = Complaint::new(Exit::of_code(refusal.exit), harmless(&refusal.what));
        let complaint = match refusal.cause {
            Some(cause) => {
                complaint.reason(cause.split('\n').map(harmless).collect::<Vec<String>>().join("\n"))
            }
            None => complaint,
        };
        refusal.advice.iter().fold(complaint, |complaint, advice| complaint.advise(harmless(advice)))
    }
}

impl From<Complaint> for Refusal {
    fn from(complaint: Complaint) -> Refusal {
        let exit = complaint.exit.code();
        let (what, cause, advice) = complaint.into_words();
        Refusal { exit, what, cause, advice }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text.what)
    }
}

impl std::error::Error for Complaint {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.text.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for Complaint {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.text.advice.is_empty()).then(|| Box::new(self.text.advice.join("\n")) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.place.as_ref().map(|place| &place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = &self.text.place.as_ref()?.labels;
        let label = |(part, label): &(Range<usize>, String)| {
            LabeledSpan::new(Some(label.clone()), part.start, part.len())
        };
        Some(Box::new(labels.iter().map(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::Complaint;
    use crate::paint::Paint;

    #[test]
    fn names_cause_and_advice() {
        let complaint = Complaint::refused("app.wasm: import `a:b/c` is missing")
            .reason("expected an instance")
            .advise("give it\nor do not need it");
        insta::assert_snapshot!(complaint.render(Paint::PLAIN), @"
        error: app.wasm: import `a:b/c` is missing
          ╰─▶ expected an instance
          help: give it
                or do not need it
        ");
    }

    #[test]
    fn points_into_a_text() {
        let text = "(component\n  (core modul)\n)\n";
        let complaint = Complaint::refused("a.wat: not WebAssembly text").at("a.wat", text, 19, "unexpected");
        insta::assert_snapshot!(complaint.render(Paint::PLAIN), @"
        error: a.wat: not WebAssembly text
           ╭─[a.wat:2:9]
         1 │ (component
         2 │   (core modul)
           ·         ┬
           ·         ╰── unexpected
         3 │ )
           ╰────
        ");
    }
}
