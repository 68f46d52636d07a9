//! A domain with a thread of its own: serves one call at a time, in the order they came.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use abi::fault::{Fault, Trap};
use kernel::component::carrier::{Crossing, Server, Undelivered};
use kernel::component::neighbour::Receiver;
use kernel::component::port::DEADLINE;
use kernel::sched::handoff::note_callers;
use kernel::sched::park::{self, Waiter};
use kernel::sched::thread::{Body, Next, Thread};

use crate::fates::{Board, Event, Life, What};
use crate::mailbox::{Answer, Mailbox, Message, Refused};
use crate::reply::{self, Pending};
use crate::waits::{Station, Waiting, Waits};

/// Limits of the calls that a domain serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// How long it may work on one call before that faults; nanoseconds.
    pub wall_clock_ns: Option<u64>,
    /// How much a message to it may carry, as [`Crossing::bytes`] counts it.
    pub message_bytes: Option<u64>,
}

/// One life of a domain, as its callers see it.
#[derive(Debug)]
pub struct Actor {
    station: Station,
    name: Arc<str>,
    mailbox: Arc<Mailbox>,
    limits: CallLimits,
    undelivered: Undelivered,
    thread: OnceLock<Thread>,
    /// Who is told what becomes of it.
    board: Arc<Board>,
    /// Why it is to end, once that is decided.
    ending: OnceLock<Trap>,
    /// It is to end when nothing waits for it any more.
    retiring: AtomicBool,
    /// Somebody waits for its end.
    ended: (Mutex<bool>, Condvar),
    calls: AtomicU64,
}

/// What its thread runs.
struct Serving {
    actor: Arc<Actor>,
    server: Server,
    /// Why the domain is to be started again before anything is served.
    restart: Option<Trap>,
}

impl Actor {
    pub(crate) fn new(
        station: Station,
        name: Arc<str>,
        room: usize,
        limits: CallLimits,
        undelivered: Undelivered,
        board: &Arc<Board>,
    ) -> Arc<Actor> {
        Arc::new(Actor {
            station,
            name,
            mailbox: Mailbox::new(room),
            limits,
            undelivered,
            thread: OnceLock::new(),
            board: Arc::clone(board),
            ending: OnceLock::new(),
            retiring: AtomicBool::new(false),
            ended: Default::default(),
            calls: AtomicU64::new(0),
        })
    }

    /// The body of its thread, which is to be given to [`Self::sit`]. With `restart` it begins the next life of the
    /// domain first, for that reason.
    pub(crate) fn body(self: &Arc<Actor>, server: Server, restart: Option<Trap>) -> Box<dyn Body> {
        Box::new(Serving { actor: Arc::clone(self), server, restart })
    }

    pub(crate) fn sit(&self, thread: Thread) {
        let first = self.thread.set(thread).is_ok();
        debug_assert!(first, "an actor has one thread");
    }

    /// The path of the process that the domain begins with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in the table of waits.
    pub(crate) fn station(&self) -> Station {
        self.station
    }

    /// Its thread.
    #[must_use]
    pub fn thread(&self) -> Option<&Thread> {
        self.thread.get()
    }

