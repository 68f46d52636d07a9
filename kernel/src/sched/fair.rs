//! Weighted fair scheduling: whoever is least far in virtual time goes first.
//!
//! Virtual time is real time divided by weight, one scale for all workers of a machine, so that workers can compare
//! their queues. Who sleeps does not save up: on waking it is brought to the machine's virtual time, less a small bonus
//! that lets it run before those that compute all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::policy::{Choice, Policy, Runnable, Turn, Why};

/// Numbers of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FairOptions {
    /// How long a thread may run while others wait.
    pub slice_ns: u64,
    /// How far behind the others, in virtual time, a thread that is woken may be.
    pub bonus_ns: u64,
    /// How far behind one that runs may fall: a weight that exceeds what one core can give is not saved up.
    pub lag_ns: u64,
}

impl FairOptions {
    /// The usual ones for slices of this length.
    #[must_use]
    pub fn of_slice(slice_ns: u64) -> FairOptions {
        FairOptions { slice_ns, bonus_ns: 2 * slice_ns, lag_ns: 10 * slice_ns }
    }
}

/// How far a machine is in virtual time: the latest start of a turn, or how far somebody got whom
/// the worker was called for while nobody waited.
#[derive(Clone, Debug, Default)]
pub struct VirtualTime(Arc<AtomicU64>);

/// The shortest turn, for one whose cap leaves it hardly anything.
const SHORTEST_NS: u64 = 100_000;

/// Virtual time, then arrival.
type Key = (u64, u64);

/// The queue of one worker.
#[derive(Debug)]
pub struct Fair<T> {
    options: FairOptions,
    time: VirtualTime,
    arrivals: u64,
    waiting: BTreeMap<Key, T>,
    /// By the time at which their cap lets them go on.
    throttled: BTreeMap<Key, T>,
}

impl<T: Runnable> Fair<T> {
    /// An empty queue. `time` is the machine's.
    #[must_use]
    pub fn new(options: FairOptions, time: VirtualTime) -> Fair<T> {
        Fair { options, time, arrivals: 0, waiting: BTreeMap::new(), throttled: BTreeMap::new() }
    }

    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn enqueue(&mut self, thread: T) {
        let at = if thread.condemned() { 0 } else { thread.account().virtual_ns() };
        let key = (at, self.arrival());
        self.waiting.insert(key, thread);
    }

    fn release(&mut self, now_ns: u64) {
        while let Some(first) = self.throttled.first_entry()
            && first.key().0 <= now_ns
        {
            let thread = first.remove();
            self.enqueue(thread);
        }
    }
}

impl<T: Runnable + Send> Policy<T> for Fair<T> {
    fn ready(&mut self, thread: T, why: Why, _: u64) {
        let now = self.time.0.load(Ordering::Relaxed);
        let behind = match why {
            Why::Woken => self.options.bonus_ns,
            Why::Preempted => self.options.lag_ns,
        };
        thread.account().forget_before(now.saturating_sub(behind));
        self.enqueue(thread);
    }

    fn next(&mut self, now_ns: u64) -> Choice<T> {
        self.release(now_ns);
        while let Some((_, thread)) = self.waiting.pop_first() {
            let slice_ns = self.options.slice_ns;
            let limit_ns = match thread.account().allowance(now_ns, slice_ns) {
                Ok(left) => left.map(|left| left.max(SHORTEST_NS)),
                Err(_) if thread.condemned() => None,
                Err(until_ns) => {
                    let key = (until_ns, self.arrival());
                    self.throttled.insert(key, thread);
                    continue;
                }
            };
            self.time.0.fetch_max(thread.account().virtual_ns(), Ordering::Relaxed);
            return Choice::Run(Turn { thread, slice_ns, limit_ns });
        }
        match self.throttled.first_key_value() {
            Some((&(until_ns, _), _)) => Choice::Wait { until_ns },
            None => Choice::Nobody,
        }
    }

    fn steal(&mut self, now_ns: u64) -> Option<T> {
        self.release(now_ns);
        let key = *self.waiting.iter().find(|(_, thread)| !thread.pinned())?.0;
        self.waiting.remove(&key)
    }

