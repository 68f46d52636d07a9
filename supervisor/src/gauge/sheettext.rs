//! The result as text: a table, a rung's rows together.

use std::fmt::Write as _;

use super::course::RUNGS;
use super::scoresheet::{Hop, Row, Sheet};
use super::versus::{Change, Versus};
use crate::paint::{Paint, Role};
use crate::treetext;

/// The table, with how each row has changed.
#[must_use]
pub fn render(sheet: &Sheet, versus: Option<&Versus>, paint: Paint) -> String {
    let mut text = format!(
        "{}\n",
        paint.text(Role::Name, format!("atoll {} on {}", sheet.machine.atoll, sheet.machine))
    );
    for note in notes(sheet, versus) {
        push(&mut text, format_args!("{}\n", paint.text(Role::Note, note)));
    }
    let mut table = vec![head(versus.is_some())];
    table.extend(sheet.rows.iter().map(|row| cells(row, versus)));
    let widths: Vec<usize> = (0..table[0].len())
        .map(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut rung = None;
    push(&mut text, format_args!("\n{}\n", paint.text(Role::Aside, aligned(&table[0], &widths))));
    for (row, cells) in sheet.rows.iter().zip(&table[1..]) {
        if rung != Some(&row.rung) {
            rung = Some(&row.rung);
            push(&mut text, format_args!("{}\n", heading(sheet, row, paint)));
        }
        let line = aligned(cells, &widths);
        let change = versus.and_then(|versus| versus.of(row)).map(|pair| pair.change);
        match change {
            Some(Change::Slower) => push(&mut text, format_args!("{}\n", paint.text(Role::Bad, line))),
            Some(Change::Faster) => push(&mut text, format_args!("{}\n", paint.text(Role::Good, line))),
            _ => push(&mut text, format_args!("{line}\n")),
        }
    }
    if !sheet.edges.is_empty() {
        text += &edges(&sheet.edges, paint);
    }
    for absent in &sheet.absent {
        let line = format!("{}: not measured: {}", absent.rung, absent.why);
        push(&mut text, format_args!("{}\n", paint.text(Role::Note, line)));
    }
    if let Some(versus) = versus {
        push(&mut text, format_args!("\n{}\n", verdict(versus)));
    }
    text
}

/// What each edge below a call takes, those below it included.
fn edges(edges: &[Hop], paint: Paint) -> String {
    let head = ["edges below it, counted afterwards", "", "rung", "each", "median", "p99"].map(str::to_owned);
    let mut table = vec![head];
    table.extend(edges.iter().map(|edge| {
        [
            format!("  {} → {}", edge.caller, edge.callee),
            edge.function.clone(),
            edge.rung.clone(),
            format!("{:.1}", edge.calls_each),
            time(edge.median_ns as f64),
            time(edge.p99_ns as f64),
        ]
    }));
    let width = |at: usize| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    let mut text = String::from("\n");
    for (at, row) in table.iter().enumerate() {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match at {
                0 => push(&mut line, format_args!("{cell:<width$}")),
                1 | 2 => push(&mut line, format_args!("  {cell:<width$}")),
                _ => push(&mut line, format_args!("  {cell:>width$}")),
            }
        }
        let line = line.trim_end();
        match at {
            0 => push(&mut text, format_args!("{}\n", paint.text(Role::Aside, line))),
            _ => push(&mut text, format_args!("{line}\n")),
        }
    }
    text
}

/// What has to be known to read the figures.
fn notes(sheet: &Sheet, versus: Option<&Versus>) -> Vec<String> {
    let mut notes = Vec::new();
    if !sheet.machine.release {
        notes.push("built for development: atoll's own part takes longer than with --release".to_owned());
    }
    if !sheet.machine.is_quiet() {
        notes.push("the machine was busy with other work: take the percentiles for its, not ours".to_owned());
    }
    if sheet.quick {
        notes.push("--quick: a rough look".to_owned());
    }
    if versus.is_some_and(|versus| !versus.alike) {
        notes.push("the older result is of another machine or another build".to_owned());
    }
    notes
}

