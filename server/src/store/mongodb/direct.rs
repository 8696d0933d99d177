//! The messages of `direct` in the documented collection `chatmessages` (`003_5f29725af85c9ec0.txt`), its users in `users`.
//!
//! Beside the documented fields a message has its `sequence`, and `hiddenFrom`: who has deleted the conversation since.

use chatwright_protocol::{
    dialects::direct::{conversation::peer_of, wire::kind_name},
    vocabulary::{Message, MessageId, RoomId, UserId},
};
use futures_util::{TryStreamExt, future::try_join_all};
use mongodb::{
    Collection, Cursor,
    bson::{Bson, Document, doc},
};
use tokio::sync::OnceCell;

use super::{
    MongoLink,
    direct_documents::{
        count, literally, message, party, unread_by, user_record, visible, visible_in, visible_to_party,
    },
    place::{bigint, date, index, insert_next, natural, reference, referred, text},
};
use crate::store::{
    Attempt, StoreError, StoreFuture,
    direct::{ConversationSummary, Deletion, DirectDraft, DirectPage, DirectStore, Partner, UserRecord},
};

/// Questions asked at once where there is one for each conversation: below the driver's ten connections, so that others are asked too.
const AT_ONCE: usize = 8;

/// Messages between two users on MongoDB.
#[derive(Debug)]
pub struct MongoDirect {
    link: MongoLink,
    indexed: OnceCell<()>,
}

impl MongoDirect {
    /// A store over this link.
    #[must_use]
    pub fn new(link: MongoLink) -> Self {
        Self { link, indexed: OnceCell::new() }
    }

    /// The collection, with the three documented indexes and ours.
    async fn messages(&self) -> Result<Collection<Document>, StoreError> {
        let messages = self.link.collection("chatmessages");
        let made = self.indexed.get_or_try_init(async || {
            let indexes = [
                index(doc! { "conversationId": 1, "createdAt": -1 }, false),
                index(doc! { "senderId": 1, "receiverId": 1 }, false),
                index(doc! { "receiverId": 1, "isRead": 1 }, false),
                index(doc! { "conversationId": 1, "sequence": 1 }, true),
            ];
            self.link.bounded(messages.create_indexes(indexes)).await.map(|_| ())
        });
        made.await?;
        Ok(messages)
    }

    fn records(&self) -> Collection<Document> {
        self.link.collection("users")
    }

    async fn all(&self, cursor: Cursor<Document>) -> Result<Vec<Document>, StoreError> {
        self.link.bounded(cursor.try_collect::<Vec<Document>>()).await
    }

    async fn aggregate(&self, steps: Vec<Document>) -> Result<Vec<Document>, StoreError> {
        let cursor = self.link.bounded(self.messages().await?.aggregate(steps)).await?;
        self.all(cursor).await
    }

    async fn latest_of(&self, conversation: &RoomId) -> Result<u64, StoreError> {
        let filter = doc! { "conversationId": conversation.as_str() };
        let newest = self.messages().await?;
        let newest = newest.find_one(filter).sort(doc! { "sequence": -1 });
        self.link.bounded(newest).await?.as_ref().map_or(Ok(0), |newest| natural(newest, "sequence"))
    }

    /// Marks one message, if the filter still fits: of two callers one is told so.
    async fn mark(&self, mut filter: Document, id: Bson, read_at_ms: u64) -> Result<bool, StoreError> {
        filter.insert("_id", id);
        let read_at = date(read_at_ms);
        let update = doc! { "$set": { "isRead": true, "readAt": read_at, "updatedAt": read_at } };
        let marked = self.link.bounded(self.messages().await?.update_one(filter, update)).await?;
        Ok(marked.modified_count == 1)
    }
}

