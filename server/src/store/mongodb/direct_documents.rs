//! Documents of `direct` on MongoDB: filters for what somebody sees, and what is read back.

use chatwright_protocol::{
    dialects::direct::wire::kind_of_name,
    vocabulary::{Member, Message, MessageId, RoomId, UserId},
};
use mongodb::bson::{Document, doc};

use super::place::{instant, natural, reference, referred, text};
use crate::store::{StoreError, direct::UserRecord};

/// What a viewer sees.
pub(super) fn visible(viewer: &UserId) -> Document {
    doc! { "deletedAt": null, "hiddenFrom": { "$ne": reference(viewer.as_str()) } }
}

pub(super) fn visible_in(conversation: &RoomId, viewer: &UserId) -> Document {
    let mut filter = visible(viewer);
    filter.insert("conversationId", conversation.as_str());
    filter
}

/// What a viewer sees of all his conversations.
pub(super) fn visible_to_party(viewer: &UserId) -> Document {
    let mut filter = visible(viewer);
    filter.insert("$or", party(viewer));
    filter
}

pub(super) fn party(user: &UserId) -> Vec<Document> {
    vec![doc! { "senderId": reference(user.as_str()) }, doc! { "receiverId": reference(user.as_str()) }]
}

pub(super) fn unread_by(mut filter: Document, reader: &UserId) -> Document {
    filter.insert("receiverId", reference(reader.as_str()));
    filter.insert("isRead", false);
    filter
}

pub(super) fn message(document: &Document) -> Result<Message, StoreError> {
    Ok(Message {
        id: MessageId::from(referred(document, "_id")?),
        room: RoomId::from(text(document, "conversationId")?),
        sender: Member::nameless(UserId::from(referred(document, "senderId")?)),
        text: text(document, "message")?,
        kind: kind_of_name(&text(document, "messageType")?).unwrap_or_default(),
        attachment: document.get_str("attachmentUrl").ok().map(str::to_owned),
        sent_at_ms: instant(document, "createdAt")?,
        sequence: natural(document, "sequence")?,
        receiver: Some(UserId::from(referred(document, "receiverId")?)),
        read_at_ms: instant(document, "readAt").ok(),
    })
}

pub(super) fn user_record(document: &Document) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        user: UserId::from(referred(document, "_id")?),
        name: text(document, "name")?,
        email: text(document, "email")?,
    })
}

/// A regular expression that means exactly this text.
pub(super) fn literally(text: &str) -> String {
    let mut expression = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        match character {
            '\0' => expression.push_str("\\x00"),
            special if special.is_ascii_punctuation() => expression.extend(['\\', special]),
            plain => expression.push(plain),
        }
    }
    expression
}

pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::literally;

    #[test]
    fn what_is_looked_for_has_no_special_characters_left() {
        assert_eq!(literally("a.b*[c]\\ (d) $ é🙂"), "a\\.b\\*\\[c\\]\\\\ \\(d\\) \\$ é🙂");
    }
}
