//! What one client says and is answered, from its greeting to its end.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use abi::control::framing::Inbox;
use abi::control::greeting::Greeting;
use abi::control::refusal::Refusal;
use abi::control::request::Request;
use abi::control::response::Response;
use abi::limits::MAX_REQUEST_BYTES;

use super::patience::Line;
use super::reception::{Reception, Visit};
use crate::exit_code::Exit;

/// How long a client may be silent between two requests.
const IDLE: Duration = Duration::from_secs(120);
/// How long the greeting, a request that has begun, or reading an answer may take.
const WHOLE: Duration = Duration::from_secs(5);
/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// What atoll calls itself in greetings.
pub const PROGRAM: &str = concat!("atoll ", env!("CARGO_PKG_VERSION"));

/// Serves a client until it hangs up, breaks the rules, or is too slow.
pub fn converse(line: &mut dyn Line, reception: &Reception) {
    // Whatever went wrong with the line, there is nobody left to be told.
    let _ = attend(line, reception);
}

fn attend(line: &mut dyn Line, reception: &Reception) -> io::Result<()> {
    let mut inbox = Inbox::new("a request", MAX_REQUEST_BYTES);
    if !greet(line, &mut inbox)? {
        return Ok(());
    }
    let mut visit = Visit::default();
    loop {
        let frame = match hear(line, &mut inbox, IDLE, Inbox::frame)? {
            Some(Ok(frame)) => Request::from_bytes(&frame),
            Some(Err(error)) => Err(error),
            None => return Ok(()),
        };
        let (response, goes_on) = match frame {
            Ok(request) => (reception.answer(request, &mut visit, line), true),
            Err(error) => (misunderstood(&error.to_string()), false),
        };
        line.send(&response.to_frame(), Instant::now() + WHOLE)?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// Compares versions; whether the client can be understood.
fn greet(line: &mut dyn Line, inbox: &mut Inbox) -> io::Result<bool> {
    let (answer, goes_on) = match hear(line, inbox, WHOLE, Greeting::take)? {
        Some(Ok(client)) => Greeting::answer(&client, PROGRAM),
        Some(Err(error)) => (Greeting::new(&error.to_string()), false),
        None => return Ok(false),
    };
    line.send(&answer.to_bytes(), Instant::now() + WHOLE)?;
    Ok(goes_on)
}

/// What was answered to what is no request. It is the last thing that is said.
fn misunderstood(what: &str) -> Response {
    Response::Refused(Refusal { exit: Exit::Failed.code(), what: what.to_owned(), ..Refusal::default() })
}

/// Reads until something whole has come; none if the client has hung up.
///
/// Its first byte may take `silence`, the rest [`WHOLE`].
fn hear<T, E>(
    line: &mut dyn Line,
    inbox: &mut Inbox,
    silence: Duration,
    whole: impl Fn(&mut Inbox) -> Result<Option<T>, E>,
) -> io::Result<Option<Result<T, E>>> {
    let mut until = Instant::now() + if inbox.is_empty() { silence } else { WHOLE };
    let mut bytes = [0; CHUNK];
    loop {
        match whole(inbox) {
            Ok(Some(whole)) => return Ok(Some(Ok(whole))),
            Ok(None) => {}
            Err(error) => return Ok(Some(Err(error))),
        }
        let was_silent = inbox.is_empty();
        match line.receive(&mut bytes, until) {
            Ok(0) => return Ok(None),
            Ok(read) => inbox.push(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
        if was_silent {
            until = Instant::now() + WHOLE;
        }
    }
}
