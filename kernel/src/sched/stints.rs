//! Whose part of a turn is how long, where threads hand the processor over to each other in the middle of it.
//!
//! Reading the clock at every hand-over would cost as much as the hand-over. The processor counts cycles, which say how a
//! turn is divided; the clock says how long it was.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::account::Account;
use crate::limits::STINT_ACCOUNTS;

/// The division of the turn that a worker runs. Times are cycles.
#[derive(Default)]
pub(super) struct Stints {
    /// When the turn began.
    began: Cell<u64>,
    /// What the thread that runs now has lent to others.
    lent: Cell<u64>,
    /// Everybody that something was lent to in this turn, and how much of that they kept.
    accounts: RefCell<Vec<(Arc<Account>, u64)>>,
    /// What nobody needed.
    idle: Cell<u64>,
}

/// A stretch of a turn in which another thread runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stint {
    began: u64,
    /// What the lender had lent before.
    lent: u64,
}

impl Stints {
    /// A turn begins.
    pub fn begin(&self, now: u64) {
        self.lent.set(0);
        self.idle.set(0);
        self.began.set(now);
    }

    /// Somebody lends.
    #[inline]
    pub fn open(&self, now: u64) -> Stint {
        Stint { began: now, lent: self.lent.replace(0) }
    }

    /// The lender is back: what `account`'s thread did not lend in turn was its own.
    #[inline]
    pub fn close(&self, account: &Arc<Account>, stint: Stint, now: u64) {
        let total = now.saturating_sub(stint.began);
        let own = total.saturating_sub(self.lent.get());
        self.lent.set(stint.lent.saturating_add(total));
        let mut accounts = self.accounts.borrow_mut();
        // The last first: who calls, calls again.
        match accounts.iter().rposition(|(known, _)| Arc::ptr_eq(known, account)) {
            Some(at) => accounts[at].1 += own,
            // Where more take part than are told apart, the rest is the lender's.
            None if accounts.len() < STINT_ACCOUNTS => accounts.push((Arc::clone(account), own)),
            None => (),
        }
    }

    /// The one that runs goes on, after it has only waited: that was nobody's time.
    #[inline]
    pub fn close_idle(&self, stint: Stint, now: u64) {
        let total = now.saturating_sub(stint.began);
        self.lent.set(stint.lent.saturating_add(total));
        self.idle.set(self.idle.get().saturating_add(total));
    }

    /// The turn of `owner`'s thread is over, and took this long.
    pub fn settle(&self, owner: &Account, used_ns: u64, now: u64) {
        let mut left_ns = used_ns;
        if self.lent.get() > 0 {
            let total = u128::from(now.saturating_sub(self.began.get()).max(1));
            let part = |cycles: u64, left_ns: u64| {
                let part = u128::from(used_ns) * u128::from(cycles) / total;
                u64::try_from(part).unwrap_or(u64::MAX).min(left_ns)
            };
            for (account, kept) in self.accounts.borrow_mut().drain(..) {
                let part = part(kept, left_ns);
                account.charge(part);
                left_ns -= part;
            }
            left_ns -= part(self.idle.get(), left_ns);
        }
        owner.charge(left_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::account::Share;

    #[test]
    fn a_turn_is_divided_by_who_ran() {
        let account = || Arc::new(Account::new(Share::default(), 0));
        let (a, b, c) = (account(), account(), account());
        let used = || (a.used_ns(), b.used_ns(), c.used_ns());
        let stints = Stints::default();
        stints.begin(100);
        let to_b = stints.open(110);
        let to_c = stints.open(130);
        stints.close(&c, to_c, 160);
        stints.close(&b, to_b, 170);
        let again = stints.open(180);
        stints.close(&c, again, 190);
        // Of 100 cycles a had 30, b 30 and c 40.
        stints.settle(&a, 1_000, 200);
        assert_eq!(used(), (300, 300, 400));
        stints.begin(300);
        stints.settle(&a, 7, 310);
        assert_eq!(used(), (307, 300, 400));
        // Of 100 cycles b had 50, of which it waited for 20; a waited for 10.
        stints.begin(400);
        let to_b = stints.open(410);
        let waits = stints.open(420);
        stints.close_idle(waits, 440);
        stints.close(&b, to_b, 460);
        let waits = stints.open(470);
        stints.close_idle(waits, 480);
        stints.settle(&a, 1_000, 500);
        assert_eq!(used(), (707, 600, 400));
    }
}
