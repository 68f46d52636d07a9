//! The terminal: full screen while it lasts, and as it was afterwards, however it ends.

use std::io::{self, IsTerminal};
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::canvas::{draw, shown_rows};
use super::sampler::{News, Sampler};
use super::view::{View, Wish};
use crate::complaint::Complaint;
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::watch::watchargs::Top;

/// How long a key waits for, between two looks at what the sampler has.
const GLANCE: Duration = Duration::from_millis(50);

/// Shows what runs until the person has seen enough.
///
/// # Errors
/// There is no terminal, or it cannot be drawn on.
pub fn top(args: &Top) -> Result<Exit, Trouble> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let complaint = Complaint::new(Exit::Usage, "`atoll top` needs a terminal to draw on");
        return Err(complaint.advise("`atoll ps --json` is for programs").into());
    }
    let failed =
        |error: io::Error| Complaint::new(Exit::Failed, "the terminal cannot be used").because(error);
    let interval = Duration::from_nanos(args.interval.map_or(1_000_000_000, |span| span.0));
    let sampler = Sampler::start(interval.max(GLANCE)).map_err(failed)?;
    // Where it panics the terminal is put in order too: that is what this arranges.
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let outcome = show(&mut terminal, &sampler);
    ratatui::restore();
    outcome.map_err(failed)?;
    Ok(Exit::Success)
}

fn show(terminal: &mut DefaultTerminal, sampler: &Sampler) -> io::Result<()> {
    let mut view = View::default();
    let mut is_stale = true;
    loop {
        if is_stale {
            let rows = view.rows();
            view.follow(&rows, shown_rows(terminal.size()?.height));
            terminal.draw(|frame| draw(&view, frame))?;
        }
        is_stale = false;
        if event::poll(GLANCE)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    is_stale = true;
                    match view.press(key, shown_rows(terminal.size()?.height)) {
                        Wish::Nothing => {}
                        Wish::Quit => return Ok(()),
                        Wish::Do(deed, whom) => {
                            view.note = Some(format!("{} …", whom.1));
                            // If the sampler is gone that is seen below.
                            let _ = sampler.deeds.send((deed, whom));
                        }
                    }
                }
                Event::Resize(..) => is_stale = true,
                _ => {}
            }
        }
        loop {
            match sampler.news.try_recv() {
                Ok(News::Sample(sample)) => {
                    is_stale |= !view.paused;
                    view.take(sample);
                }
                Ok(News::Note(note)) => {
                    (view.note, is_stale) = (Some(note), true);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("what asks the supervisors has ended"));
                }
            }
        }
    }
}
