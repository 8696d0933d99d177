//! Who is in a session room, kept in this process: the default, what an instance falls back on, and the double in tests.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};
use futures_util::future::ready;
use tokio::time::Instant;

use super::{Arrival, Departure, Due, Entered, Presence, RoomFull, SessionStore, Version};
use crate::{
    clock,
    store::{Device, DeviceId, Entry, InstanceId, Lease, StoreFuture},
};

/// Versions per millisecond: as fine as the clock of Redis, so that both can follow one another.
const VERSIONS_PER_MS: u64 = 1000;

/// Who is where, in memory. Its size follows the connections and the bound on users per room.
#[derive(Debug, Default)]
pub struct MemorySessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    version: Version,
    leases: HashMap<InstanceId, Instant>,
    rooms: BTreeMap<RoomId, BTreeMap<UserId, Visitor>>,
}

#[derive(Debug)]
struct Visitor {
    name: String,
    devices: HashMap<DeviceId, InstanceId>,
    /// When his departure is confirmed, while he has no device here.
    leaving: Option<Instant>,
    /// His departure is confirmed.
    gone: bool,
}

impl Visitor {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), devices: HashMap::new(), leaving: None, gone: true }
    }
}

impl MemorySessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the rooms")
    }
}

impl State {
    fn next_version(&mut self) -> Version {
        self.version = (self.version + 1).max(clock::unix_ms() * VERSIONS_PER_MS);
        self.version
    }

    fn enter(&mut self, room: &RoomId, device: &Device, users_max: usize) -> Result<Entered, RoomFull> {
        let user = &device.member.user;
        let visitors = self.rooms.entry(room.clone()).or_default();
        if visitors.len() >= users_max && !visitors.contains_key(user) {
            visitors.retain(|_, visitor| !visitor.gone);
            if visitors.len() >= users_max {
                return Err(RoomFull);
            }
        }
        let arrival = match visitors.get(user) {
            None => Arrival::New,
            Some(visitor) if visitor.gone => Arrival::Back,
            Some(_) => Arrival::Present,
        };
        let visitor = visitors.entry(user.clone()).or_insert_with(|| Visitor::new(&device.member.name));
        visitor.name.clone_from(&device.member.name);
        visitor.devices.insert(device.id.clone(), device.instance.clone());
        visitor.leaving = None;
        visitor.gone = false;
        let version = self.next_version();
        Ok(Entered { arrival, room: Presence { version, ..self.present(room) } })
    }

    fn leave(&mut self, room: &RoomId, device: &Device, until: Instant) {
        let visitor = self.rooms.get_mut(room).and_then(|visitors| visitors.get_mut(&device.member.user));
        let Some(visitor) = visitor else { return };
        if visitor.devices.remove(&device.id).is_some() && visitor.devices.is_empty() {
            visitor.leaving = Some(until);
        }
    }

    fn present(&mut self, room: &RoomId) -> Presence {
        let version = self.next_version();
        let visitors = self.rooms.get(room).into_iter().flatten().filter(|(_, visitor)| !visitor.gone);
        let members = visitors.map(|(user, visitor)| Member { user: user.clone(), name: visitor.name.clone() });
        Presence { members: members.collect(), version }
    }

    /// The devices of dead instances are gone since their leases ran out.
    fn bury(&mut self, now: Instant, grace: Duration) {
        let dead: HashMap<InstanceId, Instant> = self.leases.extract_if(|_, until| *until <= now).collect();
        if dead.is_empty() {
            return;
        }
        for visitor in self.rooms.values_mut().flat_map(BTreeMap::values_mut) {
            let mut died = None;
            visitor.devices.retain(|_, instance| {
                died = died.max(dead.get(instance).copied());
                !dead.contains_key(instance)
            });
            if let Some(died) = died
                && visitor.devices.is_empty()
            {
                visitor.leaving = Some(died + grace);
            }
        }
    }

    fn due(&mut self, now: Instant, grace: Option<Duration>) -> Due {
        if let Some(grace) = grace {
            self.bury(now, grace);
        }
        let mut due = Due::default();
        let mut rooms = std::mem::take(&mut self.rooms);
        rooms.retain(|room, visitors| {
            for (user, visitor) in visitors.iter_mut() {
                match visitor.leaving {
                    Some(until) if until <= now => {
                        visitor.leaving = None;
                        visitor.gone = true;
                        let member = Member { user: user.clone(), name: visitor.name.clone() };
                        due.departures.push(Departure { room: room.clone(), member, version: self.next_version() });
                    }
                    Some(until) => {
                        let left = until - now;
                        due.next = Some(due.next.map_or(left, |next| next.min(left)));
                    }
                    None => {}
                }
            }
            visitors.values().any(|visitor| !visitor.gone)
        });
        self.rooms = rooms;
        due
    }

    fn entries(&self, instance: &InstanceId) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (room, visitors) in &self.rooms {
            for (user, visitor) in visitors {
                for (id, _) in visitor.devices.iter().filter(|(_, other)| *other == instance) {
                    let member = Member { user: user.clone(), name: visitor.name.clone() };
                    let device = Device { instance: instance.clone(), id: id.clone(), member };
                    entries.push(Entry { device, room: Some(room.clone()) });
                }
            }
        }
        entries
    }
}

impl SessionStore for MemorySessions {
    fn enter<'a>(
        &'a self,
        room: &'a RoomId,
        device: &'a Device,
        users_max: usize,
    ) -> StoreFuture<'a, Result<Entered, RoomFull>> {
        Box::pin(ready(Ok(self.state().enter(room, device, users_max))))
    }

    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device, grace: Duration) -> StoreFuture<'a, ()> {
        self.state().leave(room, device, Instant::now() + grace);
        Box::pin(ready(Ok(())))
    }

    fn present<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Presence> {
        Box::pin(ready(Ok(self.state().present(room))))
    }

    fn due(&self, grace: Option<Duration>) -> StoreFuture<'_, Due> {
        Box::pin(ready(Ok(self.state().due(Instant::now(), grace))))
    }

    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease> {
        let now = Instant::now();
        let before = self.state().leases.insert(instance.clone(), now + lease);
        let held = before.is_some_and(|until| until > now);
        Box::pin(ready(Ok(if held { Lease::Held } else { Lease::Lost })))
    }

    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()> {
        // What it leaves behind is for the others to clear up.
        self.state().leases.insert(instance.clone(), Instant::now());
        Box::pin(ready(Ok(())))
    }

    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>> {
        Box::pin(ready(Ok(self.state().entries(instance))))
    }

    fn alone(&self) -> Option<String> {
        None
    }

    fn technology(&self) -> &'static str {
        "memory"
    }
}
