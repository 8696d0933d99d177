//! Who listens to what: the rooms of this instance, and their share in the cluster's roster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicBool},
};

use chatwright_protocol::vocabulary::{Event, Member, RoomId, UserId};

use super::{Connection, Hub, room::Room};
use crate::{
    bus::{Notice, NoticeBody},
    store::{Admission, Device},
};

/// The rooms that somebody here listens to. Its size follows connections times rooms per connection, which are both bounded.
#[derive(Debug, Default)]
pub(super) struct Roster {
    cells: Mutex<HashMap<RoomId, Arc<Cell>>>,
}

/// One room's place on this instance.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) room: RoomId,
    state: Mutex<Room>,
    /// Held while the first listener comes or the last one goes, so that subscribing and unsubscribing never cross; `true` once the
    /// cell is out of use and a new one must be made.
    door: tokio::sync::Mutex<bool>,
    /// Somebody reads the store for it now.
    pub(super) healing: AtomicBool,
}

impl Cell {
    pub(super) fn state(&self) -> MutexGuard<'_, Room> {
        self.state.lock().expect("no code panics while it holds a room")
    }
}

impl Roster {
    pub(super) fn cell(&self, room: &RoomId) -> Option<Arc<Cell>> {
        self.cells().get(room).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Cell>> {
        self.cells().values().cloned().collect()
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<RoomId, Arc<Cell>>> {
        self.cells.lock().expect("no code panics while it holds the rooms")
    }
}

impl Hub {
    /// Makes a connection a listener of a room (its history still to come) and subscribes to the room if it is the first.
    pub(super) async fn listen_to(&self, connection: &Arc<Connection>, room: &RoomId, user: &UserId) -> Arc<Cell> {
        loop {
            let cell = Arc::clone(self.roster.cells().entry(room.clone()).or_insert_with(|| {
                Arc::new(Cell {
                    room: room.clone(),
                    state: Mutex::new(Room::new(self.rules.dialect)),
                    door: tokio::sync::Mutex::new(false),
                    healing: AtomicBool::new(false),
                })
            }));
            let retired = cell.door.lock().await;
            if *retired {
                continue;
            }
            let is_first = {
                let mut state = cell.state();
                let is_first = state.is_empty();
                state.start_joining(connection, user.clone());
                is_first
            };
            if is_first {
                self.metrics.rooms(self.roster.cells().len());
                if let Err(problem) = self.ports.bus.subscribe(room).await {
                    tracing::warn!(%problem, "a room is served alone until the bus is back");
                }
            }
            drop(retired);
            return cell;
        }
    }

    /// Takes a connection out of a room; tells the others if its user is gone with it.
    pub(super) async fn leave_room(&self, connection: &Arc<Connection>, room: &RoomId, member: &Member) {
        let Some(cell) = self.roster.cell(room) else { return };
        self.stop_listening(connection, &cell).await;
        // Outside of the door: a store that is away must not make a crowd that leaves wait one behind the other.
        let last = match self.ports.roster.leave(room, &connection.device(member.clone())).await {
            Ok(last) => last,
            Err(problem) => {
                self.roster_may_differ(&problem);
                !cell.state().hosts(&member.user)
            }
        };
        if last {
            self.tell_room(&cell, NoticeBody::Left(member.clone())).await;
        }
    }

    async fn stop_listening(&self, connection: &Connection, cell: &Cell) {
        let mut retired = cell.door.lock().await;
        let is_empty = {
            let mut state = cell.state();
            state.remove(connection.id());
            state.is_empty()
        };
        if is_empty && !*retired {
            *retired = true;
            self.roster.cells().remove(&cell.room);
            self.metrics.rooms(self.roster.cells().len());
            self.ports.bus.unsubscribe(&cell.room).await;
        }
    }

    /// Enters a device into the cluster's roster; `true` if its user was not in the room before.
    pub(super) async fn enter(&self, cell: &Cell, device: &Device) -> bool {
        match self.ports.roster.enter(&cell.room, device).await {
            Ok(first) => first,
            Err(problem) => {
                self.roster_may_differ(&problem);
                cell.state().devices_of(&device.member.user) == 1
            }
        }
    }

    /// Counts a connection of a user. While the cluster's roster is away, only the connections of this instance are counted.
    pub(super) async fn admit(&self, connection: &Arc<Connection>, member: Member) -> Admission {
        let max = self.rules.limits.connections_per_user_max;
        match self.ports.roster.connect(&connection.device(member.clone()), max).await {
            Ok(admission) => admission,
            Err(problem) => {
                self.roster_may_differ(&problem);
                let same_user = |other: &Connection| other.member().is_some_and(|other| other.user == member.user);
                if self.registry.count(same_user) > max { Admission::Full } else { Admission::Admitted }
            }
        }
    }

    /// Takes a connection's user out of its rooms and out of the count; afterwards the connection is nobody.
    pub(super) async fn forget_member(&self, connection: &Arc<Connection>) {
        let Some(member) = connection.member() else { return };
        for room in connection.rooms() {
            if connection.left(&room) {
                self.leave_room(connection, &room, &member).await;
            }
        }
        if let Err(problem) = self.ports.roster.disconnect(&connection.device(member)).await {
            self.roster_may_differ(&problem);
        }
    }

    /// The users in a room: the cluster's, or while the roster is away at least those here.
    pub(super) async fn members_of(&self, room: &RoomId) -> Vec<UserId> {
        match self.ports.roster.members(room).await {
            Ok(users) => users,
            Err(problem) => {
                tracing::warn!(%problem, "only the users of this instance are listed");
                self.roster.cell(room).map_or_else(Vec::new, |cell| cell.state().users())
            }
        }
    }

    /// Tells what is not stored to the other users in a room, here and elsewhere.
    pub(super) async fn tell_room(&self, cell: &Cell, body: NoticeBody) {
        hear(cell, &body);
        self.publish(&cell.room, || body).await;
    }

    /// Tells the other instances.
    pub(super) async fn publish(&self, room: &RoomId, body: impl FnOnce() -> NoticeBody) {
        if self.ports.bus.is_alone() {
            return;
        }
        let body = body();
        let notice = Notice { origin: self.instance.clone(), room: room.clone(), audience: Vec::new(), body };
        if let Err(problem) = self.ports.bus.publish(notice).await {
            tracing::debug!(%problem, "the other instances catch up from the store");
        }
    }
}

/// Tells listeners here what is not stored.
pub(super) fn hear(cell: &Cell, body: &NoticeBody) {
    let room = cell.room.clone();
    let event = match body {
        NoticeBody::Message(_) => return, // messages have an order to keep: they go through `Room::offer`
        NoticeBody::Said { .. } | NoticeBody::Moved { .. } => return, // nobody says so here
        NoticeBody::Joined(member) => Event::Joined { room, member: member.clone() },
        NoticeBody::Left(member) => Event::Left { room, member: member.clone() },
        NoticeBody::Typing { member, active } => Event::Typing { room, member: member.clone(), active: *active },
    };
    cell.state().tell(&event, body.silent_for());
}
