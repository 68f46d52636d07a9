//! Where the person looks, and what keys do.

use std::collections::HashSet;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::moment::{Key, Rates, Sample};
use super::outline::{Row, Sort, rows};

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// End its domain.
    Kill,
    /// Begin its next life.
    Restart,
}

/// What a key asks for that the view cannot do itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// The end.
    Quit,
    /// Something is to be done to a process.
    Do(Deed, Key),
}

/// Everything that a screen is made of.
#[derive(Debug, Default)]
pub struct View {
    /// What was sampled last.
    pub sample: Sample,
    /// What happens a second.
    pub rates: Rates,
    /// Processes whose children are hidden.
    folded: HashSet<Key>,
    /// What siblings are sorted by.
    pub sort: Sort,
    /// The row that is marked.
    marked: Option<Key>,
    /// The first row that is shown.
    pub first: usize,
    /// Whether new samples are ignored.
    pub paused: bool,
    /// What the person is asked to confirm.
    pub asked: Option<(Deed, Key)>,
    /// What is to be said at the bottom.
    pub note: Option<String>,
}

impl View {
    /// The trees have changed.
    pub fn take(&mut self, sample: Sample) {
        if self.paused {
            return;
        }
        if !self.sample.trees.is_empty() {
            self.rates = Rates::between(&self.sample, &sample);
        }
        self.sample = sample;
        self.asked = self.asked.take().filter(|(_, key)| self.knows(key));
    }

    fn knows(&self, (os_pid, path): &Key) -> bool {
        let mut tree = self.sample.trees.iter().filter(|tree| tree.os_pid == *os_pid);
        tree.any(|tree| tree.processes.iter().any(|process| process.path == *path))
    }

    /// The rows that there are.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        rows(&self.sample, &self.rates, &self.folded, self.sort)
    }

    /// Which of the rows is marked: the first if the one that was is gone.
    #[must_use]
    pub fn marked(&self, rows: &[Row]) -> usize {
        let wanted = self.marked.as_ref();
        rows.iter().position(|row| Some(&row.key) == wanted).unwrap_or(0)
    }

    /// A key was pressed; a screen has `page` rows.
    pub fn press(&mut self, key: KeyEvent, page: usize) -> Wish {
        self.note = None;
        if let Some((deed, whom)) = self.asked.take() {
            return match key.code {
                KeyCode::Char('y' | 'Y') => Wish::Do(deed, whom),
                _ => Wish::Nothing,
            };
        }
        let rows = self.rows();
        let at = self.marked(&rows);
        let last = rows.len().saturating_sub(1);
        let page = page.max(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Wish::Quit,
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.mark(&rows, at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.mark(&rows, (at + 1).min(last)),
            KeyCode::PageUp => self.mark(&rows, at.saturating_sub(page)),
            KeyCode::PageDown => self.mark(&rows, (at + page).min(last)),
            KeyCode::Home => self.mark(&rows, 0),
            KeyCode::End => self.mark(&rows, last),
            KeyCode::Left | KeyCode::Char('h') => self.fold(&rows, at),
            KeyCode::Right | KeyCode::Char('l') => {
                rows.get(at).map(|row| self.folded.remove(&row.key));
            }
            KeyCode::Char(' ') | KeyCode::Enter => self.turn(&rows, at),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('K') => self.asked = rows.get(at).map(|row| (Deed::Kill, row.key.clone())),
            KeyCode::Char('R') => self.asked = rows.get(at).map(|row| (Deed::Restart, row.key.clone())),
            _ => {}
        }
        Wish::Nothing
    }

    fn mark(&mut self, rows: &[Row], index: usize) {
        self.marked = rows.get(index).map(|row| row.key.clone());
    }

    /// Hides what is below a row; where there is nothing to hide, goes up.
    fn fold(&mut self, rows: &[Row], at: usize) {
        let Some(row) = rows.get(at) else { return };
        if row.folded == Some(false) {
            self.folded.insert(row.key.clone());
            return;
        }
        if let Some(parent) = rows[..at].iter().rposition(|above| above.depth < row.depth) {
            self.mark(rows, parent);
        }
    }

    fn turn(&mut self, rows: &[Row], at: usize) {
        let Some(row) = rows.get(at).filter(|row| row.folded.is_some()) else { return };
        if !self.folded.remove(&row.key) {
            self.folded.insert(row.key.clone());
        }
        self.mark(rows, at);
    }

    /// Moves what is shown so that the marked row is among it.
    pub fn follow(&mut self, rows: &[Row], shown: usize) {
        let at = self.marked(rows);
        let most = rows.len().saturating_sub(shown);
        self.first = self.first.min(most).min(at).max((at + 1).saturating_sub(shown));
    }
}
