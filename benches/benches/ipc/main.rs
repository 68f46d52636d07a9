//! What calls between components cost, beside Wasmtime and beside the machine: the same bytes, in the same process, by
//! turns. Everything stays inside one domain but for the rows of [`over_boundaries`].
//!
//! Prints a table of ratios. `ATOLL_TURNS` sets how many turns there are (31), `ATOLL_ROW` picks the rows whose name
//! contains it, `ATOLL_CRITERION` lets criterion measure too, for its history. `--test` does everything once.
//!
//! - `guests`: the components; each exports functions that make `n` calls
//! - [`ours`], [`theirs`]: running them
//! - [`floors`]: what the machine takes for the same
//! - [`rows`]: who does what; [`over_boundaries`]: calls over a boundary

mod floors;
mod ours;
mod over_boundaries;
mod rows;
mod theirs;

use std::time::{Duration, Instant};

use atoll_benches::contest::{Row, Score};
use criterion::Criterion;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let turns = std::env::var("ATOLL_TURNS").ok().and_then(|turns| turns.parse().ok());
    let turns = if smoke { 1 } else { turns.unwrap_or(31) };
    let only = std::env::var("ATOLL_ROW").unwrap_or_default();
    let criterion = !smoke && std::env::var_os("ATOLL_CRITERION").is_some();
    let mut criterion = criterion.then(quick);
    println!("{}\n", machine());
    println!("{}", Score::HEAD);
    for make in rows::all() {
        let mut row = make();
        if !row.name.contains(&only) {
            continue;
        }
        println!("{}", row.run(turns));
        if let Some(criterion) = &mut criterion {
            record(criterion, &mut row);
        }
    }
    if let Some(criterion) = criterion {
        criterion.final_summary();
    }
}

/// What the table was measured on, and how.
fn machine() -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = file("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = file("/proc/loadavg");
    format!(
        "{}, {cores} cores, Linux {}, load {}. Wasmtime as benches/Cargo.toml pins it. Medians of turns; × is atoll's time divided by \
         that of the column before it, the median of the turns.",
        model.map_or("an unknown processor", |(_, name)| name),
        file("/proc/sys/kernel/osrelease").trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}

fn quick() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(200), Duration::from_millis(500));
    Criterion::default()
        .sample_size(10)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .configure_from_args()
}

fn record(criterion: &mut Criterion, row: &mut Row<'_>) {
    let mut group = criterion.benchmark_group(format!("ipc/{}", row.name));
    for (who, work) in &mut row.contenders {
        group.bench_function(format!("{who:?}"), |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                work(u32::try_from(count).unwrap_or(u32::MAX));
                start.elapsed()
            });
        });
    }
}