fn heading(sheet: &Sheet, row: &Row, paint: Paint) -> String {
    let known = RUNGS.iter().find(|rung| rung.name() == row.rung);
    let means = known.map_or_else(
        || sheet.file.clone().unwrap_or_default(),
        |rung| format!("{}: {}", rung.name(), rung.means()),
    );
    paint.text(Role::Name, means).to_string()
}

fn head(compared: bool) -> Vec<String> {
    let mut head = ["", "median", "p99", "p99.9", "calls/s", "bytes/s", "batch", "floor", "", "×"].to_vec();
    if compared {
        head.extend(["before", "now ×", ""]);
    }
    head.into_iter().map(str::to_owned).collect()
}

fn cells(row: &Row, versus: Option<&Versus>) -> Vec<String> {
    let or_dash = |ns: Option<f64>| ns.map_or_else(|| "–".to_owned(), time);
    let per_second = 1e9 / row.mean_ns;
    let bytes = match row.bytes {
        0 => String::new(),
        bytes => treetext::bytes((per_second * f64::from(bytes)) as u64),
    };
    let mut cells = vec![
        format!("  {}", row.load),
        time(row.median_ns),
        or_dash(row.p99_ns),
        or_dash(row.p999_ns),
        number(per_second),
        bytes,
        row.batch.to_string(),
        row.floor.as_ref().map_or_else(String::new, |floor| floor.name.clone()),
        row.floor.as_ref().map_or_else(String::new, |floor| time(floor.median_ns)),
        row.times_floor().map_or_else(String::new, |times| format!("{times:.2}")),
    ];
    if let Some(versus) = versus {
        let pair = versus.of(row);
        cells.push(pair.map_or_else(|| "new".to_owned(), |pair| time(pair.old_ns)));
        cells.push(pair.map_or_else(String::new, |pair| format!("{:.2}", pair.ratio)));
        let mark = match pair.map(|pair| pair.change) {
            Some(Change::Slower) => "slower",
            Some(Change::Faster) => "faster",
            _ => "",
        };
        cells.push(mark.to_owned());
    }
    cells
}

/// Names to the left, numbers to the right.
fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        match at {
            0 => push(&mut line, format_args!("{cell:<width$}")),
            7 | 12 => push(&mut line, format_args!("  {cell:<width$}")),
            _ => push(&mut line, format_args!("  {cell:>width$}")),
        }
    }
    line.trim_end().to_owned()
}

fn verdict(versus: &Versus) -> String {
    let count = |change| versus.changes.iter().filter(|pair| pair.change == change).count();
    let per_cent = versus.tolerance * 100.0;
    format!(
        "{} slower by more than {per_cent} %, {} faster, {} the same",
        count(Change::Slower),
        count(Change::Faster),
        count(Change::Same)
    )
}

