//! What stays of `rooms`: the documented collections `messages` and `rooms` (`000_5f4891e3b3f8c1d9.txt`), written behind Redis.
//!
//! A message's record carries its event: `event` is `pending` until other services have learned of the message, then `published`. A message
//! and its event are one document, so neither is ever there without the other, and no transaction is needed.

use std::collections::BTreeMap;

use chatwright_protocol::{
    dialects::rooms::wire::{kind_name, kind_of_name},
    vocabulary::{Member, Message, MessageId, RoomId, RoomKind, UserId},
};
use futures_util::TryStreamExt;
use mongodb::{
    Collection, Cursor,
    bson::{DateTime, Document, doc},
};
use tokio::sync::OnceCell;

use super::{
    MongoLink,
    place::{bigint, date, index, instant, natural, text},
};
use crate::store::{
    Position, RoomRecord, StoreError, StoreFuture, Stored,
    archive::{Archive, Kept},
};

/// The archive of `rooms` on MongoDB.
#[derive(Debug)]
pub struct MongoArchive {
    link: MongoLink,
    with_events: bool,
    indexed: OnceCell<()>,
}

impl MongoArchive {
    /// An archive; `with_events`: what it keeps is to be told to other services.
    #[must_use]
    pub fn new(link: MongoLink, with_events: bool) -> Self {
        Self { link, with_events, indexed: OnceCell::new() }
    }

    fn messages(&self) -> Collection<Document> {
        self.link.collection("messages")
    }

    fn rooms(&self) -> Collection<Document> {
        self.link.collection("rooms")
    }

    /// Makes the indexes, once per process; before them a second copy of a message could be written.
    async fn index(&self) -> Result<(), StoreError> {
        let made = self.indexed.get_or_try_init(async || {
            let messages = [
                index(doc! { "messageId": 1 }, true),
                index(doc! { "roomId": 1, "generation": -1, "sequence": -1 }, false),
                index(doc! { "event": 1, "generation": 1, "sequence": 1 }, false),
            ];
            self.link.bounded(self.messages().create_indexes(messages)).await?;
            let rooms = [index(doc! { "roomId": 1 }, true), index(doc! { "participants": 1 }, false)];
            self.link.bounded(self.rooms().create_indexes(rooms)).await.map(|_| ())
        });
        made.await.copied()
    }

    async fn keep_messages(&self, messages: &[&Stored]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let documents = messages.iter().map(|stored| self.message_document(stored));
        // Unordered: one that is there already keeps no other from being written. An earlier attempt may have written it: its answer was
        // lost, or what it confirmed could not be struck off.
        if self.link.unless_taken(self.messages().insert_many(documents).ordered(false)).await?.is_none() {
            tracing::debug!(messages = messages.len(), "some messages were in the archive already");
        }
        let mut newest: BTreeMap<&RoomId, &Stored> = BTreeMap::new();
        for stored in messages {
            let last = newest.entry(&stored.message.room).or_insert(stored);
            if stored.position() > last.position() {
                *last = stored;
            }
        }
        for stored in newest.into_values() {
            self.keep_last(stored).await?;
        }
        Ok(())
    }

    /// Makes a message the last one of its room, unless a later one is.
    async fn keep_last(&self, stored: &Stored) -> Result<(), StoreError> {
        let Stored { message, generation } = stored;
        let (room, now) = (message.room.as_str(), DateTime::now());
        let fresh =
            doc! { "$setOnInsert": { "type": "group", "participants": [], "createdAt": now, "updatedAt": now } };
        self.link.unless_taken(self.rooms().update_one(doc! { "roomId": room }, fresh).upsert(true)).await?;
        let (generation, sequence) = (bigint(*generation), bigint(message.sequence));
        let later = doc! { "$or": [
            { "lastMessage": { "$exists": false } },
            { "lastMessage.generation": { "$lt": generation } },
            { "lastMessage.generation": generation, "lastMessage.sequence": { "$lt": sequence } },
        ], "roomId": room };
        let last = doc! {
            "content": &message.text,
            "timestamp": date(message.sent_at_ms),
            "senderId": message.sender.user.as_str(),
            "generation": generation,
            "sequence": sequence,
        };
        let update = doc! { "$set": { "lastMessage": last, "updatedAt": now } };
        self.link.bounded(self.rooms().update_one(later, update)).await.map(|_| ())
    }

