//! `user_typing`, `user_stop_typing`, `start_chat`, `end_chat`: told now, stored nowhere.

use chatwright_protocol::vocabulary::{Event, Member, Refusal, RoomId, UserId};

use super::{Confirmation, Hub};
use crate::bus::direct::{DirectNotice, Signal};

impl Hub {
    pub(super) fn signal(&self, user: &UserId, peer: &UserId, signal: Signal) -> Result<Confirmation, Refusal> {
        let conversation = self.conversation(user, peer)?;
        self.tell_signal(&conversation, user, peer, signal);
        self.publish(&DirectNotice::Signal { conversation, by: user.clone(), signal });
        Ok(match signal {
            Signal::Typing | Signal::StopTyping => Confirmation::Typing,
            Signal::Started => Confirmation::Opened,
            Signal::Ended => Confirmation::Closed,
        })
    }

    /// Tells those here whom a signal concerns: the other user, and of a chat's end both.
    pub(super) fn tell_signal(&self, conversation: &RoomId, by: &UserId, peer: &UserId, signal: Signal) {
        let room = conversation.clone();
        let typing = |room, active| Event::Typing { room, member: Member::nameless(by.clone()), active };
        let mut floor = self.floor();
        match signal {
            Signal::Typing => floor.tell(peer, &typing(room, true)),
            Signal::StopTyping => floor.tell(peer, &typing(room, false)),
            Signal::Started => {
                floor.meet(by, peer);
                floor.tell(peer, &Event::ChatOpened { room, by: by.clone() });
            }
            Signal::Ended => {
                let ended = Event::ChatClosed { room, by: by.clone() };
                floor.tell(peer, &ended);
                floor.tell(by, &ended);
            }
        }
    }
}