/// A time in the unit in which it is short.
#[must_use]
pub fn time(ns: f64) -> String {
    match ns {
        ..100.0 => format!("{ns:.1} ns"),
        ..10_000.0 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.1} µs", ns / 1e3),
        ..1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

fn number(count: f64) -> String {
    match count {
        ..1e3 => format!("{count:.0}"),
        ..1e6 => format!("{:.1} k", count / 1e3),
        ..1e9 => format!("{:.1} M", count / 1e6),
        _ => format!("{:.2} G", count / 1e9),
    }
}

fn push(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::gauge::scoresheet::{Absent, FloorRow, Hop, Row, Sheet};
    use crate::gauge::surroundings::Surroundings;
    use crate::gauge::versus::Versus;
    use crate::paint::Paint;

    fn row(rung: &str, load: &str, bytes: u32, median_ns: f64, floor: f64) -> Row {
        let floor = FloorRow { name: "native call".to_owned(), samples: 500, batch: 9, median_ns: floor };
        Row {
            rung: rung.to_owned(),
            load: load.to_owned(),
            bytes,
            samples: 500,
            batch: 100,
            median_ns,
            p99_ns: Some(median_ns * 1.5),
            p999_ns: None,
            mean_ns: median_ns * 1.1,
            floor: Some(floor),
        }
    }

    fn sheet(factor: f64) -> Sheet {
        let machine = Surroundings {
            processor: "A Processor".to_owned(),
            cores: 2,
            system: "Linux 6.1".to_owned(),
            load: 5,
            atoll: "0.1.0".to_owned(),
            release: true,
        };
        let rows = vec![
            row("fused", "u32 pair", 0, 1.7, 1.4),
            row("fused", "string 64 KiB", 65536, 1_226.0 * factor, 1_161.0),
            row("channel", "u32 pair", 0, 5_123_456.0 / factor, 4_000_000.0),
        ];
        Sheet {
            format: 1,
            kind: "ipc".to_owned(),
            file: None,
            quick: false,
            machine,
            rows,
            absent: Vec::new(),
            edges: Vec::new(),
        }
    }

    #[test]
    fn a_table_names_the_machine_and_stands_beside_its_floors() {
        insta::assert_snapshot!(render(&sheet(1.0), None, Paint::PLAIN), @"
        atoll 0.1.0 on A Processor, 2 cores, Linux 6.1; load 0.05

                          median      p99  p99.9  calls/s   bytes/s  batch  floor                    ×
        fused: both in one domain
          u32 pair        1.7 ns   2.5 ns      –  534.8 M              100  native call   1.4 ns  1.21
          string 64 KiB  1226 ns  1839 ns      –  741.5 k  45.3 GiB    100  native call  1161 ns  1.06
        channel: two domains on two workers
          u32 pair        5.1 ms   7.7 ms      –      177              100  native call   4.0 ms  1.28
        ");
    }

    #[test]
    fn what_is_slower_is_marked() {
        let (old, mut new) = (sheet(1.0), sheet(2.0));
        new.rows.push(row("call", "f(1)", 0, 900.0, 450.0));
        new.machine.load = 300;
        new.machine.release = false;
        let why = "no process can be started".to_owned();
        new.absent.push(Absent { rung: "process".to_owned(), why });
        new.edges.push(Hop {
            caller: "/shop/front".to_owned(),
            callee: "/shop/cart".to_owned(),
            function: "add".to_owned(),
            rung: "handoff".to_owned(),
            calls_each: 1.0,
            samples: 100,
            median_ns: 210,
            p99_ns: 12_345,
        });
        let versus = Versus::new(&old, &new, 0.15);
        assert!(versus.is_slower());
        insta::assert_snapshot!(render(&new, Some(&versus), Paint::PLAIN), @"
        atoll 0.1.0 on A Processor, 2 cores, Linux 6.1; load 3.00
        built for development: atoll's own part takes longer than with --release
        the machine was busy with other work: take the percentiles for its, not ours
        the older result is of another machine or another build

                          median      p99  p99.9  calls/s   bytes/s  batch  floor                    ×   before  now ×
        fused: both in one domain
          u32 pair        1.7 ns   2.5 ns      –  534.8 M              100  native call   1.4 ns  1.21   1.7 ns   1.00
          string 64 KiB  2452 ns  3678 ns      –  370.8 k  22.6 GiB    100  native call  1161 ns  2.11  1226 ns   2.00  slower
        channel: two domains on two workers
          u32 pair        2.6 ms   3.8 ms      –      355              100  native call   4.0 ms  0.64   5.1 ms   0.50  faster

          f(1)            900 ns  1350 ns      –    1.0 M              100  native call   450 ns  2.00      new

        edges below it, counted afterwards       rung     each  median      p99
          /shop/front → /shop/cart          add  handoff   1.0  210 ns  12.3 µs
        process: not measured: no process can be started

        1 slower by more than 15 %, 1 faster, 1 the same
        ");
        let json: serde_json::Value = serde_json::from_str(&versus.to_json(&new)).expect("it is JSON");
        assert_eq!(json["compared"]["changes"][1]["change"], "slower");
        assert_eq!(json["rows"][1]["load"], "string 64 KiB");
        let again = Sheet::from_json(versus.to_json(&new).as_bytes()).expect("it is a result too");
        assert_eq!((again.rows.len(), &again.absent), (4, &new.absent));
        assert!(!Versus::new(&old, &old, 0.15).is_slower());
    }
}
