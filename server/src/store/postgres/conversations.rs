//! Conversations on PostgreSQL: the documented tables (`001_66541cd422f9770e.txt`), and beside them, in a schema of our own, which set of
//! users a conversation is, where its messages stand, and the events that wait.
//!
//! One transaction per message. Whoever holds the row lock of the conversation is the one who sends, so sequences have no gaps and become
//! visible in their order, and so do the events of one conversation.

use std::time::Duration;

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    PostgresLink,
    text::{held, released},
};
use crate::{
    chance, cuid,
    events::MessageSent,
    store::{
        Attempt, InstanceId, StoreFuture,
        conversations::{ConversationStore, Head, Letter, Page, WaitingEvent},
    },
};

/// For how long at most an instance alone hands out events after it last asked; another goes on afterwards.
const LEASE_MAX: Duration = Duration::from_secs(5);

/// The columns of a message, and where they stand; behind it come a condition, an order and a limit.
macro_rules! select_messages {
    ($rest:literal) => {
        concat!(
            r#"SELECT m."id", m."conversationId", m."senderId", m."content", p.sequence,
                round(extract(epoch FROM m."createdAt") * 1000)::bigint AS created_ms
            FROM chatwright.position p JOIN "Message" m ON m."id" = p.message "#,
            $rest
        )
    };
}

/// Milliseconds since the Unix epoch as Prisma writes an instant; `$n` is a bigint.
macro_rules! instant {
    ($parameter:literal) => {
        concat!("(timestamp 'epoch' + ", $parameter, " * interval '1 millisecond')")
    };
}

/// Conversations on PostgreSQL.
#[derive(Debug)]
pub struct PostgresConversations {
    link: PostgresLink,
    instance: InstanceId,
    lease: Duration,
}

impl PostgresConversations {
    /// A store over this link; an instance that is silent for `lease` counts as gone.
    #[must_use]
    pub fn new(link: PostgresLink, lease: Duration) -> Self {
        Self { link, instance: InstanceId::fresh(), lease: lease.min(LEASE_MAX) }
    }
}

impl ConversationStore for PostgresConversations {
    fn send<'a>(&'a self, letter: &'a Letter, attempt: Attempt) -> StoreFuture<'a, Message> {
        Box::pin(self.link.ask(async move |pool| {
            let mut transaction = pool.begin().await?;
            if attempt == Attempt::Again
                && let Some(there) = stored(&mut transaction, &letter.id).await?
            {
                return Ok(there);
            }
            let conversation = find_or_make(&mut transaction, letter).await?;
            let message = append(&mut transaction, letter, conversation).await?;
            transaction.commit().await?;
            Ok(message)
        }))
    }

    fn conversation<'a>(&'a self, conversation: &'a RoomId) -> StoreFuture<'a, Option<Head>> {
        Box::pin(self.link.ask(async move |pool| {
            let found = sqlx::query(concat!(
                "SELECT c.id, c.sequence, ",
                r#"array(SELECT "userId" FROM "Participant" WHERE "conversationId" = c.id) AS users "#,
                "FROM chatwright.conversation c WHERE c.id = $1"
            ));
            let found = found.bind(held(conversation.as_str())).fetch_optional(pool).await?;
            found.as_ref().map(head).transpose()
        }))
    }

