//! A connection goes on here that has lost its client on another instance: it hears its rooms from where it stood there, and nobody hears of it.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Event, Member, RoomId};

use super::{Connection, Hub};
use crate::{
    bus::NoticeBody,
    store::{History, Position},
    transport::Frame,
};

impl Hub {
    /// `false`: some room cannot be gone on with, because the store does not answer, or not with all that was missed there.
    pub(super) async fn go_on(&self, connection: &Arc<Connection>, standing: &[(RoomId, Position)]) -> bool {
        let Some(member) = connection.member() else { return false };
        for (room, position) in standing {
            if self.check_join(connection, room, &[]).is_err()
                || !self.go_on_in(connection, &member, room, *position).await
            {
                return false;
            }
        }
        true
    }

    async fn go_on_in(&self, connection: &Arc<Connection>, member: &Member, room: &RoomId, position: Position) -> bool {
        let cell = self.listen_to(connection, room, &member.user).await;
        connection.entered(room.clone());
        let first = self.enter(&cell, &connection.device(member.clone())).await;
        let missed = match self.ports.messages.since(room, position).await {
            Ok(missed) if is_all(&missed, position) => missed,
            Ok(_) => return false,
            Err(problem) => {
                tracing::debug!(%problem, "a client begins anew");
                return false;
            }
        };
        if first {
            // The instance that he has lost has said that he left.
            self.tell_room(&cell, NoticeBody::Joined(member.clone())).await;
        }
        let frames = missed.messages.iter().filter_map(|stored| {
            let frame = Frame::of(self.rules.dialect, &Event::Message(stored.message.clone()))?;
            Some(frame.placed(room, stored.position()))
        });
        let frames: Vec<_> = frames.collect();
        let next = cell.state().finish_joining(connection.id(), &missed, &frames);
        self.follow_up(&cell, next);
        true
    }
}

/// Whether these are all messages behind a position: of those that the store has dropped, nobody can be told.
fn is_all(missed: &History, position: Position) -> bool {
    let mut last = position;
    for stored in &missed.messages {
        if stored.position() != last.next() {
            return false;
        }
        last = stored.position();
    }
    last == missed.latest
}
