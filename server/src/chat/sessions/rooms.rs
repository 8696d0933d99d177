//! The rooms that somebody on this instance is in, and how connections come into them and out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use chatwright_protocol::vocabulary::{Member, RoomId};

use super::{
    Connection, Hub,
    cell::{Absence, Standing},
};
use crate::{
    bus::{Movement, Notice, NoticeBody},
    store::{
        StoreError,
        sessions::{Arrival, RoomFull, Version},
    },
};

/// The rooms that somebody here listens to: at most one per connection.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    cells: Mutex<HashMap<RoomId, Arc<Cell>>>,
}

/// One room's place on this instance.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) room: RoomId,
    standing: Mutex<Standing>,
    /// Held while the first listener comes or the last one goes, so that subscribing and unsubscribing never cross; `true` once the
    /// cell is out of use and a new one must be made.
    door: tokio::sync::Mutex<bool>,
}

impl Cell {
    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("no code panics while it holds a room")
    }
}

impl Rooms {
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

/// Why a connection did not come into a room.
#[derive(Debug)]
pub(super) enum NotEntered {
    Full,
    Store(StoreError),
}

impl Hub {
    /// Brings a connection into a room: from here on it hears everything there, beginning with who else is in it.
    pub(super) async fn bring_in(
        &self,
        connection: &Arc<Connection>,
        room: &RoomId,
        member: &Member,
    ) -> Result<(), NotEntered> {
        let cell = self.open(room).await;
        let device = connection.device(member.clone());
        // The room is heard before the store knows the newcomer: who learns of him from here on is heard by him.
        let entered = self.ports.sessions.enter(room, &device, self.rules.limits.participants_max).await;
        let entered =
            entered.map_err(NotEntered::Store).and_then(|entered| entered.map_err(|RoomFull| NotEntered::Full));
        let entered = match entered {
            Ok(entered) => entered,
            Err(problem) => {
                cell.standing().expect_no_more();
                self.close_if_unused(&cell).await;
                return Err(problem);
            }
        };
        let movement = match entered.arrival {
            Arrival::New => Some(Movement::Came),
            Arrival::Back => Some(Movement::CameBack),
            Arrival::Present => None,
        };
        {
            let mut standing = cell.standing();
            standing.expect_no_more();
            if let Some(movement) = movement {
                standing.moved(member, movement, entered.room.version);
            }
            standing.compare(&entered.room, Absence::ProvesNothing);
            standing.admit(connection, &member.user);
        }
        connection.entered(room.clone());
        if let Some(movement) = movement {
            self.publish_movement(room, member, movement, entered.room.version).await;
        }
        Ok(())
    }

    /// Takes a connection out of the room that it is in. Whether its user is gone with it shows when his grace period ends.
    pub(super) async fn leave(&self, connection: &Arc<Connection>) {
        let Some(member) = connection.member() else { return };
        for room in connection.rooms() {
            if !connection.left(&room) {
                continue;
            }
            if let Some(cell) = self.rooms.cell(&room) {
                cell.standing().remove(connection.id());
                self.close_if_unused(&cell).await;
            }
            let device = connection.device(member.clone());
            match self.ports.sessions.leave(&room, &device, self.rules.grace).await {
                Ok(()) => self.leaving.notify_one(),
                Err(problem) => self.may_differ(&problem),
            }
        }
    }

    /// Tells of somebody who came or went, here and elsewhere.
    pub(super) async fn tell_movement(&self, room: &RoomId, member: &Member, movement: Movement, version: Version) {
        if let Some(cell) = self.rooms.cell(room) {
            cell.standing().moved(member, movement, version);
        }
        self.publish_movement(room, member, movement, version).await;
    }

    pub(super) async fn publish_movement(&self, room: &RoomId, member: &Member, movement: Movement, version: Version) {
        self.publish(room, NoticeBody::Moved { member: member.clone(), movement, version }).await;
    }

    /// Tells the other instances.
    pub(super) async fn publish(&self, room: &RoomId, body: NoticeBody) {
        let notice = Notice { origin: self.instance.clone(), room: room.clone(), audience: Vec::new(), body };
        if let Err(problem) = self.ports.bus.publish(notice).await {
            tracing::debug!(%problem, "the other instances do not hear of it");
        }
    }

    /// A room that is heard, with a place kept in it.
    async fn open(&self, room: &RoomId) -> Arc<Cell> {
        loop {
            let cell = Arc::clone(self.rooms.cells().entry(room.clone()).or_insert_with(|| {
                Arc::new(Cell {
                    room: room.clone(),
                    standing: Mutex::new(Standing::new(room.clone())),
                    door: tokio::sync::Mutex::new(false),
                })
            }));
            let retired = cell.door.lock().await;
            if *retired {
                continue;
            }
            if cell.standing().expect() {
                self.metrics.rooms(self.rooms.cells().len());
                if let Err(problem) = self.ports.bus.subscribe(room).await {
                    tracing::debug!(%problem, "a room is served alone until the bus is back");
                }
            }
            drop(retired);
            return cell;
        }
    }

    async fn close_if_unused(&self, cell: &Cell) {
        let mut retired = cell.door.lock().await;
        if *retired || !cell.standing().is_unused() {
            return;
        }
        *retired = true;
        self.rooms.cells().remove(&cell.room);
        self.metrics.rooms(self.rooms.cells().len());
        self.ports.bus.unsubscribe(&cell.room).await;
    }
}
