//! Who is connected here, and the conversations of these users: where a message finds all the connections that are to read it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use chatwright_protocol::{
    dialects::conversations,
    vocabulary::{Event, Message, RoomId, UserId},
};

use super::line::{Line, Next, Told};
use crate::{
    chat::{Connection, connection::Hearer},
    metrics::Metrics,
    store::{DeviceId, conversations::Head},
    transport::Frame,
};

/// The users of this instance and their conversations. Its size follows the connections, which are bounded, and what each user's
/// conversations are, of which a bounded number is known.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    metrics: Metrics,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    here: HashMap<UserId, Here>,
    lines: HashMap<RoomId, Line>,
    /// Grows with each user who comes: of a line that was [followed](State::follow) since the last came, all participants know.
    arrivals: u64,
}

/// A user of this instance.
#[derive(Debug, Default)]
struct Here {
    hearers: Vec<Hearer>,
    /// Connections that are about to be seated.
    arriving: usize,
    conversations: HashSet<RoomId>,
    /// His conversations were read from the store, at most [`CONVERSATIONS_PER_USER_MAX`](super::CONVERSATIONS_PER_USER_MAX) of them.
    read: bool,
    /// All conversations that he had when he came are known: another one is younger than his connection.
    complete: bool,
}

impl Desk {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, state: Arc::default() }
    }

    /// A connection of this user will be [seated](Self::seat): from here on his conversations are followed.
    pub(super) fn announce(&self, user: &UserId) {
        self.state().arrive(user).arriving += 1;
    }

    /// These are the user's conversations as the store has them now, all of them if `complete`.
    pub(super) fn know(&self, heads: &[Head], user: &UserId, complete: bool) {
        let mut state = self.state();
        for head in heads {
            state.follow(&head.conversation, &head.participants, head.sequence);
        }
        if let Some(here) = state.here.get_mut(user) {
            here.read = true;
            here.complete |= complete;
        }
        self.metrics.rooms(state.lines.len());
    }

    /// The users whose conversations could not be read from the store when they came, at most so many.
    pub(super) fn unread(&self, users_max: usize) -> Vec<UserId> {
        let state = self.state();
        let unread = state.here.iter().filter(|(_, here)| !here.read && here.arriving == 0);
        unread.map(|(user, _)| user.clone()).take(users_max).collect()
    }

    /// From here on the connection reads what its user is told, beginning with `welcome`: whoever has read that may be written to at once,
    /// so nobody gets in between.
    pub(super) fn seat(&self, user: &UserId, connection: &Arc<Connection>, welcome: Option<&Frame>) {
        let mut state = self.state();
        if let Some(welcome) = welcome {
            connection.tell(welcome);
        }
        let here = state.arrive(user);
        here.arriving = here.arriving.saturating_sub(1);
        if connection.ended().is_none() {
            let hearer = Hearer::new(connection);
            here.hearers.push(hearer.clone());
            state.each_line_of(user, |line| line.add([hearer.clone()]));
        }
        state.forget_if_gone(user);
    }

    /// The connection reads nothing any more.
    pub(super) fn leave(&self, user: &UserId, device: &DeviceId) {
        let mut state = self.state();
        if let Some(here) = state.here.get_mut(user) {
            here.hearers.retain(|hearer| hearer.connection().id() != device);
            state.each_line_of(user, |line| line.remove(device));
        }
        state.forget_if_gone(user);
        self.metrics.rooms(state.lines.len());
    }

    /// Takes a stored message: told to all connections of all participants here, in its turn.
    pub(super) fn offer(&self, conversation: &RoomId, message: Told, participants: &[UserId]) -> Next {
        let mut state = self.state();
        let Some(line) = state.line_at(conversation, message.sequence, participants) else { return Next::Settled };
        line.offer(message, |hearers, message| self.tell_all(hearers, message))
    }

    /// Takes what the store has of a conversation above what was told.
    pub(super) fn heal(&self, conversation: &RoomId, messages: Vec<Message>) -> Next {
        let messages = messages.into_iter().filter_map(Told::of).collect();
        let mut state = self.state();
        let Some(line) = state.lines.get_mut(conversation) else { return Next::Settled };
        line.heal(messages, |hearers, message| self.tell_all(hearers, message))
    }

    /// Starts the healing of a conversation; `false` if somebody is at it already or nobody here takes part.
    pub(super) fn start_healing(&self, conversation: &RoomId) -> bool {
        let mut state = self.state();
        state.lines.get_mut(conversation).is_some_and(|line| !std::mem::replace(&mut line.healing, true))
    }

    /// Ends the patience of a healing: what is offered from here on may ask again. Returns up to where was told.
    pub(super) fn told(&self, conversation: &RoomId) -> Option<u64> {
        let mut state = self.state();
        let line = state.lines.get_mut(conversation)?;
        line.healing = false;
        Some(line.told())
    }

    /// Whether the store has more of a conversation than was told here; one that was not known is followed from here on.
    pub(super) fn lags_behind(&self, head: &Head) -> bool {
        let mut state = self.state();
        let line = state.lines.get(&head.conversation);
        if line.is_some_and(|line| line.followed_at == state.arrivals && line.told() >= head.sequence) {
            return false; // as nearly always
        }
        let mut known = head.participants.iter().filter_map(|user| state.here.get(user)).peekable();
        if known.peek().is_none() {
            return false;
        }
        let told = if known.any(|here| here.complete) { 0 } else { head.sequence };
        state.follow(&head.conversation, &head.participants, told).told() < head.sequence
    }

    /// Tells something that is not stored to all connections of these users, except those of one.
    pub(super) fn tell(&self, event: &Event, users: &[UserId], except: &UserId) {
        let Some(frame) = Frame::of(&conversations::DIALECT, event) else { return };
        let state = self.state();
        let told = users.iter().filter(|user| *user != except).map(|user| state.tell(user, &frame)).sum();
        self.metrics.delivered(told);
    }

    /// The users who are connected here.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.state().here.keys().cloned().collect()
    }

    fn tell_all(&self, hearers: &[Hearer], message: &Told) {
        hearers.iter().for_each(Hearer::touch);
        hearers.iter().for_each(|hearer| hearer.tell(&message.frame));
        self.metrics.message_sent(hearers.len());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the desk")
    }
}

