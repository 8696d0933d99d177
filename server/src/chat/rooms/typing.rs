//! `typing`: the other users in the room hear of it now; it is stored nowhere.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Refusal, RoomId};

use super::{Confirmation, Connection, Hub};
use crate::bus::NoticeBody;

impl Hub {
    pub(super) async fn typing(
        &self,
        connection: &Arc<Connection>,
        room: RoomId,
        active: bool,
    ) -> Result<Confirmation, Refusal> {
        let member = connection.member().ok_or(Refusal::NotAuthenticated)?;
        self.check_room(&room)?;
        self.check_member(connection, &room)?;
        if let Some(cell) = self.roster.cell(&room) {
            self.tell_room(&cell, NoticeBody::Typing { member, active }).await;
        }
        Ok(Confirmation::Typing)
    }

    pub(super) fn check_member(&self, connection: &Connection, room: &RoomId) -> Result<(), Refusal> {
        if self.rules.dialect.policy.members_only && !connection.is_in(room) {
            return Err(Refusal::NotMember);
        }
        Ok(())
    }
}
