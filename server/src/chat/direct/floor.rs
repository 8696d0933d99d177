//! Who is here, whom they know, and how far the live messages of their conversations are told. No IO but the queues of connections.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use chatwright_protocol::{
    dialects::{
        Dialect,
        direct::conversation::{id_of, peer_of},
    },
    vocabulary::{Event, Message, MessageId, RoomId, UserId},
};

use super::lane::{Due, Lane, Next};
use crate::{
    chat::Connection,
    store::{DeviceId, direct::Partner},
    transport::Frame,
};

/// Messages told before they were stored whose hearers are remembered; as many as a backlog usually holds.
const EARLY_MAX: usize = 1000;

/// Messages read from the store that are remembered, for early notices of them that come too late; as many as one may bring.
const HEALED_MAX: usize = 1000;

/// The users of this instance. Its size follows connections times partners, which are both bounded.
#[derive(Debug)]
pub(super) struct Floor {
    dialect: &'static Dialect,
    users: HashMap<UserId, Local>,
    lanes: HashMap<RoomId, Lane>,
    /// Who here wants to know about a user's coming and going.
    watchers: HashMap<UserId, HashSet<UserId>>,
    /// Messages that were told before the store confirmed them (it was away), with those who heard them.
    early: HashMap<MessageId, HashSet<DeviceId>>,
    /// What the store told last of what no channel had brought.
    healed: VecDeque<MessageId>,
}

#[derive(Debug, Default)]
struct Local {
    devices: HashMap<DeviceId, Arc<Connection>>,
    partners: BTreeSet<UserId>,
    /// The store was asked about his conversations.
    acquainted: bool,
    /// All his conversations were read from the store: one that has no lane has had no message before.
    known: bool,
}

impl Floor {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        let (users, lanes, watchers) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { dialect, users, lanes, watchers, early: HashMap::new(), healed: VecDeque::new() }
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    pub(super) fn conversations(&self) -> usize {
        self.lanes.len()
    }

    /// Connections of a user here.
    pub(super) fn devices(&self, user: &UserId) -> usize {
        self.users.get(user).map_or(0, |local| local.devices.len())
    }

    /// Puts a connection among a user's; `true` if it is his first here.
    pub(super) fn arrive(&mut self, connection: &Arc<Connection>, user: &UserId) -> bool {
        let local = self.users.entry(user.clone()).or_default();
        let first = local.devices.is_empty();
        local.devices.insert(connection.id().clone(), Arc::clone(connection));
        first
    }

    /// Takes a connection away; `true` if its user has no other here. What only concerned him is forgotten.
    pub(super) fn depart(&mut self, connection: &Connection, user: &UserId) -> bool {
        let Some(local) = self.users.get_mut(user) else { return false };
        local.devices.remove(connection.id());
        if !local.devices.is_empty() {
            return false;
        }
        let partners = self.users.remove(user).map(|local| local.partners).unwrap_or_default();
        for partner in partners {
            if let Some(watchers) = self.watchers.get_mut(&partner) {
                watchers.remove(user);
                if watchers.is_empty() {
                    self.watchers.remove(&partner);
                }
            }
            if !self.users.contains_key(&partner) {
                self.lanes.remove(&id_of(user, &partner));
            }
        }
        true
    }

    /// Takes in what the store knows of a user's conversations.
    pub(super) fn acquaint(&mut self, user: &UserId, partners: &[Partner], all: bool) {
        for partner in partners {
            self.meet(user, &partner.peer);
            if self.users.contains_key(user) {
                self.lanes.entry(partner.conversation.clone()).or_insert_with(|| Lane::from(partner.latest));
            }
        }
        if let Some(local) = self.users.get_mut(user) {
            local.acquainted = true;
            local.known = all;
        }
    }

    /// Two users have to do with one another from now on.
    pub(super) fn meet(&mut self, one: &UserId, other: &UserId) {
        for (user, partner) in [(one, other), (other, one)] {
            if let Some(local) = self.users.get_mut(user)
                && local.partners.insert(partner.clone())
            {
                self.watchers.entry(partner.clone()).or_default().insert(user.clone());
            }
        }
    }