impl DirectStore for MongoDirect {
    fn append<'a>(&'a self, draft: &'a DirectDraft, _: Attempt) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let sent_at = date(draft.sent_at_ms);
            let mut document = doc! {
                "_id": reference(draft.id.as_str()),
                "conversationId": draft.conversation.as_str(),
                "senderId": reference(draft.sender.as_str()),
                "receiverId": reference(draft.receiver.as_str()),
                "message": &draft.text,
                "messageType": kind_name(draft.kind),
                "isRead": false,
                "readAt": null,
                "deletedAt": null,
                "createdAt": sent_at,
                "updatedAt": sent_at,
                "hiddenFrom": [],
            };
            if let Some(attachment) = &draft.attachment {
                document.insert("attachmentUrl", attachment);
            }
            let scope = doc! { "conversationId": draft.conversation.as_str() };
            insert_next(&self.link, &self.messages().await?, scope, document).await
        })
    }

    fn page<'a>(
        &'a self,
        conversation: &'a RoomId,
        viewer: &'a UserId,
        page: usize,
        limit: usize,
    ) -> StoreFuture<'a, DirectPage> {
        Box::pin(async move {
            let (messages, filter) = (self.messages().await?, visible_in(conversation, viewer));
            let total = self.link.bounded(messages.count_documents(filter.clone())).await?;
            let newer = page.saturating_sub(1).saturating_mul(limit) as u64;
            let found = messages.find(filter).sort(doc! { "sequence": -1 }).skip(newer).limit(count(limit));
            let found = self.all(self.link.bounded(found).await?).await?;
            Ok(DirectPage { messages: found.iter().rev().map(message).collect::<Result<_, _>>()?, total })
        })
    }

    fn since<'a>(&'a self, conversation: &'a RoomId, after: u64, limit: usize) -> StoreFuture<'a, Vec<Message>> {
        Box::pin(async move {
            let filter = doc! {
                "conversationId": conversation.as_str(), "deletedAt": null, "sequence": { "$gt": bigint(after) }
            };
            let messages = self.messages().await?;
            let found = messages.find(filter).sort(doc! { "sequence": 1 }).limit(count(limit));
            self.all(self.link.bounded(found).await?).await?.iter().map(message).collect()
        })
    }

    fn latest<'a>(&'a self, conversations: &'a [RoomId]) -> StoreFuture<'a, Vec<u64>> {
        Box::pin(async move {
            let mut latest = Vec::with_capacity(conversations.len());
            for some in conversations.chunks(AT_ONCE) {
                latest.extend(try_join_all(some.iter().map(|conversation| self.latest_of(conversation))).await?);
            }
            Ok(latest)
        })
    }

    fn partners<'a>(&'a self, user: &'a UserId, limit: usize) -> StoreFuture<'a, Vec<Partner>> {
        Box::pin(async move {
            let found = self.aggregate(vec![
                doc! { "$match": { "$or": party(user) } },
                doc! { "$group": {
                    "_id": "$conversationId",
                    "latest": { "$max": "$sequence" },
                    "newest": { "$max": "$createdAt" },
                } },
                doc! { "$sort": { "newest": -1, "_id": 1 } },
                doc! { "$limit": count(limit) },
            ]);
            let mut partners = Vec::new();
            for one in found.await? {
                let conversation = RoomId::from(text(&one, "_id")?);
                if let Some(peer) = peer_of(&conversation, user) {
                    partners.push(Partner { conversation, peer, latest: natural(&one, "latest")? });
                }
            }
            Ok(partners)
        })
    }

    fn conversations<'a>(&'a self, user: &'a UserId, limit: usize) -> StoreFuture<'a, Vec<ConversationSummary>> {
        Box::pin(async move {
            let found = self.aggregate(vec![
                doc! { "$match": visible_to_party(user) },
                doc! { "$group": {
                    "_id": "$conversationId",
                    "latest": { "$max": "$sequence" },
                    "newest": { "$max": "$createdAt" },
                } },
                doc! { "$sort": { "newest": -1, "_id": 1 } },
                doc! { "$limit": count(limit) },
            ]);
            let messages = self.messages().await?;
            let mut summaries = Vec::new();
            for one in found.await? {
                let conversation = RoomId::from(text(&one, "_id")?);
                let place =
                    doc! { "conversationId": conversation.as_str(), "sequence": bigint(natural(&one, "latest")?) };
                let Some(last) = self.link.bounded(messages.find_one(place)).await? else { continue };
                let unread = unread_by(visible_in(&conversation, user), user);
                let unread = self.link.bounded(messages.count_documents(unread)).await?;
                if let Some(peer) = peer_of(&conversation, user) {
                    summaries.push(ConversationSummary { conversation, peer, last: message(&last)?, unread });
                }
            }
            Ok(summaries)
        })
    }

    fn unread_count<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let filter = unread_by(visible(user), user);
            self.link.bounded(self.messages().await?.count_documents(filter)).await
        })
    }

    fn mark_read<'a>(
        &'a self,
        conversation: &'a RoomId,
        reader: &'a UserId,
        messages: &'a [MessageId],
        read_at_ms: u64,
    ) -> StoreFuture<'a, Vec<MessageId>> {
        Box::pin(async move {
            let filter = unread_by(visible_in(conversation, reader), reader);
            let mut marked = Vec::new();
            for id in messages {
                if self.mark(filter.clone(), reference(id.as_str()), read_at_ms).await? {
                    marked.push(id.clone());
                }
            }
            Ok(marked)
        })
    }

    fn mark_conversation_read<'a>(
        &'a self,
        conversation: &'a RoomId,
        reader: &'a UserId,
        limit: usize,
        read_at_ms: u64,
    ) -> StoreFuture<'a, Vec<MessageId>> {
        Box::pin(async move {
            let (messages, filter) = (self.messages().await?, unread_by(visible_in(conversation, reader), reader));
            let mut marked = Vec::new();
            // Another caller may be faster with some of them: fewer than `limit` must mean that none is left.
            while marked.len() < limit {
                let wanted = count(limit - marked.len());
                let found = messages.find(filter.clone()).sort(doc! { "sequence": 1 }).limit(wanted);
                let found = self.all(self.link.bounded(found).await?).await?;
                if found.is_empty() {
                    break;
                }
                for one in &found {
                    let id = referred(one, "_id")?;
                    if self.mark(filter.clone(), reference(&id), read_at_ms).await? {
                        marked.push(MessageId::from(id));
                    }
                }
            }
            Ok(marked)
        })
    }

    fn delete_message<'a>(
        &'a self,
        message: &'a MessageId,
        by: &'a UserId,
        deleted_at_ms: u64,
    ) -> StoreFuture<'a, Deletion> {
        Box::pin(async move {
            let messages = self.messages().await?;
            let mut filter = visible_to_party(by);
            filter.insert("_id", reference(message.as_str()));
            let Some(found) = self.link.bounded(messages.find_one(filter.clone())).await? else {
                return Ok(Deletion::NoSuchMessage);
            };
            if referred(&found, "senderId")? != by.as_str() {
                return Ok(Deletion::NotTheSender);
            }
            let deleted_at = date(deleted_at_ms);
            let update = doc! { "$set": { "deletedAt": deleted_at, "updatedAt": deleted_at } };
            let deleted = self.link.bounded(messages.update_one(filter, update)).await?;
            Ok(if deleted.modified_count == 1 { Deletion::Done } else { Deletion::NoSuchMessage })
        })
    }

    fn hide_conversation<'a>(&'a self, conversation: &'a RoomId, from: &'a UserId) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let messages = self.messages().await?;
            // Up to here and no further: what is sent while this runs, he sees.
            let latest = self.latest_of(conversation).await?;
            let mut filter = visible_in(conversation, from);
            filter.insert("sequence", doc! { "$lte": bigint(latest) });
            let update = doc! { "$addToSet": { "hiddenFrom": reference(from.as_str()) } };
            let hidden = self.link.bounded(messages.update_many(filter, update)).await?;
            Ok(hidden.modified_count > 0)
        })
    }

    fn search<'a>(
        &'a self,
        viewer: &'a UserId,
        conversation: Option<&'a RoomId>,
        text: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Message>> {
        Box::pin(async move {
            let mut filter = visible_to_party(viewer);
            if let Some(conversation) = conversation {
                filter.insert("conversationId", conversation.as_str());
            }
            filter.insert("message", doc! { "$regex": literally(text), "$options": "i" });
            let newest_first = doc! { "createdAt": -1, "sequence": -1 };
            let messages = self.messages().await?;
            let found = messages.find(filter).sort(newest_first).limit(count(limit));
            self.all(self.link.bounded(found).await?).await?.iter().map(message).collect()
        })
    }

    fn save_user<'a>(&'a self, user: &'a UserRecord) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let filter = doc! { "_id": reference(user.user.as_str()) };
            let update = doc! { "$set": { "name": &user.name, "email": &user.email } };
            // Of two that make the record at once one may find it taken: both say the same of the user.
            self.link.unless_taken(self.records().update_one(filter, update).upsert(true)).await.map(|_| ())
        })
    }

    fn users<'a>(&'a self, users: &'a [UserId]) -> StoreFuture<'a, Vec<UserRecord>> {
        Box::pin(async move {
            let ids: Vec<Bson> = users.iter().map(|user| reference(user.as_str())).collect();
            let found = self.link.bounded(self.records().find(doc! { "_id": { "$in": ids } })).await?;
            self.all(found).await?.iter().map(user_record).collect()
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.link.ping())
    }

    fn technology(&self) -> &'static str {
        "mongodb"
    }
}