impl State {
    fn arrive(&mut self, user: &UserId) -> &mut Here {
        self.here.entry(user.clone()).or_insert_with(|| {
            self.arrivals += 1;
            Here::default()
        })
    }

    fn each_line_of(&mut self, user: &UserId, mut act: impl FnMut(&mut Line)) {
        for conversation in self.here.get(user).into_iter().flat_map(|here| &here.conversations) {
            if let Some(line) = self.lines.get_mut(conversation) {
                act(line);
            }
        }
    }

    /// The line of a message's conversation, if anybody here takes part.
    fn line_at(&mut self, conversation: &RoomId, sequence: u64, participants: &[UserId]) -> Option<&mut Line> {
        if self.lines.get(conversation).is_none_or(|line| line.followed_at != self.arrivals) {
            self.follow_at(conversation, sequence, participants); // somebody has come since
        }
        self.lines.get_mut(conversation)
    }

    /// Sees to it that a message finds the line of its conversation.
    fn follow_at(&mut self, conversation: &RoomId, sequence: u64, participants: &[UserId]) {
        let known: Vec<&Here> = participants.iter().filter_map(|user| self.here.get(user)).collect();
        if known.is_empty() {
            return;
        }
        // A conversation that nobody here knew is younger than their connections, so all of it is new to them; unless somebody's
        // conversations could not all be known: then only this message is.
        let told = if known.iter().any(|here| here.complete) { 0 } else { sequence.saturating_sub(1) };
        self.follow(conversation, participants, told);
    }

    /// The line of a conversation; a new one begins behind `told`.
    fn follow(&mut self, conversation: &RoomId, participants: &[UserId], told: u64) -> &mut Line {
        let line = self.lines.entry(conversation.clone()).or_insert_with(|| Line::new(participants.to_vec(), told));
        line.followed_at = self.arrivals;
        for user in participants {
            if let Some(here) = self.here.get_mut(user)
                && !here.conversations.contains(conversation)
            {
                here.conversations.insert(conversation.clone());
                line.add(here.hearers.iter().cloned());
            }
        }
        line
    }

    fn tell(&self, user: &UserId, frame: &Frame) -> usize {
        let Some(here) = self.here.get(user) else { return 0 };
        here.hearers.iter().for_each(|hearer| hearer.tell(frame));
        here.hearers.len()
    }

    /// Forgets a user without connections, and the conversations in which nobody here takes part any more.
    fn forget_if_gone(&mut self, user: &UserId) {
        let is_gone = |here: &Here| here.hearers.is_empty() && here.arriving == 0;
        if !self.here.get(user).is_some_and(is_gone) {
            return;
        }
        let Some(gone) = self.here.remove(user) else { return };
        for conversation in gone.conversations {
            let line = self.lines.get(&conversation);
            if line.is_some_and(|line| !line.participants().iter().any(|user| self.here.contains_key(user))) {
                self.lines.remove(&conversation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use chatwright_protocol::vocabulary::Member;

    use super::*;
    use crate::{
        store::InstanceId,
        transport::{CannotTake, Sink},
    };

    /// Bob's connection; alice writes to him as soon as he is told anything.
    struct Prompt {
        desk: Desk,
        told: Mutex<usize>,
        alice: Mutex<Option<thread::JoinHandle<Next>>>,
    }

    impl Sink for Prompt {
        fn send(&self, _: &Frame) -> Result<(), CannotTake> {
            *self.told.lock().expect("nobody panics with it") += 1;
            let mut alice = self.alice.lock().expect("nobody panics with it");
            if alice.is_none() {
                let desk = self.desk.clone();
                let (written, is_written) = mpsc::channel();
                *alice = Some(thread::spawn(move || {
                    let message = Told { sequence: 1, frame: welcome() };
                    let next = desk.offer(&RoomId::from("c"), message, &["alice", "bob"].map(UserId::from));
                    let _ = written.send(()); // nobody waits for that any more if she had to wait herself
                    next
                }));
                let _ = is_written.recv_timeout(Duration::from_millis(50));
            }
            Ok(())
        }

        fn carrier(&self) -> &'static str {
            "none"
        }
    }

    fn welcome() -> Frame {
        let member = Member::nameless(UserId::from("bob"));
        Frame::of(&conversations::DIALECT, &Event::Authenticated { member }).expect("the dialect has words for it")
    }

    #[test]
    fn who_has_read_that_he_may_speak_misses_nothing_from_there_on() {
        let (desk, bob) = (Desk::new(Metrics::default()), UserId::from("bob"));
        let sink = Arc::new(Prompt { desk: desk.clone(), told: Mutex::default(), alice: Mutex::default() });
        let (id, instance) = (DeviceId::from("device"), InstanceId::from("here"));
        let connection = Arc::new(Connection::new(id, instance, None, Arc::clone(&sink) as Arc<dyn Sink>));
        desk.announce(&bob);
        desk.know(&[], &bob, true);
        desk.seat(&bob, &connection, Some(&welcome()));
        let alice = sink.alice.lock().expect("nobody panics with it").take().expect("she writes");
        assert_eq!(alice.join().expect("she does not panic"), Next::Settled);
        assert_eq!(*sink.told.lock().expect("nobody panics with it"), 2, "the welcome and her message");
    }
}
