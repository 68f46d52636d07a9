//! Trees that run while they are called, killed, restarted and supervised, on a schedule that the input decides: what the trials
//! of `ipc` and of the supervisor try.

use std::cell::RefCell;

use ipc::trial::disorder::try_calls;
use ipc::trial::forge::Forge;
use ipc::trial::keepsake::try_handles;
use supervisor::tend::trial::drill::try_drill;
use supervisor::tend::trial::history::try_history;

use crate::stretch::stretched;

/// A shorter input is lengthened to this: more choices than most schedules have.
const INPUT_BYTES: usize = 2_048;
/// Histories of the rules alone that are tried with each input: they cost little.
const HISTORIES: usize = 4;

thread_local! {
    static FORGE: RefCell<Forge> = RefCell::default();
}

/// One schedule.
///
/// # Panics
/// If a promise is not kept.
pub fn check(data: &[u8]) {
    let bytes = stretched(data, INPUT_BYTES);
    let (first, rest) = bytes.split_first().expect("it was lengthened");
    FORGE.with_borrow_mut(|forge| match first % 8 {
        0..4 => {
            try_calls(forge, rest);
        }
        4 => try_handles(forge, rest),
        5 => {
            for at in 0..HISTORIES {
                try_history(&rest[at..]);
            }
        }
        _ => {
            let mut make = |text: &str| {
                let executable = forge.executable(text);
                (forge.engine().clone(), executable)
            };
            try_drill(&mut make, rest);
        }
    });
}