    /// How many calls it has been given.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed) + self.thread.get().map_or(0, Thread::visits)
    }

    /// Whether it may be called without a message: calls to it have no limits that a message is measured by.
    pub(crate) fn is_open(&self) -> bool {
        self.limits == CallLimits::default()
    }

    /// Whether there is a limit of what a message to it may carry.
    pub(crate) fn measures(&self) -> bool {
        self.limits.message_bytes.is_some()
    }

    /// The calls that wait for it.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Why it ends or has ended, once that is decided.
    #[must_use]
    pub fn ending(&self) -> Option<&Trap> {
        self.ending.get()
    }

    /// Calls it: blocks the OS thread that calls, or parks the guest thread, `after_ns` at most. `from` is the domain
    /// that calls, if one does.
    ///
    /// # Errors
    /// Its fault; that it is gone; that the time has passed, or that waiting would never end.
    pub(crate) fn call(
        &self,
        crossing: Crossing,
        from: Option<&Actor>,
        waits: &Waits,
        after_ns: Option<u64>,
    ) -> Answer {
        let _waiting = from.map(|from| self.is_waited_for(from, waits)).transpose()?;
        let patience = Patience::new(park::now_ns(), after_ns);
        let (mut message, pending) = self.start(crossing)?;
        while let Some(refused) = self.send(message, Waiter::current)? {
            message = refused;
            patience.pause(NO_ROOM)?;
        }
        patience.wait(&pending)
    }

    /// Waits, for domain `from`, for a call that was handed over to this one at `began_ns` and has left the processor.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn follow(
        &self,
        from: &Actor,
        waits: &Waits,
        began_ns: u64,
        after_ns: Option<u64>,
        go_on: &mut dyn FnMut(Receiver),
    ) -> Answer {
        let _waiting = self.is_waited_for(from, waits)?;
        let (reply, pending) = reply::pair(Some(self.undelivered.clone()));
        go_on(Box::new(move |answer| reply.answer(answer)));
        Patience::new(began_ns, after_ns).wait(&pending)
    }

    fn is_waited_for<'w>(&self, from: &Actor, waits: &'w Waits) -> Result<Waiting<'w>, Trap> {
        note_callers();
        waits.begin(from.station, &from.name, self.station, &self.name)
    }

    /// Sends a message, or gives it back if there is no room; then `waiter` is woken when there may be.
    pub(crate) fn send(
        &self,
        message: Message,
        waiter: impl FnOnce() -> Waiter,
    ) -> Result<Option<Message>, Fault> {
        match self.mailbox.push(message, waiter) {
            Ok(()) => {
                self.calls.fetch_add(1, Ordering::Relaxed);
                self.wake();
                Ok(None)
            }
            Err(Refused::Full(message)) => Ok(Some(message)),
            Err(Refused::Closed(why)) => Err(Fault::new(Trap::Gone(why.to_string()))),
        }
    }

    /// Sends something that nobody waits for.
    pub(crate) fn post(&self, crossing: Crossing) {
        self.mailbox.post(Message::new(crossing, None, self.undelivered.clone()));
        self.wake();
    }

    fn wake(&self) {
        self.thread.get().iter().for_each(|thread| thread.wake());
    }

    /// A call that is yet to be sent.
    ///
    /// # Errors
    /// It carries more than a message may.
    pub(crate) fn start(&self, crossing: Crossing) -> Result<(Message, Pending), Fault> {
        if let Some(allowed) = self.limits.message_bytes {
            let value = crossing.bytes();
            if value > allowed {
                drop(Message::new(crossing, None, self.undelivered.clone()));
                return Err(Fault::new(Trap::Limit { limit: "bytes of a message", value, allowed }));
            }
        }
        let (reply, pending) = reply::pair(Some(self.undelivered.clone()));
        Ok((Message::new(crossing, Some(reply), self.undelivered.clone()), pending))
    }

    /// Ends it, whatever it is doing. Its callers, present and future, are answered.
    pub(crate) fn kill(&self, why: Trap) {
        let _ = self.ending.set(why.clone());
        if let Some(thread) = self.thread.get() {
            thread.condemn_for_good(why);
        }
    }

    /// Lets it end: it takes no more calls, and ends when those that wait are answered. With `waits_no_more` the one that
    /// it serves ends when it next waits for time or input.
    pub(crate) fn retire(&self, why: &Trap, waits_no_more: bool) {
        self.mailbox.shut(why);
        self.retiring.store(true, Ordering::SeqCst);
        match self.thread.get() {
            Some(thread) if waits_no_more => thread.ask_to_end(Trap::Exit(0)),
            _ => self.wake(),
        }
    }

    /// Waits until it has ended. Blocks the OS thread.
    pub(crate) fn wait(&self) {
        let ended = self.ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.ended.1.wait_while(ended, |ended| !*ended));
    }
}

