//! What is said between a proxy and the process of its domain.
//!
//! ```text
//! to the process     lives: none, or one a domain   kind u8, fields     slots, value bytes
//! from the process                                  kind u8, fields     slots, value bytes
//! ```
//! A request is answered with [`Said::Done`]; before that the process may ask for something itself, which is answered with a
//! [`Request::Answer`]. Nobody speaks out of turn.

use abi::fault::Fault;
use abi::value::Resource;
use abi::wire::piece::put_all;
use abi::wire::{Cursor, Piece, Slot, WireError};

use crate::component::options::LinkOptions;
use crate::quota::{DomainQuota, Quota};

/// What the process has to know before anything else.
#[derive(Debug)]
pub(super) struct Order {
    pub domain: u32,
    pub first_pid: u32,
    /// Which life each domain is in.
    pub lives: Vec<u32>,
    pub quotas: Vec<(u32, Quota)>,
    pub total: DomainQuota,
    /// How long a call may take.
    pub call_ns: Option<u64>,
    pub options: LinkOptions,
    /// As [`super::blueprint::Offers`] reads it.
    pub offers: Vec<u8>,
}

impl Piece for Order {
    fn put(&self, out: &mut Vec<u8>) {
        self.domain.put(out);
        self.first_pid.put(out);
        self.lives.put(out);
        self.quotas.put(out);
        self.total.put(out);
        self.call_ns.put(out);
        self.options.put(out);
        (self.offers.len() as u64).put(out);
        out.extend_from_slice(&self.offers);
    }
    fn take(from: &mut Cursor<'_>) -> Result<Order, WireError> {
        Ok(Order {
            domain: Piece::take(from)?,
            first_pid: Piece::take(from)?,
            lives: Piece::take(from)?,
            quotas: Piece::take(from)?,
            total: Piece::take(from)?,
            call_ns: Piece::take(from)?,
            options: Piece::take(from)?,
            offers: {
                let len = usize::try_from(u64::take(from)?).unwrap_or(usize::MAX);
                from.take(len, "what the host offers")?.to_vec()
            },
        })
    }
}

/// What the process is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// To execute these steps of the launch, all of its own domain.
    Steps(u32, u32),
    /// To call a function, by its number among those that can be called; its parameters follow.
    Call(u32),
    /// To run the destructor of a resource that its domain implements.
    Drop(Resource),
    /// To note that handles are lent no more, as process and index.
    GiveBack(Vec<(u32, u32)>),
    /// To limit a process.
    Quota(u32, Quota),
    /// To limit all processes together.
    Total(DomainQuota),
    /// To go on with what it asked for; and whether it is to end what it does.
    Answer(Outcome, bool),
}

/// What the process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What it was asked for is done.
    Done(Outcome, Option<News>),
    /// It calls a function of the host, by its number among its domain's imports; parameters follow.
    Host(u32),
    /// It calls a function of another domain, likewise, and lends it handles of its own, as process and index.
    Port(u32, Vec<(u32, u32)>),
    /// It drops what it owns of others.
    Drop(Resource),
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With nothing to give.
    Done,
    /// With a value, which follows.
    Value,
    /// With a fault.
    Fault(Box<Fault>),
    /// It could not be done.
    Refused(String),
}

/// How the processes of the domain stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// One a process.
    pub processes: Vec<ProcessNews>,
    /// Faults since the last news.
    pub faults: Vec<Fault>,
}

/// How a process stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessNews {
    /// 0: it lives; 1: it has faulted; 2: it has ended on purpose.
    pub ending: u8,
    /// Bytes of its memories.
    pub memory_bytes: u64,
    /// Its handles.
    pub handles: u32,
    /// Its faults in this life.
    pub faults: u64,
}

impl Piece for ProcessNews {
    fn put(&self, out: &mut Vec<u8>) {
        self.ending.put(out);
        self.memory_bytes.put(out);
        self.handles.put(out);
        self.faults.put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<ProcessNews, WireError> {
        Ok(ProcessNews {
            ending: Piece::take(from)?,
            memory_bytes: Piece::take(from)?,
            handles: Piece::take(from)?,
            faults: Piece::take(from)?,
        })
    }
}

impl Piece for News {
    fn put(&self, out: &mut Vec<u8>) {
        self.processes.put(out);
        self.faults.put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<News, WireError> {
        Ok(News { processes: Piece::take(from)?, faults: Piece::take(from)? })
    }
}

impl Piece for Outcome {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Outcome::Done => out.push(0),
            Outcome::Value => out.push(1),
            Outcome::Fault(fault) => {
                out.push(2);
                fault.put(out);
            }
            Outcome::Refused(why) => {
                out.push(3);
                why.put(out);
            }
        }
    }
    fn take(from: &mut Cursor<'_>) -> Result<Outcome, WireError> {
        Ok(match u8::take(from)? {
            0 => Outcome::Done,
            1 => Outcome::Value,
            2 => Outcome::Fault(Piece::take(from)?),
            3 => Outcome::Refused(Piece::take(from)?),
            other => return Err(from.wrong("how something ended", format!("{other}"))),
        })
    }
}

