//! A component that keeps accounts: exports types of every kind and a resource.

use std::cell::{Cell, RefCell};

wit_bindgen::generate!({ path: "../wit", world: "bank" });

use exports::atoll::ledger::accounts::{
    Account, AccountBorrow, Currency, Date, Entry, Guest, GuestAccount, Marks, Rejection,
};

struct Bank;

struct Book {
    owner: String,
    currency: Currency,
    frozen: Cell<bool>,
    entries: RefCell<Vec<Entry>>,
}

impl Book {
    fn balance(&self) -> i64 {
        self.entries.borrow().iter().map(|entry| entry.cents).sum()
    }
}

impl Guest for Bank {
    type Account = Book;

    fn total(accounts: Vec<AccountBorrow<'_>>) -> i64 {
        accounts.iter().map(|account| account.get::<Book>().balance()).sum()
    }

    fn seal(bytes: Vec<u8>) -> (u64, Vec<u8>) {
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash, bytes)
    }

    fn round(value: f64, to: Option<u32>) -> f64 {
        let scale = 10f64.powi(to.unwrap_or(0) as i32);
        (value * scale).round() / scale
    }

    fn initials(names: Vec<String>) -> Vec<char> {
        names.iter().filter_map(|name| name.chars().next()).collect()
    }

    fn parse(text: String) -> Result<Entry, String> {
        let (what, cents) = text.split_once('=').ok_or_else(|| format!("no `=` in `{text}`"))?;
        let cents = cents.trim().parse().map_err(|error| format!("`{cents}`: {error}"))?;
        Ok(Entry { what: what.trim().to_string(), cents, tags: Vec::new(), day: None })
    }
}

impl GuestAccount for Book {
    fn new(owner: String, currency: Currency) -> Book {
        Book { owner, currency, frozen: Cell::new(false), entries: RefCell::default() }
    }

    fn book(&self, entry: Entry) -> Result<i64, Rejection> {
        if self.frozen.get() {
            return Err(Rejection::Frozen);
        }
        if let Some(Date { month, .. }) = entry.day
            && !(1..=12).contains(&month)
        {
            return Err(Rejection::Unknown(("month".to_string(), u32::from(month))));
        }
        let balance = self.balance() + entry.cents;
        if balance < 0 {
            return Err(Rejection::Overdrawn(balance));
        }
        self.entries.borrow_mut().push(entry);
        Ok(balance)
    }

    fn freeze(&self) {
        self.frozen.set(true);
    }

    fn history(&self) -> Vec<Entry> {
        self.entries.borrow().clone()
    }

    fn summary(&self, marks: Marks) -> String {
        format!("{} has {} {:?} {marks:?}", self.owner, self.balance(), self.currency)
    }

    fn merge(a: Account, b: Account) -> Account {
        let (a, b) = (a.into_inner::<Book>(), b.into_inner::<Book>());
        let mut entries = a.entries.into_inner();
        entries.extend(b.entries.into_inner());
        let owner = format!("{} & {}", a.owner, b.owner);
        let entries = RefCell::new(entries);
        Account::new(Book { owner, currency: a.currency, frozen: a.frozen, entries })
    }
}

export!(Bank);
