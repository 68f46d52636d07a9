//! One life of a domain that runs in another OS process, as its tree has it here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::fault::{Fault, Trap};
use abi::id::DomainId;
use abi::limits::WIRE_TEXT_BYTES;
use abi::state::ProcessState;
use abi::types::{ResourceType, ValType};
use abi::value::Resource;
use abi::wire::{Cursor, Piece, Slot, WireError};

use super::frame::{self, News, Order, Outcome, Request, Said};
use super::ledger::{Forged, Ledger};
use super::scratch::{self, Caller};
use super::{Confinement, Cut, Line};
use crate::component::carrier::Crossing;
use crate::component::hooks::destroy;
use crate::component::letter::{Letter, Parcel, param_types, result_types};
use crate::component::linked::{ExportedFunc, HostImport, Target};
use crate::component::neighbour::lost;
use crate::component::observe::edge_tally::{Begun, Tally};
use crate::component::onlooker::tell_of;
use crate::component::peers::Peers;
use crate::component::port::is_late;
use crate::component::standing::{KEPT_FAULTS, ProcessMeter};
use crate::limits::{FAULT_FRAMES_OVER_BOUNDARIES, FAULT_TEXT_BYTES};
use crate::sched::park::{current_thread, now_ns};

/// Registers that a fault is kept with.
const MAX_REGISTERS: usize = 64;
/// How long calls go unpaid at most, nanoseconds: one that ends later than this after the last payment is paid for, with those before.
const PAY_EVERY_NS: u64 = 100_000;
/// Functions whose numbers are remembered by where they are.
const REMEMBERED: usize = 64;

/// A connection with the process of a domain, and what it was given.
#[derive(Debug)]
pub(in crate::component) struct Proxy {
    line: Box<dyn Line>,
    number: u32,
    ledger: Ledger,
    /// When the lives of all domains were last sent.
    epoch: u64,
    /// The functions that can be called, in the order in which both sides number them.
    funcs: Vec<Arc<ExportedFunc>>,
    /// Their numbers, by core function slot.
    numbers: HashMap<u32, Vec<u32>>,
    remembered: Vec<(Arc<ExportedFunc>, u32)>,
    /// Whether a host function that it called wants the whole tree to end.
    exits: bool,
    /// Faults of each process that were counted.
    counted: Vec<u64>,
    /// Processor time that its account has paid for.
    paid_ns: u64,
    /// When it paid.
    paid_at_ns: u64,
    received: Vec<u8>,
    said: Vec<u8>,
    /// Why it is of no use any more.
    over: Option<Trap>,
}

/// How what was asked for ended, and what came with that: handles, and a frame with the bytes of values in it from somewhere
/// on.
type Reported = (Outcome, Vec<Slot>, (Vec<u8>, usize));

/// What the process has said.
enum Heard {
    /// It is done; the bytes of values begin there.
    Done(Outcome, Vec<Slot>, usize),
    /// It asked for something, which was done: what is to be said to that.
    Asked(Parcel),
}

