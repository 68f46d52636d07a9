//! Lines of code, indented by their brackets.

use wit_parser::Docs;

/// Code being written.
#[derive(Default)]
pub struct Source {
    text: String,
    depth: usize,
}

impl Source {
    /// Writes one line; a bracket that opens at its end or closes at its start moves what follows.
    pub fn line(&mut self, line: &str) {
        if line.starts_with(['}', ')', ']']) {
            self.depth -= 1;
        }
        self.text.extend(std::iter::repeat_n("    ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
        if line.ends_with(['{', '(', '[']) {
            self.depth += 1;
        }
    }

    /// Writes several lines.
    pub fn lines<L: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = L>) {
        for line in lines {
            self.line(line.as_ref());
        }
    }

    /// Writes the documentation of an item: its WIT name, then what the WIT says of it.
    pub fn docs(&mut self, docs: &Docs, title: &str) {
        self.line(&format!("/// {title}"));
        let Some(contents) = &docs.contents else { return };
        self.line("///");
        for line in contents.trim().lines() {
            let line = line.trim_end().replace('\t', "    ").replace(['[', ']'], "`").replace("``", "`");
            self.text.extend(std::iter::repeat_n("    ", self.depth));
            self.text.push_str(format!("/// {line}").trim_end());
            self.text.push('\n');
        }
    }

    /// The code.
    pub fn finish(self) -> String {
        assert_eq!(self.depth, 0, "every bracket that opens a block closes it");
        self.text
    }
}
