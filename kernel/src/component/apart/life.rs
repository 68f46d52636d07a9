//! Lives of a domain that runs in another OS process.

use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::id::DomainId;
use abi::value::Value;

use super::frame::{Order, Request};
use super::proxy::{end, tallied};
use super::{ApartDomain, Needs, Proxy};
use crate::component::carrier::Deed;
use crate::component::error::LaunchError;
use crate::component::letter::{Parcel, param_types, result_types};
use crate::component::linked::{ExportedFunc, Step};
use crate::component::onlooker::tell_of;
use crate::component::peers::Peers;
use crate::component::standing::ProcessMeter;
use crate::quota::{DomainQuota, Quota};
use crate::sched::lock::Held;

impl Peers {
    /// The proxy of a domain in its present life.
    ///
    /// # Errors
    /// [`Trap::Gone`]
    fn proxy(&self, number: u32) -> Result<EnteredProxy<'_>, Trap> {
        let held = self.proxy_of(number).lock();
        if held.is_some() { Ok(EnteredProxy(held)) } else { Err(self.gone(number)) }
    }
}

struct EnteredProxy<'p>(Held<'p, Option<Box<Proxy>>>);

impl EnteredProxy<'_> {
    fn get(&mut self) -> &mut Proxy {
        self.0.as_mut().expect("only what is there is entered")
    }
}

/// Starts the process of a domain in its present life.
///
/// # Errors
/// There is none to be had, or it does not come up.
pub(in crate::component) fn begin(peers: &Peers, number: u32) -> Result<(), LaunchError> {
    let refused = |why: String| {
        let root = peers.linked.domains[number as usize].processes.first();
        let path = root.map_or("", |root| peers.linked.processes[*root as usize].path.as_str());
        LaunchError::Resource(format!("the process of {path} cannot be started: {why}"))
    };
    let domain = peers.apart.of(number).expect("asked for domains that are apart only");
    let starter =
        peers.apart.starter.as_ref().ok_or_else(|| refused("nobody starts processes".to_owned()))?;
    let blueprint = peers.linked.blueprint.as_ref();
    let blueprint = blueprint.ok_or_else(|| refused("it is not known how the tree was linked".to_owned()))?;
    let order = order(peers, domain);
    let image = blueprint.image().map_err(refused)?;
    let memory_bytes = memory_limit(peers, number);
    let line = starter.start(&Needs { image, memory_bytes }).map_err(refused)?;
    let (proxy, confinement) =
        Proxy::begin(line, peers, &order).map_err(|fault| refused(fault.to_string()))?;
    peers.standing(number).confine(confinement);
    *peers.proxy_of(number).lock() = Some(Box::new(proxy));
    Ok(())
}

fn order(peers: &Peers, ApartDomain { number, call_ns }: ApartDomain) -> Order {
    let blueprint = peers.linked.blueprint.as_ref().expect("looked at before");
    let (quotas, total) = peers.all_quotas(number);
    Order {
        domain: number,
        first_pid: peers.first_pid(),
        lives: peers.lives(),
        quotas,
        total,
        call_ns,
        options: blueprint.options.clone(),
        offers: blueprint.offers.clone(),
    }
}

/// Executes one step of a launch.
///
/// # Errors
/// As [`crate::component::tree::Tree::launch`].
pub(in crate::component) fn step(peers: &Peers, number: u32, index: usize) -> Result<(), LaunchError> {
    let mut proxy = peers.proxy(number).map_err(|trap| LaunchError::Resource(trap.to_string()))?;
    let at = u32::try_from(index).expect("linking bounds the number of steps");
    let done = proxy.get().steps(peers, at, at + 1);
    if let (_, Step::Load { library, process, .. }) = &peers.linked.steps[index] {
        peers.standing(number).loaded_apart(*process, library);
    }
    done.map_err(|fault| match fault.trap {
        Trap::Host(why) => LaunchError::Resource(why),
        _ => LaunchError::Fault(Box::new(fault)),
    })
}

/// Begins the next life of a domain: another process. `generation` becomes that of the life.
///
/// # Errors
/// As [`begin`] and [`step`]: then the domain is gone.
pub(in crate::component) fn restart(
    peers: &Peers,
    number: u32,
    why: &Trap,
    generation: &mut u32,
) -> Result<(), LaunchError> {
    if let Some(old) = { peers.proxy_of(number).lock().take() } {
        peers.standing(number).end(why);
        bury(peers, *old);
    }
    *generation = peers.next_life(number);
    let launch = || {
        begin(peers, number)?;
        let steps = peers.linked.steps.iter().enumerate().filter(|(_, (of, _))| *of == number);
        steps.map(|(index, _)| index).try_for_each(|index| step(peers, number, index))
    };
    match launch() {
        Ok(()) => {
            peers.standing(number).up();
            Ok(())
        }
        Err(error) => {
            let gone = Trap::Gone(format!("it could not be started again: {error}"));
            peers.standing(number).end(&gone);
            if let Some(half) = { peers.proxy_of(number).lock().take() } {
                bury(peers, *half);
            }
            Err(error)
        }
    }
}

