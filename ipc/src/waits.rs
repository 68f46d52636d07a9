//! Which domain waits for which: a cycle is a deadlock, and is found before it is entered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::Trap;

use crate::actor::Actor;

/// Names a domain of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Station(pub u64);

/// Who waits for whom. A domain serves one call at a time, so it waits for one other at most.
#[derive(Debug, Default)]
pub struct Waits {
    edges: Mutex<HashMap<Station, Edge>>,
}

/// Who waits, for whom, and what that is called.
#[derive(Debug)]
struct Edge {
    name: Arc<str>,
    to: Station,
    to_name: Arc<str>,
}

/// A wait that is under way; it is over when this is dropped.
#[derive(Debug)]
pub struct Waiting<'w> {
    waits: &'w Waits,
    from: Station,
}

impl Waits {
    fn edges(&self) -> MutexGuard<'_, HashMap<Station, Edge>> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of whom a domain waits for, if it does.
    #[must_use]
    pub fn of(&self, from: Station) -> Option<Arc<str>> {
        self.edges().get(&from).map(|edge| Arc::clone(&edge.to_name))
    }

    /// Domain `from` waits for `to`, which was known to wait for nobody.
    pub(crate) fn note(&self, from: &Actor, to: &Actor) {
        self.note_while(from, to, &|| true);
    }

    /// The same, if `waits` says that it waits still; whether that was so. Who waits no more says so before it is forgotten.
    pub(crate) fn note_while(&self, from: &Actor, to: &Actor, waits: &dyn Fn() -> bool) -> bool {
        let edge = Edge { name: from.name().into(), to: to.station(), to_name: to.name().into() };
        let mut edges = self.edges();
        let waits = waits();
        if waits {
            edges.insert(from.station(), edge);
        }
        waits
    }

    /// It does not any more.
    pub(crate) fn forget(&self, from: Station) {
        self.edges().remove(&from);
    }

    /// Lets domain `from`, of this name, wait for `to`, of that one.
    ///
    /// # Errors
    /// [`Trap::Deadlock`] with the cycle, if `to` waits for `from`, itself or through others.
    pub fn begin(
        &self,
        from: Station,
        name: &Arc<str>,
        to: Station,
        to_name: &Arc<str>,
    ) -> Result<Waiting<'_>, Trap> {
        let mut edges = self.edges();
        let (mut at, mut names) = (to, vec![Arc::clone(name)]);
        // Every step goes along another edge, as each domain has one: the map bounds the loop.
        for _ in 0..=edges.len() {
            if at == from {
                names.push(Arc::clone(name));
                let cycle: Vec<&str> = names.iter().map(|name| &**name).collect();
                return Err(Trap::Deadlock(format!("{} wait for each other", cycle.join(" → "))));
            }
            let Some(edge) = edges.get(&at) else { break };
            names.push(Arc::clone(&edge.name));
            at = edge.to;
        }
        edges.insert(from, Edge { name: Arc::clone(name), to, to_name: Arc::clone(to_name) });
        Ok(Waiting { waits: self, from })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.edges().remove(&self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_named() {
        let waits = Waits::default();
        let [a, b, c]: [(Station, Arc<str>); 3] =
            [(Station(1), "a".into()), (Station(2), "b".into()), (Station(3), "c".into())];
        let _ab = waits.begin(a.0, &a.1, b.0, &b.1).unwrap();
        let bc = waits.begin(b.0, &b.1, c.0, &c.1).unwrap();
        let trap = waits.begin(c.0, &c.1, a.0, &a.1).unwrap_err();
        assert_eq!(trap, Trap::Deadlock("c → a → b → c wait for each other".to_owned()));
        assert_eq!(waits.of(a.0).as_deref(), Some("b"));
        drop(bc);
        assert!(waits.begin(c.0, &c.1, a.0, &a.1).is_ok());
        assert!(waits.begin(c.0, &c.1, c.0, &c.1).is_err());
    }
}