    /// Takes a message that the store confirmed, from whichever side, and tells all whose turn it is.
    pub(super) fn offer(&mut self, due: Due) -> Next {
        let conversation = due.message.room.clone();
        let Some((sender, receiver)) = users_of(&due.message) else { return Next::Settled };
        let (here, known) = [&sender, &receiver]
            .into_iter()
            .filter_map(|user| self.users.get(user))
            .fold((false, false), |(_, known), local| (true, known || local.known));
        if !here {
            self.early.remove(&due.message.id);
            return Next::Settled;
        }
        self.meet(&sender, &receiver);
        let start = if known { 0 } else { due.message.sequence.saturating_sub(1) };
        let lane = self.lanes.entry(conversation).or_insert_with(|| Lane::from(start));
        let (told, next) = lane.offer(due);
        self.tell_all(&told);
        next
    }

    /// Takes a message that the store confirmed to a connection here, which is told at once, whatever others wait for; unless somebody who
    /// read the store has told it meanwhile.
    pub(super) fn confirm(&mut self, message: &Message, connection: &Connection) -> Next {
        let is_here = |local: &Local| local.devices.contains_key(connection.id());
        let is_told = self.told(&message.room).is_some_and(|told| told >= message.sequence)
            && self.users.get(&message.sender.user).is_some_and(is_here)
            && self.healed.contains(&message.id);
        if !is_told && let Some(frame) = Frame::of(self.dialect, &Event::Sent(message.clone())) {
            connection.tell(&frame);
        }
        self.offer(Due { message: message.clone(), except: Some(connection.id().clone()) })
    }

    /// Tells a message to its receiver before the store confirmed it, unless the store was faster.
    pub(super) fn tell_early(&mut self, message: Message) {
        if self.healed.contains(&message.id) {
            return;
        }
        let Some((_, receiver)) = users_of(&message) else { return };
        let Some(local) = self.users.get(&receiver) else { return };
        let heard = local.devices.keys().cloned().collect();
        if self.early.len() >= EARLY_MAX {
            self.early.clear(); // a store that lost its data never confirmed them; a repetition is the lesser harm
        }
        self.early.insert(message.id.clone(), heard);
        self.tell(&receiver, &Event::Message(message));
    }

    /// Takes what the store has of a conversation above what is told.
    pub(super) fn heal(&mut self, conversation: &RoomId, messages: Vec<Message>, upto: u64) -> Next {
        let Some(lane) = self.lanes.get_mut(conversation) else { return Next::Settled };
        let (told, next) = lane.heal(messages, upto);
        self.healed.extend(told.iter().map(|due| due.message.id.clone()));
        self.healed.drain(..self.healed.len().saturating_sub(HEALED_MAX));
        self.tell_all(&told);
        next
    }

    /// Up to where a conversation is told, if it is followed here.
    pub(super) fn told(&self, conversation: &RoomId) -> Option<u64> {
        self.lanes.get(conversation).map(Lane::told)
    }

    /// Says that somebody reads the store for a conversation, or does no longer; gives what was said before.
    pub(super) fn healing(&mut self, conversation: &RoomId, now: bool) -> bool {
        self.lanes.get_mut(conversation).is_none_or(|lane| std::mem::replace(&mut lane.healing, now))
    }

    /// The conversations that are followed here, with how far they are told.
    pub(super) fn followed(&self) -> Vec<(RoomId, u64)> {
        self.lanes.iter().map(|(conversation, lane)| (conversation.clone(), lane.told())).collect()
    }

    /// Tells something to all connections of a user.
    pub(super) fn tell(&self, user: &UserId, event: &Event) {
        self.tell_but(user, event, |_| false);
    }

    /// Users who came while the store could not be asked about their conversations.
    pub(super) fn strangers(&self) -> Vec<UserId> {
        self.users.iter().filter(|(_, local)| !local.acquainted).map(|(user, _)| user.clone()).collect()
    }

    /// Tells the partners of a user, who are here, that he is connected now or not any more.
    pub(super) fn tell_watchers(&self, user: &UserId, event: &Event) {
        for watcher in self.watchers.get(user).into_iter().flatten() {
            self.tell(watcher, event);
        }
    }

    fn tell_all(&mut self, told: &[Due]) {
        for due in told {
            let Some((sender, receiver)) = users_of(&due.message) else { continue };
            let heard = self.early.remove(&due.message.id).unwrap_or_default();
            self.tell_but(&receiver, &Event::Message(due.message.clone()), |device| heard.contains(device));
            self.tell_but(&sender, &Event::Sent(due.message.clone()), |device| due.except.as_ref() == Some(device));
        }
    }

