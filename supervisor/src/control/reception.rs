//! Answers what a client asks, from what is known of the tree.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use abi::control::log_line::{LogLine, Source};
use abi::control::request::Request;
use abi::control::response::Response;
use abi::control::routing::Routes;
use ipc::traced::Trace;
use servers::{Explained, Wasi};

use super::dumps::Dump;
use super::exposition::exposition;
use super::patience::Line;
use super::routes::routes;
use super::{calling, digest, scrutiny, traces};
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::LOG_LINES_AT_ONCE;
use crate::logs::{self, Logs, Stream};
use crate::steward::{Steward, domain_of};
use crate::survey;

/// How long one step of waiting for something takes, after which the client may have hung up.
const STEP: Duration = Duration::from_millis(100);
/// The longest that a request may wait for something.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Who answers. It does not keep the tree alive.
#[derive(Clone)]
pub struct Reception {
    steward: Weak<dyn Steward>,
    began: Instant,
}

/// What is remembered between the requests of one client.
#[derive(Debug, Default)]
pub struct Visit {
    /// What is traced for it.
    trace: Option<Trace>,
    /// The dump that was made last for it.
    dump: Option<Dump>,
}

impl Reception {
    /// Answers for this tree, which begins now.
    #[must_use]
    pub fn new(steward: Weak<dyn Steward>) -> Reception {
        Reception { steward, began: Instant::now() }
    }

    /// The answer to one request of a client, who may hang up meanwhile.
    #[must_use]
    pub fn answer(&self, request: Request, visit: &mut Visit, line: &mut dyn Line) -> Response {
        let Some(steward) = self.steward.upgrade() else {
            return Complaint::new(Exit::Failed, "the tree has ended").into();
        };
        self.attempt(steward, request, visit, line).unwrap_or_else(Response::from)
    }

    /// The page of meters, as long as the tree runs.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        Some(self.metrics(&*self.steward.upgrade()?))
    }

    fn metrics(&self, steward: &dyn Steward) -> String {
        let edges = traces::edges(steward.launched());
        exposition(&digest::summary(steward, self.began.elapsed()), &edges)
    }

    fn attempt(
        &self,
        steward: Arc<dyn Steward>,
        request: Request,
        visit: &mut Visit,
        line: &mut dyn Line,
    ) -> Result<Response, Complaint> {
        Ok(match request {
            Request::Alive => Response::Done,
            Request::Summary => Response::Summary(digest::summary(&*steward, self.began.elapsed())),
            Request::Tree => Response::Tree(survey::view(steward.file(), steward.launched().tree())),
            Request::Inspect { path } => Response::Inspection(Box::new(scrutiny::inspect(&*steward, &path)?)),
            Request::Kill { path, by, for_good: false } => done(steward.kill(&path, &by))?,
            Request::Kill { path, by, for_good: true } => done(steward.terminate(&path, &by))?,
            Request::Restart { path, by } => done(steward.restart(&path, &by))?,
            Request::Down { by } => {
                steward.shut_down(&by);
                Response::Done
            }
            Request::Logs { path, tail: Some(most), .. } => {
                let most = LOG_LINES_AT_ONCE.min(most as usize);
                shown(steward.logs().tail(path.as_deref(), most))
            }
            Request::Logs { path, from, tail: None, wait_ms } => {
                let logs = Arc::clone(steward.logs());
                drop(steward);
                lines(&logs, path.as_deref(), from, Duration::from_millis(wait_ms.into()), line)
            }
            Request::Call { call } => calling::call(&*steward, &call, line)?,
            Request::Metrics => Response::Text(self.metrics(&*steward)),
            Request::Edges => Response::Edges(traces::edges(steward.launched())),
            Request::Route { path } => Response::Routes(route(&*steward, &path)?),
            Request::Trace { path, edge, only_count } => {
                let (path, edge) = (path.as_deref(), edge.as_deref());
                let (trace, edges) = traces::begin(steward.launched(), path, edge, only_count)?;
                visit.trace = Some(trace);
                Response::Edges(edges)
            }
            Request::Dump { path } => {
                visit.dump = None;
                visit.dump.insert(Dump::take(steward.launched(), &path)?).part(0)?
            }
            Request::DumpFrom { offset } => match &mut visit.dump {
                Some(dump) => dump.part(offset)?,
                None => return Err(Complaint::new(Exit::Failed, "nothing was dumped for this client")),
            },
            Request::Traced { wait_ms } => {
                drop(steward);
                let Some(trace) = &visit.trace else {
                    return Err(Complaint::new(Exit::Failed, "nothing is traced for this client"));
                };
                let calls = traces::read(trace, Duration::from_millis(wait_ms.into()), line);
                Response::Traced { calls, lost: trace.lost() }
            }
        })
    }
}

/// The imports of the process with this path.
fn route(steward: &dyn Steward, path: &str) -> Result<Routes, Complaint> {
    let launched = steward.launched();
    domain_of(launched, path)?;
    let tree = launched.tree();
    let states: Vec<_> = tree.processes().into_iter().map(|view| view.state).collect();
    let infos = (0..).zip(tree.linked().processes());
    let (process, _) =
        infos.into_iter().find(|(_, info)| info.path == path).expect("its domain has been found");
    let state = |process: u32| states.get(process as usize).cloned();
    let host = tree.host_state();
    let wasi = host.downcast_ref::<Wasi>();
    let grants = |process, interface: &str| match wasi {
        Some(wasi) => wasi.explain(process, interface),
        None => Explained {
            granted: true,
            text: "by the program that runs the tree".to_owned(),
            would_grant: None,
        },
    };
    let place = |domain| launched.place(domain).unwrap_or_default();
    Ok(routes(tree.linked(), process, &state, &place, &grants).expect("there is such a process"))
}

fn done(result: Result<(), Complaint>) -> Result<Response, Complaint> {
    result.map(|()| Response::Done)
}

/// The lines from a number on; waits for the first one.
fn lines(logs: &Logs, path: Option<&str>, mut from: u64, wait: Duration, line: &mut dyn Line) -> Response {
    let until = Instant::now() + wait.min(LONGEST_WAIT);
    let mut missed = false;
    loop {
        let page = logs.read(from, path, LOG_LINES_AT_ONCE);
        missed |= page.missed;
        from = page.next;
        let left = until.saturating_duration_since(Instant::now());
        if !page.lines.is_empty() || left.is_zero() || line.has_hung_up() {
            return shown(logs::Page { missed, ..page });
        }
        // Whether something has come is seen by reading.
        let _ = logs.wait(from, left.min(STEP));
    }
}

fn shown(page: logs::Page) -> Response {
    let lines = page.lines.into_iter().map(LogLine::from).collect();
    Response::Lines { lines, next: page.next, missed: page.missed }
}

impl From<logs::Line> for LogLine {
    fn from(line: logs::Line) -> LogLine {
        let source = match line.stream {
            Stream::Stdout => Source::Stdout,
            Stream::Stderr => Source::Stderr,
            Stream::Lifecycle => Source::Lifecycle,
        };
        LogLine { sequence: line.number, time_ns: line.at_ns, path: line.path, source, text: line.text }
    }
}

impl From<Complaint> for Response {
    fn from(complaint: Complaint) -> Response {
        Response::Refused(complaint.into())
    }
}
