//! A manifest as text: read, parsed, and what is complained of in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::keys::{ManifestKeys, SupervisorTable};
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::MANIFEST_BYTES;
use crate::nearest::nearest;

/// A manifest that has been read. What is written in it is right by itself; what it refers to has not been looked at.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its path, as the person wrote it.
    pub path: String,
    /// The folder that relative paths begin at.
    pub folder: PathBuf,
    /// What is written in it.
    pub keys: ManifestKeys,
    text: String,
}

impl Sheet {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or has keys or values that mean nothing.
    pub fn read(path: &Path) -> Result<Sheet, Complaint> {
        let shown = path.display().to_string();
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let length = std::fs::metadata(path).map(|found| (found.len(), found.is_dir()));
        let text = match length {
            Ok((_, true)) => {
                let inside = path.join("atoll.toml");
                let what = format!("{shown}: a folder, expected a manifest");
                return Err(Complaint::new(Exit::NotFound, what)
                    .advise(format!("name the file: {}", inside.display())));
            }
            Ok((length, _)) if length > MANIFEST_BYTES => {
                let what =
                    format!("{shown}: {length} bytes are too much for a manifest, at most {MANIFEST_BYTES}");
                return Err(Complaint::refused(what));
            }
            Ok(_) => std::fs::read_to_string(path),
            Err(error) => Err(error),
        };
        let text = text.map_err(|error| unreadable(&shown, error))?;
        Sheet::parse(&shown, folder, text)
    }

    /// The same of a text; `folder` is where relative paths begin.
    ///
    /// # Errors
    /// As [`Sheet::read`].
    pub fn parse(path: &str, folder: PathBuf, text: String) -> Result<Sheet, Complaint> {
        let keys: ManifestKeys = toml::from_str(&text).map_err(|error| {
            let complaint = unparsed(path, &text, &error);
            match text.trim_start().starts_with(['(', ';']) {
                true => complaint.advise(format!("this is a component in text: `atoll run {path}` runs it")),
                false => complaint,
            }
        })?;
        if let Some(key) = keys.supervisor.as_ref().and_then(|keys| keys.unknown.as_ref()) {
            return Err(unknown(path, &text, key.span(), key.get_ref(), SupervisorTable::KEYS));
        }
        Ok(Sheet { path: path.to_owned(), folder, keys, text })
    }

    /// A complaint about a part of it.
    pub fn complain(
        &self,
        part: Range<usize>,
        what: impl std::fmt::Display,
        label: impl Into<String>,
    ) -> Complaint {
        complain(&self.path, &self.text, part, what, label)
    }

    /// Underlines another part.
    #[must_use]
    pub fn point(&self, complaint: Complaint, part: Range<usize>, label: impl Into<String>) -> Complaint {
        complaint.underline(&self.path, &self.text, shorten(&self.text, part), label)
    }

    /// A part of it.
    #[must_use]
    pub fn written(&self, part: Range<usize>) -> &str {
        self.text.get(part).unwrap_or_default()
    }

    /// A path as it is written in the manifest, from here.
    #[must_use]
    pub fn file(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }
}

fn unreadable(shown: &str, error: std::io::Error) -> Complaint {
    let complaint = match error.kind() {
        std::io::ErrorKind::NotFound => Complaint::new(Exit::NotFound, format!("{shown}: no such file")),
        std::io::ErrorKind::InvalidData => {
            let what = format!("{shown}: no text in UTF-8, expected a manifest in TOML");
            return Complaint::refused(what)
                .advise(format!("if it is a component, `atoll run {shown}` runs it"));
        }
        _ => Complaint::new(Exit::NotFound, format!("{shown}: cannot be read")).because(error),
    };
    complaint.advise("a manifest is a file `atoll.toml`; docs/manifest.md has the format and an example")
}

fn complain(
    path: &str,
    text: &str,
    part: Range<usize>,
    what: impl std::fmt::Display,
    label: impl Into<String>,
) -> Complaint {
    let part = shorten(text, part);
    let line = text.get(..part.start).unwrap_or_default().matches('\n').count() + 1;
    Complaint::refused(format!("{path}:{line}: {what}")).underline(path, text, part, label)
}

/// What is underlined: the first line of a part, and something in any case.
fn shorten(text: &str, part: Range<usize>) -> Range<usize> {
    let start = (0..=part.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let rest = text.get(start..part.end.min(text.len())).unwrap_or_default();
    let line = rest.lines().next().map_or(0, |line| line.trim_end().len());
    start..start + line.max(1)
}

/// What the parser says, as a person says it.
fn unparsed(path: &str, text: &str, error: &toml::de::Error) -> Complaint {
    let part = error.span().unwrap_or(0..0);
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    match quoted.split_first() {
        Some((word, known)) if is_unknown => unknown(path, text, part, word, known),
        _ => {
            let message = message.lines().collect::<Vec<_>>().join(", ");
            complain(path, text, part, &message, "here")
        }
    }
}

/// A key that means nothing where it stands.
fn unknown(path: &str, text: &str, part: Range<usize>, word: &str, known: &[&str]) -> Complaint {
    let complaint = complain(path, text, part, format!("`{word}` is no key that is known here"), "unknown");
    let complaint = match nearest(word, known.iter().copied()) {
        Some(near) => complaint.advise(format!("did you mean `{near}`?")),
        None => complaint,
    };
    complaint.advise(format!("known here: {}", known.join(", ")))
}