    fn reached(&mut self, virtual_ns: u64) {
        self.time.0.fetch_max(virtual_ns, Ordering::Relaxed);
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn first(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(key, _)| key.0)
    }

    fn earliest(&self) -> Option<u64> {
        self.waiting.iter().find(|(_, thread)| !thread.pinned()).map(|(key, _)| key.0)
    }

    fn held_until_ns(&self) -> Option<u64> {
        self.throttled.first_key_value().map(|(key, _)| key.0)
    }

    fn expedite(&mut self) {
        let of = |queue: &BTreeMap<Key, T>| -> Vec<Key> {
            queue
                .iter()
                .filter(|(key, thread)| key.0 > 0 && thread.condemned())
                .map(|(key, _)| *key)
                .collect()
        };
        for key in of(&self.waiting) {
            let thread = self.waiting.remove(&key).expect("it was just seen");
            self.enqueue(thread);
        }
        for key in of(&self.throttled) {
            let thread = self.throttled.remove(&key).expect("it was just seen");
            self.enqueue(thread);
        }
    }

    fn drain(&mut self) -> Vec<T> {
        let throttled = std::mem::take(&mut self.throttled);
        std::mem::take(&mut self.waiting).into_values().chain(throttled.into_values()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::account::{Account, Share, WEIGHT_ONE};

    const MS: u64 = 1_000_000;

    #[derive(Clone, Debug)]
    struct Load {
        name: usize,
        account: Arc<Account>,
        pinned: bool,
        condemned: bool,
    }

    impl Runnable for Load {
        fn account(&self) -> &Account {
            &self.account
        }
        fn pinned(&self) -> bool {
            self.pinned
        }
        fn condemned(&self) -> bool {
            self.condemned
        }
    }

    fn load(name: usize, weight: u32, cap: Option<u32>) -> Load {
        let account = Arc::new(Account::new(Share { weight, cap }, 0));
        Load { name, account, pinned: false, condemned: false }
    }

    fn queue(time: &VirtualTime) -> Fair<Load> {
        Fair::new(FairOptions::of_slice(MS), time.clone())
    }

    /// Runs the queues against each other for `total_ns`, as workers would; gives what each load had.
    fn race(queues: &mut [Fair<Load>], loads: &[Load], total_ns: u64) -> Vec<u64> {
        let mut clocks = vec![0; queues.len()];
        let mut running: Vec<Option<(Load, u64)>> = vec![None; queues.len()];
        while let Some(worker) = (0..queues.len()).min_by_key(|&worker| clocks[worker])
            && clocks[worker] < total_ns
        {
            let now = clocks[worker];
            if let Some((load, ran)) = running[worker].take() {
                load.account.charge(ran);
                queues[worker].ready(load, Why::Preempted, now);
            }
            let elsewhere = (0..queues.len()).filter(|&other| other != worker);
            let best = elsewhere.filter_map(|other| Some((queues[other].earliest()?, other))).min();
            if let Some((at, other)) = best
                && queues[worker].first().is_none_or(|own| at + MS < own)
            {
                let stolen = queues[other].steal(now).unwrap();
                queues[worker].ready(stolen, Why::Preempted, now);
            }
            match queues[worker].next(now) {
                Choice::Run(Turn { thread, slice_ns, limit_ns }) => {
                    let ran = limit_ns.map_or(slice_ns, |limit| slice_ns.min(limit));
                    clocks[worker] += ran;
                    running[worker] = Some((thread, ran));
                }
                Choice::Wait { until_ns } => clocks[worker] = until_ns.min(now + MS),
                Choice::Nobody => clocks[worker] += MS,
            }
        }
        for (worker, running) in running.into_iter().enumerate() {
            if let Some((load, ran)) = running {
                load.account.charge(ran);
                queues[worker].ready(load, Why::Preempted, total_ns);
            }
        }
        loads.iter().map(|load| load.account.used_ns()).collect()
    }

    #[test]
    fn time_is_shared_by_weight() {
        let loads: Vec<Load> = [1, 2, 3].iter().map(|n| load(*n, *n as u32 * WEIGHT_ONE, None)).collect();
        let mut queues = [queue(&VirtualTime::default())];
        for load in &loads {
            queues[0].ready(load.clone(), Why::Woken, 0);
        }
        let used = race(&mut queues, &loads, 600 * MS);
        for (used, load) in used.iter().zip(&loads) {
            assert!(used.abs_diff(load.name as u64 * 100 * MS) <= 2 * MS, "{used} for weight {}", load.name);
        }
    }

    #[test]
    fn two_workers_are_fair_to_nine() {
        let time = VirtualTime::default();
        let loads: Vec<Load> = (0..9).map(|name| load(name, WEIGHT_ONE, None)).collect();
        let mut queues = [queue(&time), queue(&time)];
        for load in &loads {
            queues[0].ready(load.clone(), Why::Woken, 0);
        }
        let used = race(&mut queues, &loads, 900 * MS);
        assert!(used.iter().all(|used| used.abs_diff(200 * MS) <= 6 * MS), "{used:?}");
    }

    #[test]
    fn a_weight_beyond_one_core_is_not_saved_up() {
        let time = VirtualTime::default();
        let loads = [load(0, 100 * WEIGHT_ONE, None), load(1, WEIGHT_ONE, None)];
        let mut queues = [queue(&time), queue(&time)];
        for load in &loads {
            queues[0].ready(load.clone(), Why::Woken, 0);
        }
        race(&mut queues, &loads, 1000 * MS);
        // Somebody new beside the light one: it must not starve until the newcomer is where the light one is.
        let newcomer = load(2, WEIGHT_ONE, None);
        queues[1].ready(newcomer.clone(), Why::Woken, 0);
        let before = loads[1].account.used_ns();
        race(&mut queues, &loads, 100 * MS);
        assert!(loads[1].account.used_ns() - before > 30 * MS);
        assert!(newcomer.account.used_ns() > 30 * MS);
    }

    #[test]
    fn the_woken_go_before_those_that_compute() {
        let time = VirtualTime::default();
        let mut queue = queue(&time);
        let sleeper = load(9, WEIGHT_ONE, None);
        let loads: Vec<Load> = (0..8).map(|name| load(name, WEIGHT_ONE, None)).collect();
        for load in &loads {
            queue.ready(load.clone(), Why::Woken, 0);
        }
        race(std::slice::from_mut(&mut queue), &loads, 100 * MS);
        queue.ready(sleeper, Why::Woken, 0);
        let Choice::Run(turn) = queue.next(0) else { panic!() };
        assert_eq!(turn.thread.name, 9);
    }

    #[test]
    fn a_cap_holds_beside_others_and_alone() {
        for others in [0, 3] {
            let capped = load(0, WEIGHT_ONE, Some(200));
            let mut loads = vec![capped];
            loads.extend((1..=others).map(|name| load(name, WEIGHT_ONE, None)));
            let mut queues = [queue(&VirtualTime::default())];
            for load in &loads {
                queues[0].ready(load.clone(), Why::Woken, 0);
            }
            let used = race(&mut queues, &loads, 10_000 * MS);
            assert!(used[0].abs_diff(2_000 * MS) <= 40 * MS, "{used:?}");
        }
    }

    #[test]
    fn the_condemned_go_first_and_the_pinned_stay() {
        let mut queue = queue(&VirtualTime::default());
        let throttled = load(0, WEIGHT_ONE, Some(1));
        throttled.account.charge(MS);
        let mut pinned = load(1, WEIGHT_ONE, None);
        pinned.pinned = true;
        for load in [&throttled, &pinned] {
            queue.ready(load.clone(), Why::Woken, 0);
        }
        assert!(matches!(queue.next(0), Choice::Run(Turn { thread, .. }) if thread.name == 1));
        queue.ready(pinned, Why::Preempted, 0);
        assert!(matches!(queue.next(0), Choice::Run(_)));
        assert!(matches!(queue.next(0), Choice::Wait { until_ns } if until_ns > 1000 * MS));
        assert!(queue.steal(0).is_none());
        for held in queue.throttled.values_mut() {
            held.condemned = true;
        }
        queue.expedite();
        assert!(
            matches!(queue.next(0), Choice::Run(Turn { thread, limit_ns: None, .. }) if thread.name == 0)
        );
    }
}
