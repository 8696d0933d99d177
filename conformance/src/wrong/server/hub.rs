//! Who is in which room, and what was said there: as much of the dialect as the layers below need to be judged.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{House, session::Session};

/// As the documents have it.
const HISTORY_MAX: usize = 1000;
const JOIN_HISTORY: usize = 50;
const TEXT_CHARS_MAX: usize = 4096;
const ID_CHARS_MAX: usize = 128;
/// Rooms of one server; a run makes a few per case.
const ROOMS_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Hub {
    rooms: HashMap<String, Room>,
}

#[derive(Default)]
struct Room {
    members: BTreeMap<u64, Member>,
    history: Vec<Value>,
}

struct Member {
    session: Arc<Session>,
    user: (String, String),
}

impl Room {
    fn users(&self) -> Vec<&str> {
        let mut users: Vec<&str> = self.members.values().map(|member| member.user.0.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// To every member, or to those of other users.
    fn emit(&self, event: &Value, except_user: Option<&str>) {
        for member in self.members.values().filter(|member| except_user != Some(member.user.0.as_str())) {
            member.session.send_text(format!("42{event}"));
        }
    }

    fn newest(&self, limit: usize) -> &[Value] {
        &self.history[self.history.len().saturating_sub(limit)..]
    }
}

impl Hub {
    /// One event of a client; a refusal is told to it.
    pub(super) fn event(
        &mut self,
        house: &House,
        session: &Arc<Session>,
        name: &str,
        argument: Option<&Value>,
    ) -> Result<(), String> {
        let user = session.socket_io().user.clone().ok_or("Not authenticated")?;
        let field = |name: &str| argument.and_then(|argument| argument.get(name));
        let room =
            field("roomId").and_then(Value::as_str).filter(|id| !id.is_empty() && id.chars().count() <= ID_CHARS_MAX);
        let room = || room.map(str::to_owned).ok_or("roomId must be a text of 1 to 128 characters".to_owned());
        match name {
            "join_room" => self.join(session, &room()?, user),
            "leave_room" => {
                self.leave(session.number, &room()?);
                Ok(())
            }
            "send_message" => {
                let text = field("message").and_then(Value::as_str).unwrap_or_default();
                self.send(house, &room()?, user, text, Some(session.number)).map(drop)
            }
            "typing" => {
                let on = field("isTyping").and_then(Value::as_bool).ok_or("isTyping must be true or false")?;
                let members = self
                    .rooms
                    .get(&room()?)
                    .filter(|room| room.members.contains_key(&session.number))
                    .ok_or("not in this room")?;
                members.emit(
                    &json!(["user_typing", {"userId": user.0, "username": user.1, "isTyping": on}]),
                    Some(&user.0),
                );
                Ok(())
            }
            "authenticate" => Ok(()),
            _ => Err("unknown event".to_owned()),
        }
    }

    fn join(&mut self, session: &Arc<Session>, id: &str, user: (String, String)) -> Result<(), String> {
        if self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(id) {
            return Err("too many rooms".to_owned());
        }
        let room = self.rooms.entry(id.to_owned()).or_default();
        let is_new = !room.members.values().any(|member| member.user.0 == user.0);
        if is_new {
            room.emit(&json!(["user_joined", {"roomId": id, "userId": user.0, "username": user.1}]), None);
        }
        room.members.insert(session.number, Member { session: Arc::clone(session), user });
        session.send_text(format!("42{}", json!(["message_history", room.newest(JOIN_HISTORY)])));
        session.send_text(format!("42{}", json!(["room_users", room.users()])));
        Ok(())
    }

    fn leave(&mut self, number: u64, id: &str) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Some(gone) = room.members.remove(&number) else { return };
        if !room.members.values().any(|member| member.user.0 == gone.user.0) {
            room.emit(&json!(["user_left", {"roomId": id, "userId": gone.user.0, "username": gone.user.1}]), None);
        }
    }

    /// A connection is gone from all its rooms.
    pub(super) fn disconnect(&mut self, number: u64) {
        let rooms: Vec<String> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.members.contains_key(&number))
            .map(|(id, _)| id.clone())
            .collect();
        rooms.iter().for_each(|id| self.leave(number, id));
    }

    /// A message, from a member or over HTTP.
    pub(super) fn send(
        &mut self,
        house: &House,
        id: &str,
        user: (String, String),
        text: &str,
        member: Option<u64>,
    ) -> Result<Value, String> {
        if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("message must be a text of 1 to {TEXT_CHARS_MAX} characters"));
        }
        let room = self.rooms.entry(id.to_owned()).or_default();
        if member.is_some_and(|number| !room.members.contains_key(&number)) {
            return Err("not in this room".to_owned());
        }
        let message = json!({
            "messageId": format!("m{}", house.number()), "roomId": id, "userId": user.0, "username": user.1,
            "message": text, "messageType": "text", "timestamp": now_ms(),
        });
        room.history.push(message.clone());
        if room.history.len() > HISTORY_MAX {
            room.history.remove(0);
        }
        room.emit(&json!(["new_message", message]), None);
        Ok(message)
    }

    pub(super) fn history(&self, id: &str, limit: usize) -> Vec<Value> {
        self.rooms.get(id).map(|room| room.newest(limit.clamp(1, HISTORY_MAX)).to_vec()).unwrap_or_default()
    }

    pub(super) fn users(&self, id: &str) -> Vec<String> {
        self.rooms.get(id).map(|room| room.users().into_iter().map(str::to_owned).collect()).unwrap_or_default()
    }
}

/// Messages carry a date.
#[expect(clippy::disallowed_methods, reason = "the time of a message is a date for people")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
