//! `join_room`: the connection hears the room from here on, gets its history and who is there; the others hear of a new user.

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Event, Member, Refusal, RoomId, RoomKind, UserId};

use super::{Confirmation, Connection, Hub, away, check_id};
use crate::{bus::NoticeBody, store::RoomRecord, transport::Frame};

impl Hub {
    pub(super) async fn join(
        &self,
        connection: &Arc<Connection>,
        room: RoomId,
        kind: Option<RoomKind>,
        participants: Vec<UserId>,
    ) -> Result<Confirmation, Refusal> {
        let member = connection.member().ok_or(Refusal::NotAuthenticated)?;
        self.check_join(connection, &room, &participants)?;
        let cell = self.listen_to(connection, &room, &member.user).await;
        let device = connection.device(member.clone());
        let again = connection.is_in(&room);
        connection.entered(room.clone());
        let first = !again && self.enter(&cell, &device).await;
        let record = RoomRecord { room: room.clone(), kind: kind.unwrap_or(RoomKind::Group), participants };
        let limit = self.rules.limits.history_default;
        let (history, users, opened) = tokio::join!(
            self.ports.messages.history(&room, limit),
            self.members_of(&room),
            self.ports.messages.open_room(&record),
        );
        let history = match opened.and(history) {
            Ok(history) => history,
            Err(problem) => {
                cell.state().abandon_joining(connection.id());
                if !again {
                    connection.left(&room);
                    self.leave_room(connection, &room, &member).await;
                }
                return Err(away(&problem));
            }
        };
        if first {
            self.tell_room(&cell, NoticeBody::Joined(member)).await;
        }
        let messages = history.messages.iter().map(|stored| stored.message.clone()).collect();
        let answers = [
            Event::History { room: room.clone(), messages },
            Event::Members { room: room.clone(), users: users.into_iter().map(Member::nameless).collect() },
        ];
        let frames: Vec<Frame> = answers.iter().filter_map(|event| Frame::of(self.rules.dialect, event)).collect();
        let next = cell.state().finish_joining(connection.id(), &history, &frames);
        connection.knows(&room, history.latest);
        self.follow_up(&cell, next);
        Ok(Confirmation::Joined)
    }

    pub(super) fn check_join(
        &self,
        connection: &Connection,
        room: &RoomId,
        participants: &[UserId],
    ) -> Result<(), Refusal> {
        let limits = &self.rules.limits;
        self.check_room(room)?;
        if participants.len() > limits.participants_max {
            return Err(Refusal::TooMany { what: "participants" });
        }
        for user in participants {
            check_id(user.as_str(), "participants", limits.id_characters_max)?;
        }
        if !connection.is_in(room) && connection.rooms_count() >= limits.rooms_per_connection_max {
            return Err(Refusal::TooMany { what: "rooms" });
        }
        Ok(())
    }
}
