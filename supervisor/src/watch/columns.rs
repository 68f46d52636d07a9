//! Tables as text: columns as wide as they must be, lines as long as the terminal is, nothing that a terminal would obey.

use std::io::IsTerminal;

use ratatui::crossterm::terminal;

use crate::paint::{Paint, Role};

/// A cell: its text, and what it is.
pub type Cell = (String, Option<Role>);

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Text without what a terminal would obey: control characters, and what turns the direction of writing.
#[must_use]
pub fn harmless(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// How many characters a line of standard output has, if it is a terminal.
#[must_use]
pub fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (columns, _) = terminal::size().ok()?;
    Some(columns.into()).filter(|columns| *columns > 0)
}

/// Rows below their headings. The last column gets what is left of `width`, and is cut there.
#[must_use]
pub fn table(headings: &[(&str, Side)], rows: &[Vec<Cell>], width: Option<usize>, paint: Paint) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|(heading, _)| heading.chars().count()).collect();
    for row in rows {
        for (width, (text, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut text = String::new();
    let heading = headings.iter().map(|(heading, _)| ((*heading).to_owned(), Some(Role::Aside))).collect();
    for row in std::iter::once(&heading).chain(rows) {
        text.push_str(&line(headings, row, &widths, width, paint));
        text.push('\n');
    }
    text
}

fn line(
    headings: &[(&str, Side)],
    row: &[Cell],
    widths: &[usize],
    width: Option<usize>,
    paint: Paint,
) -> String {
    let mut line = String::new();
    let mut left = width.unwrap_or(usize::MAX);
    let last = row.len().saturating_sub(1);
    for (index, ((cell, role), (_, side))) in row.iter().zip(headings).enumerate() {
        if left == 0 {
            break;
        }
        let filled = match side {
            Side::Right => format!("{cell:>0$}", widths[index]),
            Side::Left if index == last => cell.clone(),
            Side::Left => format!("{cell:<0$}", widths[index]),
        };
        let shown = cut(&filled, left);
        left = left.saturating_sub(shown.chars().count() + 2);
        match role {
            Some(role) => line.push_str(&paint.text(*role, shown).to_string()),
            None => line.push_str(&shown),
        }
        if index != last && left > 0 {
            line.push_str("  ");
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Text of at most so many characters; what is cut ends with `…`.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    if most == 0 {
        return String::new();
    }
    let mut shown: String = text.chars().take(most.saturating_sub(1)).collect();
    shown.push('…');
    shown
}

/// A span of time in the unit in which it is short.
#[must_use]
pub fn span(ns: u64) -> String {
    // Where a unit begins to be used: 90 s is shorter to read than 1.50 min.
    const UNITS: [(&str, u64, u64); 7] = [
        ("d", 48 * 3_600_000_000_000, 24 * 3_600_000_000_000),
        ("h", 2 * 3_600_000_000_000, 3_600_000_000_000),
        ("min", 120_000_000_000, 60_000_000_000),
        ("s", 1_000_000_000, 1_000_000_000),
        ("ms", 1_000_000, 1_000_000),
        ("µs", 1_000, 1_000),
        ("ns", 0, 1),
    ];
    let fitting = UNITS.iter().find(|(_, from, _)| ns >= *from);
    let (unit, _, size) = fitting.expect("the last one begins at nothing");
    let value = ns as f64 / *size as f64;
    let digits = if *size == 1 || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// A number of things, with thousands apart.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Side, cut, harmless, span, table, thousands};
    use crate::paint::{Paint, Role};

    #[test]
    fn columns_are_aligned_and_cut() {
        let headings = [("PID", Side::Right), ("NAME", Side::Left), ("STATE", Side::Left)];
        let row = |pid: &str, name: &str, state: &str| {
            vec![(pid.to_owned(), None), (name.to_owned(), Some(Role::Name)), (state.to_owned(), None)]
        };
        let rows = [row("7", "store", "ready"), row("1234", "ä", "FAULT: out of bounds memory access")];
        insta::assert_snapshot!(table(&headings, &rows, None, Paint::PLAIN), @r"
         PID  NAME   STATE
           7  store  ready
        1234  ä      FAULT: out of bounds memory access
        ");
        insta::assert_snapshot!(table(&headings, &rows, Some(24), Paint::PLAIN), @r"
         PID  NAME   STATE
           7  store  ready
        1234  ä      FAULT: out…
        ");
        for width in 0..40 {
            let table = table(&headings, &rows, Some(width), Paint::PLAIN);
            assert!(table.lines().all(|line| line.chars().count() <= width), "{width}\n{table}");
        }
    }

    #[test]
    fn names_cannot_command_a_terminal() {
        assert_eq!(harmless("a\x1b[31mb\u{202e}c\nd"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
        assert_eq!(harmless("ünïcode → ok"), "ünïcode → ok");
    }

    #[test]
    fn numbers_are_short() {
        let spans = [0, 999, 1_200, 45_600, 1_000_000, 12_345_678_901, 119_000_000_000, 7_200_000_000_000];
        assert_eq!(
            spans.map(span),
            ["0 ns", "999 ns", "1.20 µs", "45.6 µs", "1.00 ms", "12.3 s", "119 s", "2.00 h"]
        );
        assert_eq!(span(5 * 86_400_000_000_000), "5.00 d");
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([cut("abc", 3), cut("abcd", 3), cut("abcd", 0)], ["abc", "ab…", ""]);
    }
}
