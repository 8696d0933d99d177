//! The roster kept in this process: the default, and the double in tests (instances may share one).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};
use futures_util::future::ready;

use super::{Admission, Departure, Device, DeviceId, Entry, InstanceId, Lease, RosterStore, StoreFuture};

/// Who is connected and where, in memory. Everything in it belongs to a living lease, so its size follows the connections.
#[derive(Debug, Default)]
pub struct MemoryRoster {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    leases: HashMap<InstanceId, Instant>,
    connections: HashMap<UserId, HashMap<DeviceId, Device>>,
    rooms: HashMap<RoomId, BTreeMap<UserId, Present>>,
}

#[derive(Debug)]
struct Present {
    member: Member,
    devices: HashMap<DeviceId, InstanceId>,
}

impl MemoryRoster {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the roster")
    }
}

impl State {
    fn lives(&self, instance: &InstanceId) -> bool {
        self.leases.get(instance).is_some_and(|until| *until > Instant::now())
    }

    fn living(&self) -> BTreeSet<InstanceId> {
        self.leases.keys().filter(|instance| self.lives(instance)).cloned().collect()
    }

    fn admit(&mut self, device: &Device, connections_max: usize) -> Admission {
        let living = self.living();
        let connections = self.connections.entry(device.member.user.clone()).or_default();
        connections.retain(|_, device| living.contains(&device.instance));
        if connections.len() >= connections_max && !connections.contains_key(&device.id) {
            return Admission::Full;
        }
        connections.insert(device.id.clone(), device.clone());
        Admission::Admitted
    }

    fn forget(&mut self, device: &Device) {
        if let Some(connections) = self.connections.get_mut(&device.member.user) {
            connections.retain(|_, known| known != device); // one that another instance has taken over stays
            if connections.is_empty() {
                self.connections.remove(&device.member.user);
            }
        }
    }

    fn enter(&mut self, room: &RoomId, device: &Device) -> bool {
        let present = self.rooms.entry(room.clone()).or_default().entry(device.member.user.clone());
        let present = present.or_insert_with(|| Present { member: device.member.clone(), devices: HashMap::new() });
        let first = present.devices.is_empty();
        present.devices.insert(device.id.clone(), device.instance.clone());
        first
    }

    fn leave(&mut self, room: &RoomId, device: &Device) -> bool {
        let Some(users) = self.rooms.get_mut(room) else { return false };
        let Some(present) = users.get_mut(&device.member.user) else { return false };
        let is_here = present.devices.get(&device.id) == Some(&device.instance);
        let was_there = is_here && present.devices.remove(&device.id).is_some();
        let gone = present.devices.is_empty();
        if gone {
            users.remove(&device.member.user);
            if users.is_empty() {
                self.rooms.remove(room);
            }
        }
        was_there && gone
    }

    fn entries(&self, instance: &InstanceId) -> Vec<Entry> {
        let connected =
            self.connections.values().flat_map(HashMap::values).filter(|device| device.instance == *instance);
        let mut entries: Vec<_> = connected.map(|device| Entry { device: device.clone(), room: None }).collect();
        for (room, users) in &self.rooms {
            for present in users.values() {
                let here = present.devices.iter().filter(|(_, its)| *its == instance);
                entries.extend(here.map(|(id, _)| Entry {
                    device: Device { instance: instance.clone(), id: id.clone(), member: present.member.clone() },
                    room: Some(room.clone()),
                }));
            }
        }
        entries
    }

    fn reap(&mut self) -> Vec<Departure> {
        let living = self.living();
        self.leases.retain(|instance, _| living.contains(instance));
        self.connections.retain(|_, connections| {
            connections.retain(|_, device| living.contains(&device.instance));
            !connections.is_empty()
        });
        let mut departures = Vec::new();
        self.rooms.retain(|room, users| {
            users.retain(|_, present| {
                present.devices.retain(|_, instance| living.contains(instance));
                let gone = present.devices.is_empty();
                if gone {
                    departures.push(Departure { room: room.clone(), member: present.member.clone() });
                }
                !gone
            });
            !users.is_empty()
        });
        departures
    }
}

impl RosterStore for MemoryRoster {
    fn renew<'a>(&'a self, instance: &'a InstanceId, lease: Duration) -> StoreFuture<'a, Lease> {
        let mut state = self.state();
        let held = state.lives(instance);
        state.leases.insert(instance.clone(), Instant::now() + lease);
        Box::pin(ready(Ok(if held { Lease::Held } else { Lease::Lost })))
    }

    fn resign<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, ()> {
        self.state().leases.remove(instance);
        Box::pin(ready(Ok(())))
    }

    fn connect<'a>(&'a self, device: &'a Device, connections_max: usize) -> StoreFuture<'a, Admission> {
        Box::pin(ready(Ok(self.state().admit(device, connections_max))))
    }

    fn disconnect<'a>(&'a self, device: &'a Device) -> StoreFuture<'a, ()> {
        self.state().forget(device);
        Box::pin(ready(Ok(())))
    }

    fn enter<'a>(&'a self, room: &'a RoomId, device: &'a Device) -> StoreFuture<'a, bool> {
        Box::pin(ready(Ok(self.state().enter(room, device))))
    }

    fn leave<'a>(&'a self, room: &'a RoomId, device: &'a Device) -> StoreFuture<'a, bool> {
        Box::pin(ready(Ok(self.state().leave(room, device))))
    }

    fn members<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Vec<UserId>> {
        let state = self.state();
        let living = state.living();
        let users = state.rooms.get(room).map_or_else(Vec::new, |users| {
            let here = users.iter().filter(|(_, present)| present.devices.values().any(|i| living.contains(i)));
            here.map(|(user, _)| user.clone()).collect()
        });
        Box::pin(ready(Ok(users)))
    }

    fn refresh<'a>(&'a self, _devices: &'a [Device]) -> StoreFuture<'a, ()> {
        Box::pin(ready(Ok(()))) // presence is the connection itself here: nothing expires
    }

    fn entries<'a>(&'a self, instance: &'a InstanceId) -> StoreFuture<'a, Vec<Entry>> {
        Box::pin(ready(Ok(self.state().entries(instance))))
    }

    fn reap(&self) -> StoreFuture<'_, Vec<Departure>> {
        Box::pin(ready(Ok(self.state().reap())))
    }
}
