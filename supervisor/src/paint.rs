//! Colours, on a terminal and nowhere else.

use std::fmt;
use std::io::IsTerminal;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    /// What this means for `stream`.
    #[must_use]
    pub fn paint(self, stream: &impl IsTerminal) -> Paint {
        let on = match self {
            When::Auto => {
                stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            When::Always => true,
            When::Never => false,
        };
        Paint { on }
    }
}

/// Colours one stream's text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Whether anything is coloured.
    pub on: bool,
}

/// What a piece of text is; the terminal's theme decides how that looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A name that the eye should find.
    Name,
    /// Something that can be read or skipped.
    Aside,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Worth a second look.
    Note,
}

impl Paint {
    /// No colour at all.
    pub const PLAIN: Paint = Paint { on: false };

    /// `text` in the role's colour.
    pub fn text<T: fmt::Display>(self, role: Role, text: T) -> Painted<T> {
        Painted { on: self.on, role, text }
    }
}

/// A piece of text with its colour.
pub struct Painted<T> {
    on: bool,
    role: Role,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.on {
            return self.text.fmt(f);
        }
        let code = match self.role {
            Role::Name => "1",
            Role::Aside => "2",
            Role::Good => "32",
            Role::Bad => "1;31",
            Role::Note => "33",
        };
        write!(f, "\x1b[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::{Paint, Role};

    #[test]
    fn colours_or_not() {
        assert_eq!(Paint::PLAIN.text(Role::Bad, "x").to_string(), "x");
        assert_eq!(Paint { on: true }.text(Role::Bad, "x").to_string(), "\x1b[1;31mx\x1b[0m");
        assert_eq!(format!("{:>3}", Paint { on: true }.text(Role::Good, "x")), "\x1b[32m  x\x1b[0m");
    }
}
