//! One screen: rows of processes, what is known of the marked one, and what the keys do.

use abi::control::edge_row::EdgeRow;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::moment::Rate;
use super::outline::{Row, is_bad};
use super::view::{Deed, View};
use crate::treetext::{bytes, count};
use crate::watch::columns::{cut, harmless, span};

/// Lines above the rows: what there is in all, and the headings.
const ABOVE: u16 = 2;
/// Lines for the marked process, if the screen is high enough.
const DETAIL: u16 = 8;
/// A screen less high than this shows rows only.
const HIGH_ENOUGH: u16 = 18;

const HELP: &str = "↑↓ mark  ←→ fold  s sort  p pause  R restart  K kill  q quit";

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

/// How many rows of processes a screen so high shows.
#[must_use]
pub fn shown_rows(height: u16) -> usize {
    let detail = if height < HIGH_ENOUGH { 0 } else { DETAIL };
    usize::from(height.saturating_sub(ABOVE + detail + 1))
}

/// Draws it.
pub fn draw(view: &View, frame: &mut Frame<'_>) {
    let area = frame.area();
    let rows = view.rows();
    let marked = view.marked(&rows);
    let canvas = Canvas { buffer: frame.buffer_mut(), area };
    canvas.write(view, &rows, marked);
}

struct Canvas<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
}

impl Canvas<'_> {
    fn write(mut self, view: &View, rows: &[Row], marked: usize) {
        let height = self.area.height;
        let shown = shown_rows(height);
        self.line(0, &headline(view, rows));
        let columns = Columns::of(rows, self.area.width);
        self.line(1, &columns.headings());
        // Memory is measured against what may be used, or else against who has the most.
        let most = rows.iter().map(|row| row.memory_bytes).max().unwrap_or(0);
        for (offset, row) in rows.iter().enumerate().skip(view.first).take(shown) {
            let y = ABOVE + u16::try_from(offset - view.first).unwrap_or(u16::MAX);
            let mut line = columns.row(row, most);
            if offset == marked {
                line = line.style(Style::new().add_modifier(Modifier::REVERSED));
            }
            self.line(y, &line);
        }
        if rows.is_empty() {
            self.line(ABOVE, &Line::styled("no tree runs", FAINT));
        }
        if height >= HIGH_ENOUGH
            && let Some(row) = rows.get(marked)
        {
            self.detail(height - DETAIL - 1, view, row);
        }
        if height > ABOVE {
            self.line(height - 1, &foot(view));
        }
    }

    fn line(&mut self, y: u16, line: &Line<'_>) {
        if y >= self.area.height {
            return;
        }
        let (x, y) = (self.area.x, self.area.y + y);
        self.buffer.set_line(x, y, line, self.area.width);
        self.buffer.set_style(Rect { x, y, width: self.area.width, height: 1 }, line.style);
    }

    /// What is known of one process: its state in full, and the edges where most happens.
    fn detail(&mut self, y: u16, view: &View, row: &Row) {
        let path = harmless(&row.process.path);
        let rule = "─".repeat(usize::from(self.area.width).saturating_sub(path.chars().count() + 4));
        let title =
            [Span::styled("─ ", FAINT), Span::styled(path, BOLD), Span::styled(format!(" {rule}"), FAINT)];
        self.line(y, &Line::from_iter(title));
        self.line(y + 1, &Line::styled(harmless(&row.process.story()), condition(row)));
        let mut edges = edges(view, row);
        edges.sort_by(|(_, a), (_, b)| b.unwrap_or(0.0).total_cmp(&a.unwrap_or(0.0)));
        if edges.is_empty() {
            return;
        }
        self.line(
            y + 2,
            &Line::styled(edge_line(["EDGE", "CALLS/S", "P50", "P99", "FAILED", "FUNCTION"]), FAINT),
        );
        for (index, (edge, rate)) in edges.iter().take(usize::from(DETAIL) - 3).enumerate() {
            let time = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), span);
            let (p50, p99) = (edge.latency.map(|of| of.p50_ns), edge.latency.map(|of| of.p99_ns));
            let line = edge_line([
                &cut(&harmless(&edge.shown()), 24),
                &rate.map_or_else(|| "-".to_owned(), number),
                &time(p50),
                &time(p99),
                &edge.failures.to_string(),
                &harmless(&edge.function),
            ]);
            self.line(y + 3 + u16::try_from(index).unwrap_or(u16::MAX), &Line::raw(line));
        }
    }
}