impl Piece for Request {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Request::Steps(from, to) => {
                out.push(0);
                from.put(out);
                to.put(out);
            }
            Request::Call(func) => {
                out.push(1);
                func.put(out);
            }
            Request::Drop(resource) => {
                out.push(2);
                resource.put(out);
            }
            Request::GiveBack(handles) => {
                out.push(3);
                handles.put(out);
            }
            Request::Quota(process, quota) => {
                out.push(4);
                process.put(out);
                quota.put(out);
            }
            Request::Total(quota) => {
                out.push(5);
                quota.put(out);
            }
            Request::Answer(outcome, ends) => {
                out.push(6);
                outcome.put(out);
                ends.put(out);
            }
        }
    }
    fn take(from: &mut Cursor<'_>) -> Result<Request, WireError> {
        Ok(match u8::take(from)? {
            0 => Request::Steps(Piece::take(from)?, Piece::take(from)?),
            1 => Request::Call(Piece::take(from)?),
            2 => Request::Drop(Piece::take(from)?),
            3 => Request::GiveBack(Piece::take(from)?),
            4 => Request::Quota(Piece::take(from)?, Piece::take(from)?),
            5 => Request::Total(Piece::take(from)?),
            6 => Request::Answer(Piece::take(from)?, Piece::take(from)?),
            other => return Err(from.wrong("a request", format!("{other}"))),
        })
    }
}

impl Piece for Said {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Said::Done(outcome, news) => {
                out.push(0);
                outcome.put(out);
                news.put(out);
            }
            Said::Host(import) => {
                out.push(1);
                import.put(out);
            }
            Said::Port(import, lent) => {
                out.push(2);
                import.put(out);
                lent.put(out);
            }
            Said::Drop(resource) => {
                out.push(3);
                resource.put(out);
            }
        }
    }
    fn take(from: &mut Cursor<'_>) -> Result<Said, WireError> {
        Ok(match u8::take(from)? {
            0 => Said::Done(Piece::take(from)?, Piece::take(from)?),
            1 => Said::Host(Piece::take(from)?),
            2 => Said::Port(Piece::take(from)?, Piece::take(from)?),
            3 => Said::Drop(Piece::take(from)?),
            other => return Err(from.wrong("what a process says", format!("{other}"))),
        })
    }
}

/// Writes what is said, and the handles of the values with it. Their bytes come behind that.
pub(super) fn write(said: &impl Piece, slots: &[Slot], out: &mut Vec<u8>) {
    said.put(out);
    put_all(slots, out);
}

/// Reads what was written.
///
/// # Errors
/// It is something else.
pub(super) fn read<'f, T: Piece>(from: &mut Cursor<'f>) -> Result<(T, Vec<Slot>, &'f [u8]), WireError> {
    let said = T::take(from)?;
    let slots = Piece::take(from)?;
    Ok((said, slots, from.rest()))
}

#[cfg(test)]
mod tests {
    use abi::fault::Trap;
    use abi::types::ResourceType;

    use super::*;

    fn there_and_back<T: Piece + PartialEq + std::fmt::Debug>(said: &T) {
        let resource = Resource { ty: ResourceType(1), rep: 2, generation: 3 };
        let given = [Slot { is_own: true, resource }];
        let mut out = Vec::new();
        write(said, &given, &mut out);
        out.extend([1, 2]);
        let (read_back, slots, bytes) = read::<T>(&mut Cursor::new(&out)).unwrap();
        assert_eq!((&read_back, &slots[..], bytes), (said, &given[..], &[1, 2][..]));
        for cut in 0..out.len() - 2 {
            assert!(read::<T>(&mut Cursor::new(&out[..cut])).is_err(), "{said:?} cut at {cut}");
        }
    }

    #[test]
    fn what_is_said_is_understood() {
        let resource = Resource { ty: ResourceType::host(1), rep: 2, generation: 3 };
        let fault = || Outcome::Fault(Box::new(Fault::new(Trap::Exit(3))));
        let quota = Quota { memory_bytes: Some(1), ..Quota::default() };
        for request in [
            Request::Steps(1, 2),
            Request::Call(7),
            Request::Drop(resource),
            Request::GiveBack(vec![(1, 2), (3, 4)]),
            Request::Quota(1, quota),
            Request::Total(DomainQuota { memory_bytes: None, table_elements: Some(4) }),
            Request::Answer(Outcome::Refused("no".to_owned()), true),
        ] {
            there_and_back(&request);
        }
        let news =
            News { processes: vec![ProcessNews { ending: 1, ..ProcessNews::default() }], faults: vec![] };
        for said in [
            Said::Done(fault(), Some(news)),
            Said::Done(Outcome::Value, None),
            Said::Host(3),
            Said::Port(3, vec![(1, 2)]),
            Said::Drop(resource),
        ] {
            there_and_back(&said);
        }
    }
}
