//! A thread that asks supervisors, so that a screen never waits for one.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use abi::control::request::Request;
use abi::control::response::Response;

use super::moment::{Key, Sample};
use super::view::Deed;
use crate::complaint::Complaint;
use crate::control::dialing::{self, PROMPT, unexpected, unreachable};

/// How long a domain may take to end, or to begin again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes from the thread.
#[derive(Debug)]
pub enum News {
    /// How it stands.
    Sample(Sample),
    /// What became of something that was to be done.
    Note(String),
}

/// The two ends of the thread. It ends when they are dropped.
#[derive(Debug)]
pub struct Sampler {
    /// What is to be done.
    pub deeds: Sender<(Deed, Key)>,
    /// What has come.
    pub news: Receiver<News>,
}

impl Sampler {
    /// Samples every `interval`.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(interval: Duration) -> std::io::Result<Sampler> {
        let ((deeds, to_do), (tell, news)) = (channel(), channel());
        let run = move || sample_on(interval, &to_do, &tell);
        thread::Builder::new().name("sampler".to_owned()).spawn(run)?;
        Ok(Sampler { deeds, news })
    }
}

fn sample_on(interval: Duration, to_do: &Receiver<(Deed, Key)>, tell: &Sender<News>) {
    let began = Instant::now();
    loop {
        let next = Instant::now() + interval;
        if tell.send(News::Sample(sample(began))).is_err() {
            return;
        }
        let left = next.saturating_duration_since(Instant::now());
        match to_do.recv_timeout(left) {
            Ok((deed, whom)) => {
                let note = perform(deed, &whom).unwrap_or_else(|complaint| complaint.in_one_line());
                if tell.send(News::Note(note)).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Everything as it stands.
pub fn sample(began: Instant) -> Sample {
    let mut sample = Sample::default();
    for answered in dialing::trees() {
        let os_pid = answered.os_pid;
        let found = answered.tree.and_then(|(tree, mut line)| {
            let Response::Edges(edges) = line.exchange(&Request::Edges, PROMPT)? else {
                return Ok((tree, Vec::new()));
            };
            Ok((tree, edges))
        });
        match found {
            Ok((tree, edges)) => {
                sample.trees.push(tree);
                sample.edges.push(edges);
            }
            Err(dialing::DialError::Gone) => {}
            Err(error) => sample.silent.push(unreachable(os_pid, error).in_one_line()),
        }
    }
    sample.at_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    sample
}

fn perform(deed: Deed, (os_pid, path): &Key) -> Result<String, Complaint> {
    let answered = dialing::trees().into_iter().find(|answered| answered.os_pid == *os_pid);
    let Some(Ok((_, mut line))) = answered.map(|answered| answered.tree) else {
        return Ok(format!("{path}: its tree has ended"));
    };
    let (by, for_good, path) = ("atoll top".to_owned(), false, path.clone());
    let (request, done) = match deed {
        Deed::Kill => (Request::Kill { path: path.clone(), by, for_good }, "killed"),
        Deed::Restart => (Request::Restart { path: path.clone(), by }, "restarted"),
    };
    match line.ask(&request, PATIENCE)? {
        Response::Done => Ok(format!("{path} {done}")),
        other => Err(unexpected(&other)),
    }
}