fn edge_line([edge, calls, p50, p99, failed, function]: [&str; 6]) -> String {
    format!("{edge:<24}  {calls:>8}  {p50:>8}  {p99:>8}  {failed:>6}  {function}")
}

/// The edges of a process, and how many calls go over each a second.
fn edges<'v>(view: &'v View, row: &Row) -> Vec<(&'v EdgeRow, Option<f64>)> {
    let (os_pid, path) = &row.key;
    let trees = view.sample.trees.iter().zip(&view.sample.edges);
    let edges = trees.filter(|(tree, _)| tree.os_pid == *os_pid).flat_map(|(_, edges)| edges);
    let its = edges.filter(|edge| edge.caller == *path || edge.callee == *path);
    its.map(|edge| (edge, view.rates.edge(*os_pid, edge))).collect()
}

fn headline(view: &View, rows: &[Row]) -> Line<'static> {
    let trees = &view.sample.trees;
    let processes: usize = trees.iter().map(|tree| tree.processes.len()).sum();
    // Rows that hide others have their sums.
    let total = rows.iter().fold(Rate::default(), |sum, row| Rate {
        cores: sum.cores + row.rate.cores,
        calls: sum.calls + row.rate.calls,
    });
    let memory = trees.iter().flat_map(|tree| &tree.processes).map(|process| process.memory_bytes).sum();
    let text = format!(
        "  {}, {}, by {}  cpu {:.1} %  {}  {} calls/s",
        count(trees.len(), "tree"),
        count(processes, "process"),
        view.sort.name(),
        total.cores * 100.0,
        bytes(memory),
        number(total.calls)
    );
    let mut line = vec![Span::styled("atoll top", BOLD), Span::raw(text)];
    if view.paused {
        line.push(Span::styled("  paused", Style::new().fg(Color::Yellow)));
    }
    Line::from(line)
}

fn foot(view: &View) -> Line<'static> {
    if let Some((deed, (_, path))) = &view.asked {
        let path = harmless(path);
        let question = match deed {
            Deed::Kill => format!("kill {path} and what shares its domain?"),
            Deed::Restart => format!("restart {path} and what shares its domain?"),
        };
        return Line::styled(format!("{question}  y yes  any other key no"), BOLD.fg(Color::Red));
    }
    if let Some(note) = view.note.as_ref().or(view.sample.silent.first()) {
        return Line::styled(harmless(note), Style::new().fg(Color::Yellow));
    }
    Line::styled(HELP, FAINT)
}

/// How wide the columns are whose width depends on what is in them.
struct Columns {
    name: usize,
}

impl Columns {
    fn of(rows: &[Row], width: u16) -> Columns {
        let longest = rows.iter().map(|row| name(row).chars().count()).max().unwrap_or(0);
        // Of a narrow screen names get a third, so that something of everything is seen.
        Columns { name: longest.clamp(8, (usize::from(width) / 3).max(8)) }
    }