    fn tell_but(&self, user: &UserId, event: &Event, is_excepted: impl Fn(&DeviceId) -> bool) {
        let Some(local) = self.users.get(user) else { return };
        let Some(frame) = Frame::of(self.dialect, event) else { return };
        for (_, connection) in local.devices.iter().filter(|(id, _)| !is_excepted(id)) {
            connection.tell(&frame);
        }
    }
}

/// The sender and the receiver of a message, if it is in a conversation of theirs.
fn users_of(message: &Message) -> Option<(UserId, UserId)> {
    let sender = message.sender.user.clone();
    peer_of(&message.room, &sender).map(|receiver| (sender, receiver))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chatwright_protocol::vocabulary::MessageKind;

    use super::*;
    use crate::{
        store::{InstanceId, direct::DirectDraft},
        transport::{CannotTake, Sink},
    };

    /// Counts what it is told.
    #[derive(Default)]
    struct Counts(Mutex<usize>);

    impl Sink for Counts {
        fn send(&self, _: &Frame) -> Result<(), CannotTake> {
            *self.0.lock().expect("nobody panics with it") += 1;
            Ok(())
        }

        fn carrier(&self) -> &'static str {
            "none"
        }
    }

    impl Counts {
        fn heard(&self) -> usize {
            *self.0.lock().expect("nobody panics with it")
        }
    }

    /// One user with one connection.
    struct Scene {
        floor: Floor,
        connection: Arc<Connection>,
        counts: Arc<Counts>,
    }

    impl Scene {
        fn with(user: &str) -> Self {
            let counts = Arc::new(Counts::default());
            let (id, instance) = (DeviceId::from("device"), InstanceId::from("here"));
            let connection = Arc::new(Connection::new(id, instance, None, Arc::clone(&counts) as Arc<dyn Sink>));
            let mut floor = Floor::new(&chatwright_protocol::dialects::direct::DIALECT);
            floor.arrive(&connection, &UserId::from(user));
            floor.meet(&UserId::from("alice"), &UserId::from("bob"));
            Self { floor, connection, counts }
        }
    }

    fn conversation() -> RoomId {
        id_of(&UserId::from("alice"), &UserId::from("bob"))
    }

    /// What Alice says to Bob.
    fn message(digit: u32, sequence: u64) -> Message {
        let draft = DirectDraft {
            id: MessageId::from(format!("{digit:024x}")),
            conversation: conversation(),
            sender: UserId::from("alice"),
            receiver: UserId::from("bob"),
            text: digit.to_string(),
            kind: MessageKind::Text,
            attachment: None,
            sent_at_ms: 0,
        };
        draft.placed(sequence)
    }

    #[test]
    fn what_the_store_has_told_is_not_told_again_by_an_early_notice_that_comes_late() {
        let Scene { mut floor, counts, .. } = Scene::with("bob");
        let conversation = conversation();
        let heard = || counts.heard();
        let next = floor.offer(Due { message: message(1, 1), except: None });
        assert_eq!((heard(), next), (1, Next::Settled));

        let next = floor.heal(&conversation, vec![message(2, 2)], 2);
        assert_eq!((heard(), next), (2, Next::Settled));
        floor.tell_early(message(2, 0));
        assert_eq!(heard(), 2, "the store was faster");

        floor.tell_early(message(3, 0));
        assert_eq!(heard(), 3);
        let next = floor.heal(&conversation, vec![message(3, 3)], 3);
        assert_eq!((heard(), next), (3, Next::Settled), "he has heard it early");
    }
    #[test]
    fn a_sender_is_told_once_that_his_message_is_stored_also_while_somebody_reads_the_store() {
        let Scene { mut floor, connection, counts } = Scene::with("alice");
        let next = floor.confirm(&message(1, 1), &connection);
        assert_eq!((counts.heard(), next), (1, Next::Settled));

        let next = floor.heal(&conversation(), vec![message(2, 2)], 2);
        assert_eq!((counts.heard(), next), (2, Next::Settled), "the reader was faster");
        let next = floor.confirm(&message(2, 2), &connection);
        assert_eq!((counts.heard(), next), (2, Next::Settled));

        let next = floor.confirm(&message(3, 3), &connection);
        assert_eq!((counts.heard(), next), (3, Next::Settled));
        let next = floor.heal(&conversation(), vec![message(3, 3)], 3);
        assert_eq!((counts.heard(), next), (3, Next::Settled));
    }
}
