//! `atoll bench ipc`: every load over every rung, each by turns with its floor.

use std::time::Duration;

use super::IpcArgs;
use super::course::{Guests, RUNGS, Rung};
use super::ground::{Floor, Ground};
use super::load::{LOADS, Load};
use super::pacing::{Pace, TURNS};
use super::readings::Readings;
use super::scoresheet::{Absent, FloorRow, Row, Sheet};
use crate::complaint::Complaint;
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::progress::Progress;

/// How long a row takes, and its floor.
const USUAL: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(250)];
const QUICK: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(25)];

/// Measures what is asked for.
///
/// # Errors
/// Nothing is, or there is no machine.
pub fn measure(args: &IpcArgs) -> Result<Sheet, Trouble> {
    let wanted = |load: &&Load| args.load.as_ref().is_none_or(|text| load.name.contains(text.as_str()));
    let loads: Vec<&Load> = LOADS.iter().filter(wanted).collect();
    if loads.is_empty() {
        let names: Vec<&str> = LOADS.iter().map(|load| load.name).collect();
        let what = format!("--load {}: no such load", args.load.as_deref().unwrap_or_default());
        return Err(Complaint::new(Exit::Usage, what)
            .advise(format!("there are {}", names.join(", ")))
            .into());
    }
    let rungs: Vec<Rung> =
        RUNGS.into_iter().filter(|rung| args.rung.is_empty() || args.rung.contains(rung)).collect();
    let mut sheet = Sheet::begin("ipc", args.output.quick);
    let guests = Guests::compile()?;
    let mut ground = Ground::new();
    let times = if args.output.quick { QUICK } else { USUAL };
    let rows = rungs.len() * loads.len();
    for rung in rungs {
        let course = match guests.start(rung)? {
            Ok(course) => course,
            Err(why) => {
                sheet.absent.push(Absent { rung: rung.name().to_owned(), why });
                continue;
            }
        };
        for &load in &loads {
            let done = sheet.rows.len();
            let _progress = Progress::of(&format!("{} of {rows}: {}, {}", done + 1, rung.name(), load.name));
            let mut send = |samples, batch| course.send(load, samples, batch);
            let floor = Floor::of(rung, load);
            let mut stand = |samples, batch| Ok(ground.measure(floor, load.bytes, samples, batch)?);
            let (row, floor_readings) = by_turns(times, &mut send, &mut stand)?;
            let floor = FloorRow::of(floor.name(load.bytes), &floor_readings);
            sheet.rows.push(Row::of(rung.name(), load.name, load.bytes, &row, Some(floor)));
        }
    }
    Ok(sheet)
}

/// Measures two kinds of work by turns.
///
/// # Errors
/// Theirs.
pub fn by_turns(
    times: [Duration; 2],
    row: &mut dyn FnMut(u32, u32) -> Result<Readings, Trouble>,
    floor: &mut dyn FnMut(u32, u32) -> Result<Readings, Trouble>,
) -> Result<(Readings, Readings), Trouble> {
    let paces = [Pace::find(times[0], row)?, Pace::find(times[1], floor)?];
    let mut readings = paces.map(|pace| Readings::new(pace.batch));
    for _ in 0..TURNS {
        readings[0].add(&row(paces[0].samples, paces[0].batch)?);
        readings[1].add(&floor(paces[1].samples, paces[1].batch)?);
    }
    let [row, floor] = readings;
    Ok((row, floor))
}