    fn headings(&self) -> Line<'static> {
        let name = self.name;
        Line::styled(
            format!(
                "{:>5} {:>3} {:name$} {:>6} {:6} {:>9} {:5} {:>8} {}",
                "PID", "GEN", "NAME", "CPU%", "", "MEMORY", "", "CALLS/S", "STATE"
            ),
            FAINT.add_modifier(Modifier::UNDERLINED),
        )
    }

    fn row(&self, row: &Row, most: u64) -> Line<'static> {
        let width = self.name;
        let process = &row.process;
        let allowed = process.memory_limit.unwrap_or(most).max(1);
        let share = row.memory_bytes as f64 / allowed as f64;
        let name = cut(&name(row), width);
        let name_style = if row.depth == 0 { BOLD } else { Style::new() };
        Line::from(vec![
            Span::raw(format!("{:>5} {:>3} ", process.pid, process.generation)),
            Span::styled(format!("{name:width$} "), name_style),
            Span::raw(format!("{:>6.1} ", row.rate.cores * 100.0)),
            Span::styled(bar(row.rate.cores, 6), Style::new().fg(load(row.rate.cores))),
            Span::raw(format!(" {:>9} ", bytes(row.memory_bytes))),
            Span::styled(
                bar(share, 5),
                Style::new().fg(load(share * f64::from(u8::from(process.memory_limit.is_some())))),
            ),
            Span::raw(format!(" {:>8} ", number(row.rate.calls))),
            Span::styled(harmless(&process.story()), condition(row)),
        ])
    }
}

/// The name as it stands in the tree; a root has its supervisor's number.
fn name(row: &Row) -> String {
    let mark = match row.folded {
        Some(true) => "▸ ",
        Some(false) => "▾ ",
        None => "  ",
    };
    let name = harmless(row.process.name());
    let indent = " ".repeat(2 * row.depth);
    if row.depth == 0 { format!("{mark}{name} ({})", row.key.0) } else { format!("{indent}{mark}{name}") }
}

fn condition(row: &Row) -> Style {
    use abi::control::process_row::Condition;
    match row.process.condition {
        _ if is_bad(&row.process) => BOLD.fg(Color::Red),
        Condition::Running => Style::new().fg(Color::Green),
        Condition::Waiting { .. } | Condition::WaitingForHost => Style::new().fg(Color::Yellow),
        _ => FAINT,
    }
}

fn load(share: f64) -> Color {
    match share {
        _ if share >= 0.9 => Color::Red,
        _ if share >= 0.6 => Color::Yellow,
        _ => Color::Green,
    }
}

/// A bar of so many characters, right to an eighth of one; all of it at 1 and beyond.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    let filled = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    (0..width).map(|cell| EIGHTHS[filled.saturating_sub(cell * 8).min(8)]).collect()
}