/// Limits a process, in this life of its domain.
///
/// # Errors
/// [`Trap::Gone`]
pub(in crate::component) fn limit(
    peers: &Peers,
    number: u32,
    process: u32,
    quota: Quota,
) -> Result<(), Trap> {
    let request = Request::Quota(process, quota);
    peers.proxy(number)?.get().plain(peers, &request).map_err(|fault| fault.trap)
}

/// Limits all processes of a domain together, in this life.
///
/// # Errors
/// [`Trap::Gone`]
pub(in crate::component) fn limit_all(peers: &Peers, number: u32, quota: DomainQuota) -> Result<(), Trap> {
    peers.proxy(number)?.get().plain(peers, &Request::Total(quota)).map_err(|fault| fault.trap)
}

/// The most that all memories of a domain may have, if every process is limited or all of them together.
fn memory_limit(peers: &Peers, number: u32) -> Option<u64> {
    let (quotas, total) = peers.all_quotas(number);
    let count = peers.standing(number).count();
    let each = |process| {
        let quota = quotas.iter().find(|(of, _)| *of == process)?.1;
        quota.memory_bytes
    };
    let sum = (0..count).map(each).try_fold(0_u64, |sum, bytes| Some(sum.saturating_add(bytes?)));
    [sum, total.memory_bytes].into_iter().flatten().min()
}

/// Ends the process of a domain whose standing knows that it has ended, and gives back what it held of others.
pub(in crate::component) fn bury(peers: &Peers, proxy: Proxy) {
    let (own, lent, borrower) = proxy.end();
    peers.bequeath(own, lent, borrower);
}

/// Has something done by a domain, in one of its lives, for which it is waited for; or else in the present one if it is
/// idle now.
///
/// # Errors
/// The fault; [`Trap::Gone`] once this life of the domain has ended.
pub(in crate::component) fn serve(
    peers: &Peers,
    number: u32,
    life: Option<u32>,
    deed: &Deed<'_>,
) -> Result<Option<Value>, Fault> {
    let held = match life {
        Some(_) => peers.proxy_of(number).lock(),
        None => peers.proxy_of(number).try_lock().ok_or(Trap::CannotEnter)?,
    };
    let generation = peers.generation(number);
    if held.is_none() || life.is_some_and(|life| life != generation) {
        return Err(peers.gone(number).into());
    }
    let mut entered = EnteredProxy(held);
    let proxy = entered.get();
    let was_over = proxy.over().is_some();
    let served = match deed {
        Deed::Call(func, args) => called_by_the_host(peers, number, proxy, func, args),
        Deed::Letter(letter) => call(peers, number, proxy, &letter.func, &letter.args).map(|answer| {
            letter.put(answer);
            None
        }),
        Deed::Drop(resource) if resource.generation != generation => Ok(None),
        Deed::Drop(resource) => proxy.plain(peers, &Request::Drop(*resource)).map(|()| None),
        Deed::GiveBack(handles) => proxy.plain(peers, &Request::GiveBack(handles.to_vec())).map(|()| None),
        Deed::Release => Ok(None),
    };
    match served {
        Err(mut fault) if !was_over && proxy.over().is_some() => {
            let process = match deed {
                Deed::Call(func, _) => func.callee.process,
                Deed::Letter(letter) => letter.func.callee.process,
                _ => 0,
            };
            ended(peers, number, process, &mut fault);
            Err(fault)
        }
        served => served,
    }
}

/// With its OS process all processes of a domain have ended, while one of them was called.
fn ended(peers: &Peers, number: u32, process: u32, fault: &mut Fault) {
    fault.domain = Some(DomainId { index: number, generation: peers.generation(number) });
    if let Some(index) = peers.linked.domains[number as usize].processes.get(process as usize) {
        fault.process = peers.process_id(*index as usize);
        fault.process_name = peers.linked.processes[*index as usize].path.as_str().into();
    }
    let standing = peers.standing(number);
    let processes: Vec<u32> = (0..standing.count()).collect();
    standing.ended_processes(&processes, false);
    standing.keep(fault.clone(), &processes);
    tell_of(peers, DomainId { index: number, generation: peers.generation(number) }, &processes, fault);
}

fn called_by_the_host(
    peers: &Peers,
    number: u32,
    proxy: &mut Proxy,
    func: &Arc<ExportedFunc>,
    args: &[Value],
) -> Result<Option<Value>, Fault> {
    let args = Parcel::of_values(param_types(&func.ty), args)?;
    let result = call(peers, number, proxy, func, &args)?;
    Ok(result.values(result_types(&func.ty)).map_err(Trap::from)?.pop())
}

fn call(
    peers: &Peers,
    number: u32,
    proxy: &mut Proxy,
    func: &Arc<ExportedFunc>,
    args: &Parcel,
) -> Result<Parcel, Fault> {
    let (standing, process) = (peers.standing(number), func.callee.process);
    let before = standing.enter(process);
    let begun = tallied(peers, func.edge);
    let result = proxy.call(peers, func, args);
    end(begun, result.is_err());
    standing.leave(before);
    if let Some(meter) = standing.meter(process) {
        ProcessMeter::count(&meter.calls, 1);
        ProcessMeter::count(&meter.bytes_in, args.carried());
        ProcessMeter::count(&meter.bytes_out, result.as_ref().map_or(0, Parcel::carried));
    }
    result
}
