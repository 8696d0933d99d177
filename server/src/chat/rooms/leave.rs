//! `leave_room`: the connection hears no more of the room; the others hear of a user whose last connection it was.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Refusal, RoomId};

use super::{Confirmation, Connection, Hub};

impl Hub {
    /// Leaving a room that one is not in changes nothing and is no error: afterwards one is not in it, as asked.
    pub(super) async fn leave(&self, connection: &Arc<Connection>, room: RoomId) -> Result<Confirmation, Refusal> {
        let member = connection.member().ok_or(Refusal::NotAuthenticated)?;
        self.check_room(&room)?;
        if connection.left(&room) {
            self.leave_room(connection, &room, &member).await;
        }
        Ok(Confirmation::Left)
    }
}