/// A number a second, short.
fn number(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{:.1}M", value / 1e6),
        _ if value >= 1e4 => format!("{:.1}k", value / 1e3),
        _ if value >= 100.0 || value == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use abi::control::edge_row::{EdgeRow, Latency};
    use abi::control::process_row::{Condition, ProcessRow, TreeSummary};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::{bar, draw, number, shown_rows};
    use crate::watch::top::moment::Sample;
    use crate::watch::top::view::{Deed, View, Wish};

    fn process(pid: u32, path: &str, parent: Option<u32>, second: u64) -> ProcessRow {
        ProcessRow {
            pid,
            path: path.to_owned(),
            parent,
            cpu_ns: second * 100_000_000 * u64::from(pid),
            calls: second * 1000 * u64::from(pid),
            memory_bytes: 65536 << pid,
            ..ProcessRow::default()
        }
    }

    fn sample(second: u64) -> Sample {
        let mut processes = vec![
            process(1, "/shop", None, second),
            process(2, "/shop/front", Some(0), second),
            process(3, "/shop/back", Some(0), second),
            process(4, "/shop/back/cart", Some(2), second),
            process(5, "/shop/back/store\x1b[2J", Some(2), second),
        ];
        processes[1].memory_limit = Some(1 << 19);
        let (trap, place) = ("out of bounds memory access".to_owned(), Some("store#get".to_owned()));
        processes[4].condition = Condition::Faulted { trap, place };
        processes[3].condition = Condition::Running;
        let latency = Latency { samples: 9, p50_ns: 1_200, p90_ns: 2_000, p99_ns: 15_000, max_ns: 1_250_000 };
        let edge = |caller: &str, callee: &str, calls: Option<u64>| EdgeRow {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            function: "demo:shop/kv#get".to_owned(),
            rung: "channel".to_owned(),
            calls,
            failures: 2,
            latency: calls.map(|_| latency),
        };
        let edges = vec![
            edge("/shop/front", "/shop/back/cart", None),
            edge("/shop/front", "/shop/back", Some(second * 250)),
        ];
        let shop = TreeSummary { name: "shop".to_owned(), os_pid: 4711, processes, ..TreeSummary::default() };
        let blog = TreeSummary {
            name: "blog".to_owned(),
            os_pid: 4802,
            processes: vec![process(1, "/blog", None, 0)],
            ..TreeSummary::default()
        };
        Sample {
            at_ns: second * 1_000_000_000,
            trees: vec![shop, blog],
            edges: vec![edges, Vec::new()],
            silent: Vec::new(),
        }
    }

    fn view() -> View {
        let mut view = View::default();
        view.take(sample(1));
        view.take(sample(2));
        view
    }

    fn press(view: &mut View, code: KeyCode) -> Wish {
        view.press(KeyEvent::new(code, KeyModifiers::NONE), 5)
    }

    fn screen(view: &mut View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let rows = view.rows();
        view.follow(&rows, shown_rows(height));
        terminal.draw(|frame| draw(view, frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn shows_trees_unfolded_and_folded() {
        let mut view = view();
        press(&mut view, KeyCode::Down);
        insta::assert_snapshot!(screen(&mut view, 100, 24));
        press(&mut view, KeyCode::Down);
        press(&mut view, KeyCode::Left);
        press(&mut view, KeyCode::Char('s'));
        insta::assert_snapshot!(screen(&mut view, 80, 12));
    }

    #[test]
    fn asks_before_it_does_something() {
        let mut view = view();
        press(&mut view, KeyCode::End);
        assert_eq!(press(&mut view, KeyCode::Char('K')), Wish::Nothing);
        assert!(screen(&mut view, 80, 12).contains("kill /blog and what shares its domain?  y yes"));
        assert_eq!(press(&mut view, KeyCode::Char('n')), Wish::Nothing);
        assert_eq!(press(&mut view, KeyCode::Char('y')), Wish::Nothing);
        press(&mut view, KeyCode::Char('R'));
        assert_eq!(press(&mut view, KeyCode::Char('y')), Wish::Do(Deed::Restart, (4802, "/blog".to_owned())));
        // Who is gone is not asked about any more.
        press(&mut view, KeyCode::Char('K'));
        let gone = Sample { trees: sample(3).trees[..1].to_vec(), ..sample(3) };
        view.take(gone);
        assert_eq!(press(&mut view, KeyCode::Char('y')), Wish::Nothing);
    }

    #[test]
    fn any_size_will_do() {
        let mut view = view();
        for (width, height) in [(1, 1), (2, 3), (10, 2), (20, 5), (40, 17), (40, 18), (300, 60)] {
            screen(&mut view, width, height);
            press(&mut view, KeyCode::Down);
        }
        assert!(screen(&mut View::default(), 40, 10).contains("no tree runs"));
    }

    #[test]
    fn what_is_marked_is_shown() {
        let mut view = view();
        press(&mut view, KeyCode::End);
        assert!(screen(&mut view, 80, 5).contains("blog (4802)"));
        press(&mut view, KeyCode::Home);
        assert!(screen(&mut view, 80, 5).contains("shop (4711)"));
    }

    #[test]
    fn bars_and_numbers_are_short() {
        assert_eq!([bar(0.0, 3), bar(0.5, 3), bar(1.0, 3), bar(7.0, 3)], ["   ", "█▌ ", "███", "███"]);
        assert_eq!(
            [0.0, 0.25, 99.9, 1234.5, 12_345.0, 2e6].map(number),
            ["0", "0.2", "99.9", "1234", "12.3k", "2.0M"]
        );
    }
}
