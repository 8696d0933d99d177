//! The sessions of one engine by their ids, and the bounds of how many there are and how fast they come.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::session::Session;
use crate::transport::EngineRules;

/// The span over which handshakes are counted.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// The sessions.
#[derive(Debug)]
pub(super) struct Table {
    sessions_max: usize,
    sessions_per_address_max: usize,
    handshakes_per_second_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_sid: HashMap<String, Arc<Session>>,
    places: usize,
    by_address: HashMap<IpAddr, usize>,
    /// The beginning of the present span, and the handshakes in it.
    rate: Option<(Instant, usize)>,
}

/// A session's place among those that may be; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    address: IpAddr,
}

impl Table {
    pub(super) fn new(rules: &EngineRules) -> Arc<Self> {
        Arc::new(Self {
            sessions_max: rules.sessions_max,
            sessions_per_address_max: rules.sessions_per_address_max,
            handshakes_per_second_max: rules.handshakes_per_second_max,
            state: Mutex::default(),
        })
    }

    /// A place for one more session of this address, unless there are too many or they come too fast.
    pub(super) fn place(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Place> {
        let mut guard = self.state();
        let state = &mut *guard;
        let (began, count) = state.rate.filter(|(began, _)| now.duration_since(*began) < RATE_SPAN).unwrap_or((now, 0));
        state.rate = Some((began, count + 1));
        let here = state.by_address.get(&address).copied().unwrap_or(0);
        let is_full = count >= self.handshakes_per_second_max
            || state.places >= self.sessions_max
            || here >= self.sessions_per_address_max;
        if is_full {
            return None;
        }
        state.places += 1;
        state.by_address.insert(address, here + 1);
        Some(Place { table: Arc::clone(self), address })
    }

    pub(super) fn insert(&self, session: &Arc<Session>) {
        self.state().by_sid.insert(session.sid().to_owned(), Arc::clone(session));
    }

    pub(super) fn find(&self, sid: &str) -> Option<Arc<Session>> {
        self.state().by_sid.get(sid).cloned()
    }

    /// From now on the id is unknown.
    pub(super) fn remove(&self, sid: &str) {
        let removed = self.state().by_sid.remove(sid);
        drop(removed); // outside of the lock: its place is given back
    }

    /// All of them now.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.state().by_sid.values().cloned().collect()
    }

    fn leave(&self, address: IpAddr) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.places -= 1;
        if let Some(here) = state.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                state.by_address.remove(&address);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the table")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.leave(self.address);
    }
}

/// A session id: 122 random bits, in letters that may stand in an address.
pub(crate) fn fresh_sid() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn table(sessions: usize, per_address: usize, per_second: usize) -> Arc<Table> {
        Table::new(&EngineRules {
            sessions_max: sessions,
            sessions_per_address_max: per_address,
            handshakes_per_second_max: per_second,
            ..EngineRules::default()
        })
    }

    #[test]
    fn places_are_bounded_in_all_and_per_address_and_come_back() {
        let (table, now) = (table(3, 2, 100), Instant::now());
        let first = table.place(HERE, now);
        let _second = table.place(HERE, now).expect("a place");
        assert!(first.is_some() && table.place(HERE, now).is_none());
        let _third = table.place(THERE, now).expect("a place");
        assert!(table.place(THERE, now).is_none());
        drop(first);
        assert!(table.place(HERE, now).is_some());
    }

    #[test]
    fn a_stampede_is_slowed_down_and_let_in_later() {
        let (table, now) = (table(100, 100, 5), Instant::now());
        let _let_in: Vec<_> = (0..5).map(|_| table.place(HERE, now).expect("a place")).collect();
        assert!(table.place(HERE, now + RATE_SPAN / 2).is_none());
        assert!(table.place(HERE, now + RATE_SPAN * 2).is_some());
    }

    #[test]
    fn ids_are_long_and_fit_into_an_address() {
        let sid = fresh_sid();
        assert_eq!(sid.len(), 22);
        assert!(sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sid}");
        assert_ne!(sid, fresh_sid());
    }
}
