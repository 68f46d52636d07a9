//! The OS thread that waits for all others: for files to become ready, and for times to come.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::park::Interest;
use super::thread::Thread;
use super::timers::Timers;
use crate::os::timer::monotonic_ns;

/// The number of the timer's file among the events; no file has it.
const TIMER: u64 = u64::MAX;
/// Events taken at a time.
const EVENTS: usize = 64;

pub(super) struct Reactor {
    epoll: Epoll,
    timers: Arc<Timers>,
    files: Mutex<HashMap<RawFd, Vec<Watch>>>,
    stopping: AtomicBool,
}

/// Somebody who waits for a file.
struct Watch {
    events: EpollFlags,
    thread: Thread,
}

impl Reactor {
    pub fn new() -> nix::Result<Reactor> {
        let timers = Timers::of_system()?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = timers.file().expect("the system's alarms have one");
        epoll.add(timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(Reactor {
            epoll,
            timers: Arc::new(timers),
            files: Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    pub fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    fn files(&self) -> MutexGuard<'_, HashMap<RawFd, Vec<Watch>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes `thread`, once, when `file` is ready, until [`Self::unwatch`].
    pub fn watch(&self, file: BorrowedFd<'_>, interest: Interest, thread: &Thread) -> nix::Result<()> {
        let events = match interest {
            Interest::Readable => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
            Interest::Writable => EpollFlags::EPOLLOUT,
        };
        let mut files = self.files();
        let watches = files.entry(file.as_raw_fd()).or_default();
        watches.push(Watch { events, thread: thread.clone() });
        let added = match watches.len() {
            1 => self.epoll.add(file, event(file, watches)),
            _ => self.epoll.modify(file, &mut event(file, watches)),
        };
        if let Err(errno) = added {
            watches.pop();
            if watches.is_empty() {
                files.remove(&file.as_raw_fd());
            }
            if errno != Errno::EPERM {
                return Err(errno);
            }
            thread.wake(); // a plain file, or a directory: always ready
        }
        Ok(())
    }

    /// Forgets that `thread` waits for `file`.
    pub fn unwatch(&self, file: BorrowedFd<'_>, thread: &Thread) {
        let mut files = self.files();
        let Some(watches) = files.get_mut(&file.as_raw_fd()) else { return };
        watches.retain(|watch| !watch.thread.is(thread));
        self.settle(&mut files, file);
    }

    /// Tells the system who waits for a file now.
    fn settle(&self, files: &mut HashMap<RawFd, Vec<Watch>>, file: BorrowedFd<'_>) {
        // The file is there as long as somebody waits for it; a refusal would mean that it is not.
        let _ = match files.get(&file.as_raw_fd()) {
            Some(watches) if !watches.is_empty() => self.epoll.modify(file, &mut event(file, watches)),
            _ => {
                files.remove(&file.as_raw_fd());
                self.epoll.delete(file)
            }
        };
    }

    /// Works until it is told to stop.
    pub fn serve(&self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        while !self.stopping.load(Ordering::Acquire) {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => &events[..count],
                Err(_) => &[],
            };
            for event in ready {
                match event.data() {
                    TIMER => {
                        let _ = self.timers.file().map(|file| file.wait());
                        self.timers.fire(monotonic_ns());
                    }
                    file => self.wake(file as RawFd, event.events()),
                }
            }
        }
    }

    fn wake(&self, file: RawFd, events: EpollFlags) {
        let mut files = self.files();
        let Some(watches) = files.get_mut(&file) else { return };
        let broken = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        watches.retain(|watch| {
            let ready = events.intersects(watch.events | broken);
            if ready {
                watch.thread.wake();
            }
            !ready
        });
        // SAFETY: who waits for a file holds it until it has been forgotten, for which it needs the lock that we hold;
        // it has not been, as the file was in the map.
        let file = unsafe { BorrowedFd::borrow_raw(file) };
        self.settle(&mut files, file);
    }

    /// Lets [`Self::serve`] return.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.timers.close();
    }
}

/// What to ask the system for: once, as each of its waiters is woken once.
fn event(file: BorrowedFd<'_>, watches: &[Watch]) -> EpollEvent {
    let events = watches.iter().fold(EpollFlags::EPOLLONESHOT, |all, watch| all | watch.events);
    EpollEvent::new(events, file.as_raw_fd() as u64)
}