    fn messages<'a>(&'a self, conversation: &'a RoomId, page: &'a Page, limit: usize) -> StoreFuture<'a, Vec<Message>> {
        let query = match page {
            Page::Newest => {
                sqlx::query(select_messages!("WHERE p.conversation = $1 ORDER BY p.sequence DESC LIMIT $2"))
            }
            Page::Before(_) => sqlx::query(select_messages!(
                "WHERE p.conversation = $1 AND p.sequence < \
                 (SELECT sequence FROM chatwright.position WHERE message = $3 AND conversation = $1) \
                 ORDER BY p.sequence DESC LIMIT $2"
            )),
            Page::Above(_) => sqlx::query(select_messages!(
                "WHERE p.conversation = $1 AND p.sequence > $3 ORDER BY p.sequence LIMIT $2"
            )),
        };
        Box::pin(self.link.ask(async move |pool| {
            let query = query.bind(held(conversation.as_str())).bind(bigint(limit));
            let query = match page {
                Page::Newest => query,
                Page::Before(message) => query.bind(held(message.as_str())),
                Page::Above(sequence) => query.bind(bigint(*sequence)),
            };
            let rows = query.fetch_all(pool).await?;
            let mut messages = rows.iter().map(message).collect::<Result<Vec<_>, _>>()?;
            messages.sort_by_key(|message| message.sequence);
            Ok(messages)
        }))
    }

    fn heads<'a>(&'a self, users: &'a [UserId], active_since_ms: u64, limit: usize) -> StoreFuture<'a, Vec<Head>> {
        Box::pin(self.link.ask(async move |pool| {
            let users: Vec<_> = users.iter().map(|user| held(user.as_str()).into_owned()).collect();
            let found = sqlx::query(concat!(
                "SELECT c.id, c.sequence, ",
                r#"array(SELECT "userId" FROM "Participant" WHERE "conversationId" = c.id) AS users "#,
                r#"FROM chatwright.conversation c JOIN "Conversation" d ON d."id" = c.id "#,
                r#"WHERE EXISTS (SELECT FROM "Participant" WHERE "conversationId" = c.id AND "userId" = ANY($1)) "#,
                r#"AND d."lastMessageAt" >= "#,
                instant!("$2"),
                r#" ORDER BY d."lastMessageAt" DESC, c.id LIMIT $3"#
            ));
            let found = found.bind(users).bind(bigint(active_since_ms)).bind(bigint(limit)).fetch_all(pool).await?;
            found.iter().map(head).collect()
        }))
    }

    fn mark_read<'a>(&'a self, conversation: &'a RoomId, user: &'a UserId, at_ms: u64) -> StoreFuture<'a, ()> {
        Box::pin(self.link.ask(async move |pool| {
            let moved = sqlx::query(concat!(
                r#"UPDATE "Participant" SET "lastReadAt" = greatest("lastReadAt", "#,
                instant!("$3"),
                r#") WHERE "conversationId" = $1 AND "userId" = $2"#
            ));
            let moved = moved.bind(held(conversation.as_str())).bind(held(user.as_str())).bind(bigint(at_ms));
            moved.execute(pool).await.map(|_| ())
        }))
    }

    fn waiting_events(&self, limit: usize) -> StoreFuture<'_, Vec<WaitingEvent>> {
        Box::pin(self.link.ask(async move |pool| {
            if !holds_the_outbox(pool, &self.instance, self.lease).await? {
                return Ok(Vec::new());
            }
            let rows = sqlx::query(
                "SELECT place, dedupe_id::text, message, conversation, sender, recipients, content, sent_at_ms \
                 FROM chatwright.outbox ORDER BY place LIMIT $1",
            );
            let rows = rows.bind(bigint(limit)).fetch_all(pool).await?;
            rows.iter().map(waiting).collect()
        }))
    }

    fn events_told<'a>(&'a self, places: &'a [u64]) -> StoreFuture<'a, ()> {
        Box::pin(self.link.ask(async move |pool| {
            let places: Vec<i64> = places.iter().map(|place| bigint(*place)).collect();
            let told = sqlx::query("DELETE FROM chatwright.outbox WHERE place = ANY($1)").bind(places);
            told.execute(pool).await.map(|_| ())
        }))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.link.ask(async |pool| sqlx::query("SELECT 1").execute(pool).await.map(|_| ())))
    }

    fn technology(&self) -> &'static str {
        "postgresql"
    }
}

/// The message with this id, if an earlier attempt took effect.
async fn stored(connection: &mut PgConnection, id: &MessageId) -> Result<Option<Message>, sqlx::Error> {
    let found = sqlx::query(select_messages!("WHERE p.message = $1")).bind(held(id.as_str()));
    found.fetch_optional(connection).await?.as_ref().map(message).transpose()
}

/// The conversation of exactly these participants. Of two who make it at once, the second waits for the first one's transaction and then
/// finds what it made.
async fn find_or_make(connection: &mut PgConnection, letter: &Letter) -> Result<String, sqlx::Error> {
    let users: Vec<String> = letter.participants.iter().map(|user| held(user.as_str()).into_owned()).collect();
    // As JSON: an id may hold every character, and no two lists may look the same.
    let set = serde_json::to_string(&users).expect("strings always serialise");
    loop {
        let found = sqlx::query_scalar(
            "SELECT id FROM chatwright.conversation WHERE participants = encode(sha256(convert_to($1, 'UTF8')), 'hex')",
        );
        if let Some(id) = found.bind(&set).fetch_optional(&mut *connection).await? {
            return Ok(id);
        }
        let made = sqlx::query(
            "INSERT INTO chatwright.conversation (id, participants) \
             VALUES ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex')) ON CONFLICT (participants) DO NOTHING",
        );
        let id = cuid::fresh::<String>();
        if made.bind(&id).bind(&set).execute(&mut *connection).await?.rows_affected() == 1 {
            make(connection, &id, &users, letter.sent_at_ms).await?;
            return Ok(id);
        }
    }
}

async fn make(connection: &mut PgConnection, id: &str, users: &[String], at_ms: u64) -> Result<(), sqlx::Error> {
    let conversation = sqlx::query(concat!(
        r#"INSERT INTO "Conversation" ("id", "createdAt", "updatedAt", "lastMessageAt") SELECT $1, t, t, t FROM (SELECT "#,
        instant!("$2"),
        " AS t) AS now"
    ));
    conversation.bind(id).bind(bigint(at_ms)).execute(&mut *connection).await?;
    let participants = sqlx::query(concat!(
        r#"INSERT INTO "Participant" ("id", "userId", "conversationId", "joinedAt", "lastReadAt") SELECT ids, users, $3, t, t "#,
        "FROM unnest($1::text[], $2::text[]) AS u(ids, users), (SELECT ",
        instant!("$4"),
        " AS t) AS now"
    ));
    let ids: Vec<String> = users.iter().map(|_| cuid::fresh()).collect();
    participants.bind(ids).bind(users).bind(id).bind(bigint(at_ms)).execute(connection).await.map(|_| ())
}

