//! What `gateway` keeps: accounts in `users`, messages in `messages`.

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use futures_util::TryStreamExt;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use tokio::sync::OnceCell;

use super::{
    MongoLink,
    place::{bigint, date, index, insert_next, instant, natural, reference, referred, text},
};
use crate::store::{
    StoreError, StoreFuture,
    gateway::{Account, AccountStore, Archive, Page, Registration},
};

const TECHNOLOGY: &str = "mongodb";

/// Accounts on MongoDB; a unique index over the address decides between two registrations that meet.
#[derive(Debug)]
pub struct MongoAccounts {
    link: MongoLink,
    indexed: OnceCell<()>,
}

impl MongoAccounts {
    /// Accounts over this link.
    #[must_use]
    pub fn new(link: MongoLink) -> Self {
        Self { link, indexed: OnceCell::new() }
    }

    async fn users(&self) -> Result<Collection<Document>, StoreError> {
        let users = self.link.collection("users");
        let made = self.indexed.get_or_try_init(async || {
            self.link.bounded(users.create_indexes([index(doc! { "email": 1 }, true)])).await.map(|_| ())
        });
        made.await?;
        Ok(users)
    }
}

impl AccountStore for MongoAccounts {
    fn register<'a>(&'a self, account: &'a Account) -> StoreFuture<'a, Registration> {
        Box::pin(async move {
            let document = doc! {
                "_id": reference(account.id.as_str()),
                "email": &account.email,
                "name": &account.name,
                "password": &account.password_hash,
                "createdAt": date(account.created_at_ms),
            };
            let entered = self.link.unless_taken(self.users().await?.insert_one(document)).await?;
            Ok(if entered.is_some() { Registration::Created } else { Registration::Taken })
        })
    }

    fn by_email<'a>(&'a self, email: &'a str) -> StoreFuture<'a, Option<Account>> {
        Box::pin(async move {
            let found = self.link.bounded(self.users().await?.find_one(doc! { "email": email })).await?;
            found.as_ref().map(account).transpose()
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.link.ping())
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}

fn account(document: &Document) -> Result<Account, StoreError> {
    Ok(Account {
        id: UserId::from(referred(document, "_id")?),
        email: text(document, "email")?,
        name: text(document, "name")?,
        password_hash: text(document, "password")?,
        created_at_ms: instant(document, "createdAt")?,
    })
}

/// Messages of rooms on MongoDB.
#[derive(Debug)]
pub struct MongoRoomMessages {
    link: MongoLink,
    indexed: OnceCell<()>,
}

impl MongoRoomMessages {
    /// Messages over this link.
    #[must_use]
    pub fn new(link: MongoLink) -> Self {
        Self { link, indexed: OnceCell::new() }
    }

    async fn messages(&self) -> Result<Collection<Document>, StoreError> {
        let messages = self.link.collection("messages");
        let made = self.indexed.get_or_try_init(async || {
            let indexes = [index(doc! { "roomId": 1, "sequence": 1 }, true)];
            self.link.bounded(messages.create_indexes(indexes)).await.map(|_| ())
        });
        made.await?;
        Ok(messages)
    }

    async fn latest(&self, messages: &Collection<Document>, room: &RoomId) -> Result<u64, StoreError> {
        let newest = messages.find_one(doc! { "roomId": room.as_str() }).sort(doc! { "sequence": -1 });
        self.link.bounded(newest).await?.as_ref().map_or(Ok(0), |newest| natural(newest, "sequence"))
    }
}

impl Archive for MongoRoomMessages {
    fn insert<'a>(&'a self, message: &'a Message) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let document = doc! {
                "_id": reference(message.id.as_str()),
                "roomId": message.room.as_str(),
                "userId": message.sender.user.as_str(),
                "username": &message.sender.name,
                "text": &message.text,
                "timestamp": date(message.sent_at_ms),
            };
            let scope = doc! { "roomId": message.room.as_str() };
            insert_next(&self.link, &self.messages().await?, scope, document).await
        })
    }

    fn newest<'a>(&'a self, room: &'a RoomId, limit: usize, before: Option<&'a MessageId>) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            let messages = self.messages().await?;
            let mut filter = doc! { "roomId": room.as_str() };
            let latest = match before {
                None => None,
                Some(id) => {
                    let latest = self.latest(&messages, room).await?;
                    filter.insert("_id", reference(id.as_str()));
                    let there = self.link.bounded(messages.find_one(filter.clone())).await?;
                    filter.remove("_id");
                    let end = there.as_ref().map_or(Ok(0), |there| natural(there, "sequence"))?;
                    filter.insert("sequence", doc! { "$lt": bigint(end) });
                    Some(latest)
                }
            };
            // Of no message at all the newest one still says where the room stands.
            let wanted = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
            let found = messages.find(filter).sort(doc! { "sequence": -1 }).limit(wanted);
            let found: Vec<Document> =
                self.link.bounded(self.link.bounded(found).await?.try_collect::<Vec<_>>()).await?;
            let latest = match latest {
                Some(latest) => latest,
                None => found.first().map_or(Ok(0), |newest| natural(newest, "sequence"))?,
            };
            let messages = found.iter().take(limit).rev().map(message).collect::<Result<_, _>>()?;
            Ok(Page { messages, latest })
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.link.ping())
    }

    fn technology(&self) -> &'static str {
        TECHNOLOGY
    }
}

fn message(document: &Document) -> Result<Message, StoreError> {
    let sender = Member { user: UserId::from(text(document, "userId")?), name: text(document, "username")? };
    Ok(Message {
        id: MessageId::from(referred(document, "_id")?),
        room: RoomId::from(text(document, "roomId")?),
        sender,
        text: text(document, "text")?,
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: instant(document, "timestamp")?,
        sequence: natural(document, "sequence")?,
        receiver: None,
        read_at_ms: None,
    })
}
