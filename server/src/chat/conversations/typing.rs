//! `typing`: told to the other participants, never stored.

use chatwright_protocol::vocabulary::{Event, Member, Refusal, RoomId, UserId};

use super::Hub;
use crate::{bus::NoticeBody, chat::Confirmation};

impl Hub {
    pub(super) async fn typing(
        &self,
        user: UserId,
        conversation: RoomId,
        active: bool,
    ) -> Result<Confirmation, Refusal> {
        let head = self.conversation_of(&user, &conversation).await?;
        let member = Member::nameless(user);
        self.hear_typing(&conversation, &head.participants, member.clone(), active);
        self.publish(&conversation, &head.participants, || NoticeBody::Typing { member, active }).await;
        Ok(Confirmation::Typing)
    }

    /// Tells those who are connected here that somebody types.
    pub(super) fn hear_typing(&self, conversation: &RoomId, participants: &[UserId], member: Member, active: bool) {
        let user = member.user.clone();
        self.desk.tell(&Event::Typing { room: conversation.clone(), member, active }, participants, &user);
    }
}