impl Proxy {
    /// Connects with a process that has just been started, and tells it what it is to be. It says when it is up, and what
    /// keeps it from harm.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn begin(
        line: Box<dyn Line>,
        peers: &Peers,
        order: &Order,
    ) -> Result<(Proxy, Confinement), Fault> {
        let funcs = peers.linked.callables(order.domain);
        let mut numbers: HashMap<u32, Vec<u32>> = HashMap::new();
        for (number, func) in (0..).zip(&funcs) {
            numbers.entry(func.core).or_default().push(number);
        }
        let mut proxy = Proxy {
            line,
            number: order.domain,
            ledger: Ledger::default(),
            epoch: peers.epoch(),
            funcs,
            numbers,
            remembered: Vec::new(),
            exits: false,
            counted: vec![0; peers.linked.domains[order.domain as usize].processes.len()],
            paid_ns: 0,
            paid_at_ns: 0,
            received: Vec::new(),
            said: Vec::new(),
            over: None,
        };
        order.put(&mut proxy.said);
        match proxy.exchange(peers, &[])? {
            (Outcome::Refused(why), ..) => Err(Fault::new(Trap::Host(why))),
            (_, _, (frame, from)) => {
                let bytes = frame.get(from..).unwrap_or(&[]);
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(WIRE_TEXT_BYTES)]);
                let held = text.lines().map(str::to_owned).collect();
                let confinement = Confinement { process_id: proxy.line.process_id(), held };
                Ok((proxy, confinement))
            }
        }
    }

    /// Executes steps of the launch, `from` up to `to`.
    ///
    /// # Errors
    /// A start function trapped, or something is exhausted: in words then.
    pub fn steps(&mut self, peers: &Peers, from: u32, to: u32) -> Result<(), Fault> {
        self.plain(peers, &Request::Steps(from, to))
    }

    /// Asks for something that has no values.
    ///
    /// # Errors
    /// The fault.
    pub(super) fn plain(&mut self, peers: &Peers, request: &Request) -> Result<(), Fault> {
        self.put(peers, request, &[]);
        match self.exchange(peers, &[])?.0 {
            Outcome::Fault(fault) => Err(*fault),
            Outcome::Refused(why) => Err(Fault::new(Trap::Host(why))),
            Outcome::Done | Outcome::Value => Ok(()),
        }
    }

    /// Calls a function.
    ///
    /// # Errors
    /// The fault.
    pub fn call(&mut self, peers: &Peers, func: &Arc<ExportedFunc>, args: &Parcel) -> Result<Parcel, Fault> {
        let unknown = || Fault::new(Trap::Host("a function of another tree".to_owned()));
        let number = self.number_of(func).ok_or_else(unknown)?;
        let depth = self.ledger.depth();
        let its = its(peers, self.number);
        self.ledger.give(args.slots(), &its);
        self.put(peers, &Request::Call(number), args.slots());
        let answer = self.exchange(peers, args.bytes());
        self.ledger.return_to(depth);
        let (outcome, slots, frame) = match answer {
            Err(fault) if self.over.is_none() => {
                // It was not even sent: what it gives away is nobody's.
                let _ = self.ledger.take(args.slots(), &its);
                args.owned().for_each(|resource| peers.release(resource));
                return Err(fault);
            }
            answer => answer?,
        };
        match outcome {
            Outcome::Fault(fault) => Err(*fault),
            Outcome::Refused(why) => Err(self.broken(&Cut::Corrupt(why))),
            Outcome::Value | Outcome::Done => {
                let result = self.receive(peers, result_types(&func.ty), slots, frame);
                result.map_err(|cut| self.broken(&cut))
            }
        }
    }

    /// Ends the process. Gives what the domain held of others: what was its alone, what it had lent, and to whom.
    pub fn end(mut self) -> (Vec<Resource>, Vec<Resource>, Option<u32>) {
        self.line.end();
        let calling = self.ledger.calling;
        let (own, lent) = self.ledger.estate();
        (own, lent, calling)
    }

    fn number_of(&mut self, func: &Arc<ExportedFunc>) -> Option<u32> {
        if let Some((_, number)) = self.remembered.iter().find(|(known, _)| Arc::ptr_eq(known, func)) {
            return Some(*number);
        }
        let candidates = self.numbers.get(&func.core)?;
        let number = *candidates.iter().find(|number| *self.funcs[**number as usize] == **func)?;
        if self.remembered.len() == REMEMBERED {
            self.remembered.remove(0);
        }
        self.remembered.push((Arc::clone(func), number));
        Some(number)
    }

    /// Writes a request, with the lives of the domains if they have changed.
    fn put(&mut self, peers: &Peers, request: &Request, slots: &[Slot]) {
        self.said.clear();
        let epoch = peers.epoch();
        let lives = (epoch != self.epoch).then(|| peers.lives());
        if lives.is_some() {
            self.epoch = epoch;
            self.ledger.keep(|resource| peers.life_of(resource.ty) == resource.generation);
        }
        lives.put(&mut self.said);
        frame::write(request, slots, &mut self.said);
    }

    /// Says what was put, with the bytes of these values, and serves what the process asks for until it is done.
    fn exchange(&mut self, peers: &Peers, values: &[u8]) -> Result<Reported, Fault> {
        if let Some(why) = &self.over {
            return Err(Fault::new(Trap::Gone(why.to_string())));
        }
        self.exits = false;
        let mut answer = None;
        loop {
            let values = answer.as_ref().map_or(values, Parcel::bytes);
            let mut received = std::mem::take(&mut self.received);
            let said = self.line.send(&self.said, values).and_then(|()| self.line.receive(&mut received));
            match said.and_then(|()| self.heard(peers, &mut received)) {
                Ok(Heard::Done(outcome, slots, from)) => {
                    // To ask what there is to pay takes as long as a short call.
                    if now_ns().saturating_sub(self.paid_at_ns) >= PAY_EVERY_NS {
                        self.pay();
                    }
                    return Ok((outcome, slots, (received, from)));
                }
                Ok(Heard::Asked(said)) => answer = Some(said),
                Err(cut) => return Err(self.broken(&cut)),
            }
            self.received = received;
        }
    }

    /// Does what the process asks for and puts the answer; or gives what it was asked for.
    fn heard(&mut self, peers: &Peers, received: &mut Vec<u8>) -> Result<Heard, Cut> {
        let (said, slots, bytes) =
            frame::read::<Said>(&mut Cursor::new(received)).map_err(|error| corrupt(&error))?;
        let from = received.len() - bytes.len();
        let values = |received: &mut Vec<u8>| (std::mem::take(received), from);
        let answer = match said {
            Said::Done(outcome, news) => {
                let outcome = self.done(peers, outcome, news)?;
                return Ok(Heard::Done(outcome, slots, from));
            }
            Said::Host(import) => self.serve_host(peers, import, slots, values(received))?,
            Said::Port(import, lent) => self.serve_port(peers, import, &lent, slots, values(received))?,
            Said::Drop(resource) => self.serve_drop(peers, resource)?,
        };
        let (outcome, parcel) = match answer {
            Ok(None) => (Outcome::Done, Parcel::default()),
            Ok(Some(parcel)) => (Outcome::Value, parcel),
            Err(fault) => {
                self.exits |= matches!(fault.trap, Trap::Exit(_));
                (Outcome::Fault(Box::new(fault)), Parcel::default())
            }
        };
        // Who waits here is to end, so what it waits for is: the process has to know that it is not the callee's fault.
        let verdict = current_thread().and_then(|thread| thread.verdict());
        let ends = match &outcome {
            Outcome::Fault(fault) => verdict.is_some_and(|verdict| verdict == fault.trap),
            _ => false,
        };
        self.put(peers, &Request::Answer(outcome, ends), parcel.slots());
        Ok(Heard::Asked(parcel))
    }

    /// What the process was asked for is done: notes how its domain stands.
    fn done(&mut self, peers: &Peers, outcome: Outcome, news: Option<News>) -> Result<Outcome, Cut> {
        if let Some(news) = news {
            let last = match &outcome {
                Outcome::Fault(fault) => Some(bounded((**fault).clone())),
                _ => None,
            };
            self.report(peers, news, last)?;
        }
        match outcome {
            Outcome::Fault(fault) if matches!(fault.trap, Trap::Exit(_)) && !self.exits => {
                Err(Cut::Corrupt("it exits, and no function told it to".to_owned()))
            }
            Outcome::Fault(fault) => Ok(Outcome::Fault(Box::new(bounded(*fault)))),
            outcome => Ok(outcome),
        }
    }

    /// Values that the process sends, in a frame from somewhere on: of handles, only those that it has.
    fn receive<'t>(
        &mut self,
        peers: &Peers,
        types: impl Iterator<Item = &'t ValType>,
        slots: Vec<Slot>,
        frame: (Vec<u8>, usize),
    ) -> Result<Parcel, Cut> {
        let generation = peers.generation(self.number);
        let its = its(peers, self.number);
        // What it makes it makes in this life.
        let old = slots.iter().find(|slot| its(slot.resource.ty) && slot.resource.generation != generation);
        let forged = old.map_or_else(|| self.ledger.take(&slots, &its), |slot| Err(Forged(*slot)));
        forged.map_err(|Forged(slot)| forgery(slot))?;
        Parcel::received(types, frame, slots).map_err(|error| corrupt(&error))
    }

    fn import(peers: &Peers, number: u32, import: u32) -> Result<&HostImport, Cut> {
        let imports = &peers.linked.domains[number as usize].imports;
        let unknown = || Cut::Corrupt(format!("expected one of {} imports, found {import}", imports.len()));
        imports.get(import as usize).ok_or_else(unknown)
    }

    fn serve_host(
        &mut self,
        peers: &Peers,
        import: u32,
        slots: Vec<Slot>,
        frame: (Vec<u8>, usize),
    ) -> Result<Served, Cut> {
        let import = Proxy::import(peers, self.number, import)?;
        let Target::Host(func) = &import.target else {
            return Err(Cut::Corrupt(format!("`{}` is no function of the host", import.name)));
        };
        let args = self.receive(peers, param_types(&import.ty), slots, frame)?;
        let in_tree = peers.linked.domains[self.number as usize].processes[import.caller.process as usize];
        let process = peers.process_id(in_tree as usize).expect("it is a process of the tree");
        let lives = |ty| peers.life_of(ty);
        let caller = Caller { import, process, index: in_tree, host: &peers.host, lives: &lives };
        let begun = tallied(peers, import.edge);
        let (result, left) = scratch::call(&caller, &**func, &args);
        end(begun, result.is_err());
        left.into_iter().for_each(|resource| peers.release(resource));
        Ok(match result {
            Ok(result) => Ok(self.answer(peers, import, result)),
            Err(trap) => Err(Fault::new(trap)),
        })
    }

    fn serve_port(
        &mut self,
        peers: &Peers,
        import: u32,
        lent: &[(u32, u32)],
        slots: Vec<Slot>,
        frame: (Vec<u8>, usize),
    ) -> Result<Served, Cut> {
        let import = Proxy::import(peers, self.number, import)?;
        let Target::Port(port) = &import.target else {
            return Err(Cut::Corrupt(format!("`{}` is no function of another domain", import.name)));
        };
        let args = self.receive(peers, param_types(&import.ty), slots, frame)?;
        if let Some(meter) = peers.standing(self.number).meter(import.caller.process) {
            ProcessMeter::count(&meter.bytes_out, args.carried());
        }
        let begun = tallied(peers, import.edge);
        self.ledger.lend(port.func.domain, args.slots());
        let letter = Letter::new(&port.func, args, peers);
        let served = match peers.carrier() {
            None => peers.call_here(&letter).map(|()| None),
            Some(carrier) => {
                let crossing = Crossing::letter(Arc::clone(&letter));
                let life = peers.generation(self.number);
                carrier.carry(self.number, crossing.lending(self.number, life, lent), &port.policy)
            }
        };
        end(begun, served.is_err());
        match &served {
            // The callee goes on, perhaps with what it was lent.
            Err(fault) if import.lends && is_late(fault) => (),
            Err(_) if current_thread().is_some_and(|thread| thread.is_ending()) => (),
            _ => self.ledger.given_back(),
        }
        Ok(served.and_then(|_| {
            let result = letter.take().ok_or_else(lost)?;
            Ok(self.answer(peers, import, result))
        }))
    }

    fn serve_drop(&mut self, peers: &Peers, resource: Resource) -> Result<Served, Cut> {
        if !self.ledger.take_own(resource) {
            return Err(forgery(Slot { is_own: true, resource }));
        }
        if let Some(known) = peers.linked.host_resources.get(&resource.ty) {
            let dropped =
                known.drop.as_ref().map_or(Ok(()), |drop| drop(&mut **peers.host.lock(), resource.rep));
            return Ok(dropped.map(|()| None).map_err(Fault::new));
        }
        let Some(domain) = peers.implementer(resource.ty) else { return Ok(Ok(None)) };
        if let Some(carrier) = peers.carrier() {
            carrier.post(Crossing::drop_resource(domain, resource));
            return Ok(Ok(None));
        }
        let dropped = peers
            .idle(domain)
            .map_err(Fault::new)
            .and_then(|mut domain| destroy(&mut domain, None, resource.ty, resource.rep));
        Ok(dropped.map(|()| None))
    }

    /// The answer to a call of the process, with what is given to it.
    fn answer(&mut self, peers: &Peers, import: &HostImport, result: Parcel) -> Option<Parcel> {
        import.ty.result.as_ref()?;
        self.ledger.give(result.slots(), its(peers, self.number));
        Some(result)
    }

    /// Shows others how the processes stand.
    fn report(&mut self, peers: &Peers, news: News, last: Option<Fault>) -> Result<(), Cut> {
        let standing = peers.standing(self.number);
        if news.processes.len() != self.counted.len() {
            let text =
                format!("expected news of {} processes, found {}", self.counted.len(), news.processes.len());
            return Err(Cut::Corrupt(text));
        }
        let mut fallen = Vec::new();
        for ((process, row), counted) in (0..).zip(&news.processes).zip(&mut self.counted) {
            match row.ending {
                0 => (),
                ending => {
                    let known = standing.process(process).map(|now| now.state);
                    if !matches!(known, Some(ProcessState::Faulted | ProcessState::Exited)) {
                        fallen.push(process);
                    }
                    standing.ended_processes(&[process], ending == 2);
                }
            }
            standing.note_apart(process, row.memory_bytes, row.handles);
            if let Some(meter) = standing.meter(process) {
                meter.faults.fetch_add(row.faults.saturating_sub(*counted), Ordering::Relaxed);
            }
            *counted = row.faults.max(*counted);
        }
        if let Some(fault) = last.or_else(|| news.faults.last().cloned().map(bounded)) {
            let domain = DomainId { index: self.number, generation: peers.generation(self.number) };
            tell_of(peers, domain, &fallen, &fault);
        }
        let newest = news.faults.len().saturating_sub(KEPT_FAULTS);
        news.faults.into_iter().skip(newest).for_each(|fault| standing.keep(bounded(fault), &[]));
        Ok(())
    }

    /// Lets the domain's account pay for what the process has used.
    fn pay(&mut self) {
        let used_ns = self.line.cpu_ns();
        if let Some(thread) = current_thread() {
            thread.account().charge(used_ns.saturating_sub(self.paid_ns));
        }
        self.paid_ns = used_ns.max(self.paid_ns);
        self.paid_at_ns = now_ns();
    }

    /// The connection is of no use any more; what that is to whoever called.
    fn broken(&mut self, cut: &Cut) -> Fault {
        let trap = cut.clone().trap();
        if matches!(cut, Cut::TooLong { .. }) {
            return Fault::new(trap);
        }
        self.pay();
        self.line.end();
        self.over = Some(trap.clone());
        Fault::new(trap)
    }

    /// Why it is of no use any more, if it isn't.
    pub fn over(&self) -> Option<&Trap> {
        self.over.as_ref()
    }
}