    async fn keep_room(&self, record: &RoomRecord) -> Result<(), StoreError> {
        let kind = match record.kind {
            RoomKind::Direct => "direct",
            RoomKind::Group => "group",
        };
        let participants: Vec<&str> = record.participants.iter().map(UserId::as_str).collect();
        let now = DateTime::now();
        let update = doc! {
            "$set": { "type": kind, "participants": participants, "updatedAt": now },
            "$setOnInsert": { "createdAt": now },
        };
        let filter = doc! { "roomId": record.room.as_str() };
        self.link.unless_taken(self.rooms().update_one(filter, update).upsert(true)).await.map(|_| ())
    }

    fn message_document(&self, stored: &Stored) -> Document {
        let Stored { message, generation } = stored;
        let mut document = doc! {
            "roomId": message.room.as_str(),
            "userId": message.sender.user.as_str(),
            "username": &message.sender.name,
            "message": &message.text,
            "messageType": kind_name(message.kind),
            "timestamp": date(message.sent_at_ms),
            "createdAt": DateTime::now(),
            "messageId": message.id.as_str(),
            "generation": bigint(*generation),
            "sequence": bigint(message.sequence),
        };
        if self.with_events {
            document.insert("event", "pending");
        }
        document
    }

    async fn read(&self, cursor: Cursor<Document>) -> Result<Vec<Stored>, StoreError> {
        let documents: Vec<Document> = self.link.bounded(cursor.try_collect::<Vec<Document>>()).await?;
        documents.iter().map(stored).collect()
    }
}

impl Archive for MongoArchive {
    fn keep<'a>(&'a self, kept: &'a [Kept]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.index().await?;
            let messages =
                kept.iter().filter_map(|one| if let Kept::Message(stored) = one { Some(stored) } else { None });
            self.keep_messages(&messages.collect::<Vec<_>>()).await?;
            for one in kept {
                if let Kept::Room(record) = one {
                    self.keep_room(record).await?;
                }
            }
            Ok(())
        })
    }

    fn before<'a>(&'a self, room: &'a RoomId, before: Position, limit: usize) -> StoreFuture<'a, Vec<Stored>> {
        Box::pin(async move {
            let (generation, sequence) = (bigint(before.generation), bigint(before.sequence));
            let filter = doc! { "roomId": room.as_str(), "$or": [
                { "generation": { "$lt": generation } },
                { "generation": generation, "sequence": { "$lt": sequence } },
            ] };
            let newest_first = doc! { "generation": -1, "sequence": -1 };
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = self.messages();
            let found = found.find(filter).sort(newest_first).limit(limit);
            let mut messages = self.read(self.link.bounded(found).await?).await?;
            messages.reverse();
            Ok(messages)
        })
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> StoreFuture<'a, Option<RoomRecord>> {
        Box::pin(async move {
            let found = self.link.bounded(self.rooms().find_one(doc! { "roomId": room.as_str() })).await?;
            found.map(|document| record(&document)).transpose()
        })
    }

    fn unpublished(&self, limit: usize) -> StoreFuture<'_, Vec<Stored>> {
        Box::pin(async move {
            let oldest_first = doc! { "generation": 1, "sequence": 1 };
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = self.messages();
            let found = found.find(doc! { "event": "pending" }).sort(oldest_first).limit(limit);
            self.read(self.link.bounded(found).await?).await
        })
    }

    fn published<'a>(&'a self, messages: &'a [MessageId]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let ids: Vec<&str> = messages.iter().map(MessageId::as_str).collect();
            let filter = doc! { "messageId": { "$in": ids } };
            let update = doc! { "$set": { "event": "published" } };
            self.link.bounded(self.messages().update_many(filter, update)).await.map(|_| ())
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.link.ping())
    }
}

fn stored(document: &Document) -> Result<Stored, StoreError> {
    let sender = Member { user: UserId::from(text(document, "userId")?), name: text(document, "username")? };
    Ok(Stored {
        generation: natural(document, "generation")?,
        message: Message {
            id: MessageId::from(text(document, "messageId")?),
            room: RoomId::from(text(document, "roomId")?),
            sender,
            text: text(document, "message")?,
            kind: kind_of_name(&text(document, "messageType")?).unwrap_or_default(),
            attachment: None,
            sent_at_ms: instant(document, "timestamp")?,
            sequence: natural(document, "sequence")?,
            receiver: None,
            read_at_ms: None,
        },
    })
}

fn record(document: &Document) -> Result<RoomRecord, StoreError> {
    let is_direct = text(document, "type")? == "direct";
    let participants =
        document.get_array("participants").map_err(|problem| StoreError::Corrupt(problem.to_string()))?;
    Ok(RoomRecord {
        room: RoomId::from(text(document, "roomId")?),
        kind: if is_direct { RoomKind::Direct } else { RoomKind::Group },
        participants: participants.iter().filter_map(|user| user.as_str().map(UserId::from)).collect(),
    })
}
