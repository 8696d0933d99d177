//! `load_history` and `resume`, extensions of the reference: what was said while one was not here.

use std::{collections::HashMap, sync::Arc};

use chatwright_protocol::vocabulary::{Event, MessageId, Refusal, RoomId, UserId};

use super::{CONVERSATIONS_PER_USER_MAX, Hub, away};
use crate::{
    chat::{Confirmation, Connection},
    clock,
    store::conversations::Page,
};

/// Messages that one `resume` brings; who missed more asks again.
const RESUMED_MESSAGES_MAX: usize = 1000;

/// Messages in one `history` frame of a `resume`.
const FRAME_MESSAGES_MAX: usize = 100;

impl Hub {
    pub(super) async fn load_history(
        &self,
        connection: &Arc<Connection>,
        user: UserId,
        conversation: RoomId,
        before: Option<MessageId>,
        limit: Option<usize>,
    ) -> Result<Confirmation, Refusal> {
        self.conversation_of(&user, &conversation).await?;
        let limit = limit.unwrap_or(self.rules.limits.history_default).clamp(1, self.rules.limits.history_max);
        let page = before.map_or(Page::Newest, Page::Before);
        let store = &self.ports.conversations;
        let messages = store.messages(&conversation, &page, limit).await.map_err(|problem| away(&problem))?;
        if page == Page::Newest
            && let Err(problem) = store.mark_read(&conversation, &user, clock::unix_ms()).await
        {
            tracing::warn!(%problem, "a conversation counts as unread still");
        }
        self.tell(connection, &Event::History { room: conversation, messages });
        Ok(Confirmation::History)
    }

    pub(super) async fn resume(
        &self,
        connection: &Arc<Connection>,
        user: UserId,
        seen: Vec<(RoomId, u64)>,
    ) -> Result<Confirmation, Refusal> {
        let seen: HashMap<RoomId, u64> = seen.into_iter().collect();
        let store = &self.ports.conversations;
        let users = [user];
        let heads = store.heads(&users, 0, CONVERSATIONS_PER_USER_MAX).await.map_err(|problem| away(&problem))?;
        let mut left = RESUMED_MESSAGES_MAX;
        for head in heads {
            let mut at = seen.get(&head.conversation).copied().unwrap_or(0);
            while at < head.sequence {
                if left == 0 {
                    return Err(Refusal::TooMany { what: "missed messages for one answer, resume again" });
                }
                let page = Page::Above(at);
                let messages = store.messages(&head.conversation, &page, FRAME_MESSAGES_MAX.min(left)).await;
                let messages = messages.map_err(|problem| away(&problem))?;
                let Some(last) = messages.last() else { break };
                at = last.sequence;
                left -= messages.len();
                self.tell(connection, &Event::History { room: head.conversation.clone(), messages });
            }
        }
        self.tell(connection, &Event::Resumed);
        Ok(Confirmation::History)
    }
}