/// Message, position, event and the times that move with them, in one statement.
async fn append(connection: &mut PgConnection, letter: &Letter, conversation: String) -> Result<Message, sqlx::Error> {
    let statement = concat!(
        "WITH counted AS (UPDATE chatwright.conversation SET sequence = sequence + 1 WHERE id = $1 RETURNING sequence), ",
        "now AS (SELECT ",
        instant!("$5"),
        " AS t), ",
        r#"message AS (INSERT INTO "Message" ("id", "conversationId", "senderId", "content", "createdAt") "#,
        "SELECT $2, $1, $3, $4, t FROM now), ",
        "position AS (INSERT INTO chatwright.position (message, conversation, sequence) SELECT $2, $1, sequence FROM counted), ",
        "event AS (INSERT INTO chatwright.outbox (dedupe_id, message, conversation, sender, recipients, content, sent_at_ms) ",
        "SELECT $6::uuid, $2, $1, $3, $7, $4, $5 FROM counted), ",
        r#"moved AS (UPDATE "Conversation" SET "lastMessageAt" = greatest("lastMessageAt", t), "#,
        r#""updatedAt" = greatest("updatedAt", t) FROM now WHERE "id" = $1), "#,
        r#"read AS (UPDATE "Participant" SET "lastReadAt" = greatest("lastReadAt", t) FROM now "#,
        r#"WHERE "conversationId" = $1 AND "userId" = $3) "#,
        "SELECT sequence FROM counted"
    );
    let others = letter.participants.iter().filter(|user| **user != letter.sender);
    let others: Vec<String> = others.map(|user| held(user.as_str()).into_owned()).collect();
    let sequence: i64 = sqlx::query_scalar(statement)
        .bind(&conversation)
        .bind(held(letter.id.as_str()))
        .bind(held(letter.sender.as_str()))
        .bind(held(&letter.text))
        .bind(bigint(letter.sent_at_ms))
        .bind(chance::uuid().to_string())
        .bind(others)
        .fetch_one(connection)
        .await?;
    Ok(Message {
        id: letter.id.clone(),
        room: RoomId::from(released(conversation)),
        sender: Member::nameless(letter.sender.clone()),
        text: letter.text.clone(),
        kind: MessageKind::Text,
        sent_at_ms: letter.sent_at_ms,
        sequence: natural(sequence),
        receiver: None,
        attachment: None,
        read_at_ms: None,
    })
}

/// Takes or renews the lease of the outbox; `false` while another instance's lives.
async fn holds_the_outbox(pool: &sqlx::PgPool, instance: &InstanceId, lease: Duration) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query(
        "INSERT INTO chatwright.lease AS l (name, holder, until) VALUES ('outbox', $1, now() + $2 * interval '1 millisecond') \
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
         WHERE l.holder = excluded.holder OR l.until < now()",
    );
    let lease_ms = bigint(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
    Ok(taken.bind(instance.as_str()).bind(lease_ms).execute(pool).await?.rows_affected() == 1)
}

fn message(row: &PgRow) -> Result<Message, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column).map(released);
    Ok(Message {
        id: MessageId::from(text("id")?),
        room: RoomId::from(text("conversationId")?),
        sender: Member::nameless(UserId::from(text("senderId")?)),
        text: text("content")?,
        kind: MessageKind::Text,
        sent_at_ms: natural(row.try_get("created_ms")?),
        sequence: natural(row.try_get("sequence")?),
        receiver: None,
        attachment: None,
        read_at_ms: None,
    })
}

/// Participants in the order of their ids, which is not the database's.
fn head(row: &PgRow) -> Result<Head, sqlx::Error> {
    let users: Vec<String> = row.try_get("users")?;
    let mut participants: Vec<UserId> = users.into_iter().map(|user| UserId::from(released(user))).collect();
    participants.sort();
    Ok(Head {
        conversation: RoomId::from(released(row.try_get("id")?)),
        participants,
        sequence: natural(row.try_get("sequence")?),
    })
}

fn waiting(row: &PgRow) -> Result<WaitingEvent, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column).map(released);
    let recipients: Vec<String> = row.try_get("recipients")?;
    let dedupe_id = Uuid::parse_str(&row.try_get::<String, _>("dedupe_id")?);
    Ok(WaitingEvent {
        place: natural(row.try_get("place")?),
        event: MessageSent {
            message: MessageId::from(text("message")?),
            room: RoomId::from(text("conversation")?),
            sender: UserId::from(text("sender")?),
            receiver: None,
            recipients: recipients.into_iter().map(|user| UserId::from(released(user))).collect(),
            dedupe_id: Some(dedupe_id.map_err(|problem| sqlx::Error::Decode(Box::new(problem)))?),
            text: text("content")?,
            sent_at_ms: natural(row.try_get("sent_at_ms")?),
        },
    })
}

/// Numbers here count messages, rows and milliseconds: none comes near the bound.
fn bigint(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