impl Serving {
    /// Serves one message, for as long as it may take.
    fn serve(&self, message: Message) {
        if message.is_abandoned() {
            return;
        }
        let (Some(mut crossing), reply) = message.open() else { return };
        let thread = park::current_thread();
        let alarm = self.actor.limits.wall_clock_ns.zip(thread.as_ref()).and_then(|(allowed, thread)| {
            let at_ns = park::now_ns().saturating_add(allowed);
            let trap = Trap::Limit { limit: "wall-clock time of a call in ns", value: allowed, allowed };
            thread.condemn_at(at_ns, trap)
        });
        let answer = self.server.serve(&crossing);
        if let Some((alarm, thread)) = alarm.zip(thread) {
            thread.cancel(alarm);
            // The call is over, and with it what condemned it, unless that was more than the call: that stays.
            thread.pardon();
        }
        if reply.is_some_and(|reply| !reply.answer(answer))
            && let Some(afterwards) = crossing.afterwards()
        {
            self.server.post(afterwards);
        }
    }
}

impl Serving {
    fn tell(&self, what: What) {
        let life = Life(self.actor.station.0);
        self.actor.board.tell(Event { domain: self.server.domain_id(), life, what });
    }
}

impl Body for Serving {
    fn run(&mut self) -> Next {
        loop {
            if self.actor.ending.get().is_some() {
                return Next::End;
            }
            if let Some(why) = self.restart.take() {
                // Whoever begins the life after this one ends this one first.
                let ending = &self.actor.ending;
                match self.server.restart(&why, &|| ending.get().is_none()) {
                    Ok(true) => self.tell(What::Began),
                    Ok(false) => {}
                    Err(error) => {
                        let why = Trap::Killed(format!("it could not be started again: {error}"));
                        let _ = self.actor.ending.set(why);
                    }
                }
                continue;
            }
            // Asked before the look at what waits: nothing comes after that.
            let retiring = self.actor.retiring.load(Ordering::SeqCst);
            match self.actor.mailbox.take() {
                Some(message) => self.serve(message),
                None if retiring => {
                    let why = self.actor.mailbox.closed().unwrap_or(Trap::Killed("it was let go".to_owned()));
                    let _ = self.actor.ending.set(why);
                }
                None => return Next::Idle,
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let why = self.actor.ending.get_or_init(|| Trap::Killed("its thread ended".to_owned()));
        self.actor.mailbox.close(why);
        self.server.end(why);
        self.tell(What::Ended(why.clone()));
        *self.actor.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.actor.ended.1.notify_all();
    }
}

/// A deadline that passed before there was room for the message.
const NO_ROOM: &str = "deadline of a call in ns, waiting for room in a mailbox";

/// How long a caller waits.
struct Patience {
    began_ns: u64,
    deadline_ns: Option<u64>,
}

impl Patience {
    fn new(began_ns: u64, after_ns: Option<u64>) -> Patience {
        Patience { began_ns, deadline_ns: after_ns.map(|after_ns| began_ns.saturating_add(after_ns)) }
    }

    /// Parks until somebody wakes whoever runs this.
    fn pause(&self, limit: &'static str) -> Result<(), Fault> {
        match self.deadline_ns {
            Some(at_ns) if park::now_ns() >= at_ns => {
                let value = park::now_ns().saturating_sub(self.began_ns);
                let allowed = at_ns.saturating_sub(self.began_ns);
                Err(Fault::new(Trap::Limit { limit, value, allowed }))
            }
            _ => Ok(park::park(self.deadline_ns)?),
        }
    }

    fn wait(&self, pending: &Pending) -> Answer {
        loop {
            if let Some(answer) = pending.take(Waiter::current) {
                return answer;
            }
            if let Err(fault) = self.pause(DEADLINE) {
                return pending.abandon().unwrap_or(Err(fault));
            }
        }
    }
}