/// A fault as it may be kept: its texts and frames are the process's.
fn bounded(mut fault: Fault) -> Fault {
    let short = |text: &str| text[..text.floor_char_boundary(FAULT_TEXT_BYTES)].to_owned();
    fault.frames.truncate(FAULT_FRAMES_OVER_BOUNDARIES);
    fault.process_name = short(&fault.process_name).into();
    for frame in &mut fault.frames {
        frame.process_name = short(&frame.process_name);
        frame.module = frame.module.as_deref().map(short);
        frame.func_name = frame.func_name.as_deref().map(short);
    }
    fault.registers = fault.registers.filter(|registers| registers.len() <= MAX_REGISTERS);
    fault
}

/// What the process asked for: values, nothing, or the fault of whoever served it.
type Served = Result<Option<Parcel>, Fault>;

/// Whether a domain implements a type itself.
fn its(peers: &Peers, number: u32) -> impl Fn(ResourceType) -> bool {
    move |ty| peers.implementer(ty) == Some(number)
}

/// Counts a call over an edge that begins.
pub(super) fn tallied(peers: &Peers, edge: Option<u32>) -> Option<(&Tally, Begun)> {
    let tally = peers.tallies.get(edge? as usize)?;
    Some((tally, tally.begin()))
}

/// Counts that it has ended.
pub(super) fn end(begun: Option<(&Tally, Begun)>, failed: bool) {
    if let Some((tally, begun)) = begun {
        tally.end(begun, failed);
    }
}

fn corrupt(error: &WireError) -> Cut {
    Cut::Corrupt(error.to_string())
}

fn forgery(slot: Slot) -> Cut {
    let (kind, Resource { ty, rep, generation }) =
        (if slot.is_own { "own" } else { "borrow" }, slot.resource);
    Cut::Corrupt(format!("it has no {kind} handle of {ty} with representation {rep} of life {generation}"))
}
