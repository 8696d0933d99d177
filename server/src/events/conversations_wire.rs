//! The documented JSON of a `MessageSent` event (`001_66541cd422f9770e.txt`), as it stands in the topic `chat-events`.

use chatwright_protocol::{iso8601, vocabulary::UserId};
use serde::Serialize;

use super::MessageSent;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    event_type: &'static str,
    message_id: &'a str,
    conversation_id: &'a str,
    sender_id: &'a str,
    recipient_ids: Vec<&'a str>,
    content: &'a str,
    timestamp: String,
    dedupe_id: String,
    source: &'static str,
    version: u32,
}

/// The event as one line of JSON, without a line end.
#[must_use]
pub fn to_json(event: &MessageSent) -> String {
    let json = EventJson {
        event_type: "MessageSent",
        message_id: event.message.as_str(),
        conversation_id: event.room.as_str(),
        sender_id: event.sender.as_str(),
        recipient_ids: event.recipients.iter().map(UserId::as_str).collect(),
        content: &event.text,
        timestamp: iso8601::from_unix_ms(event.sent_at_ms),
        dedupe_id: event.dedupe_id.unwrap_or_default().to_string(),
        source: "chat-service",
        version: 1,
    };
    serde_json::to_string(&json).expect("strings and numbers always serialise")
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::{MessageId, RoomId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_has_the_documented_shape() {
        let event = MessageSent {
            message: MessageId::from("msg_123"),
            room: RoomId::from("conv_456"),
            sender: UserId::from("user_789"),
            receiver: None,
            recipients: vec![UserId::from("user_123"), UserId::from("user_456")],
            dedupe_id: Some(Uuid::from_u128(7)),
            text: "Message content".to_owned(),
            sent_at_ms: 1_704_974_400_000,
        };
        assert_eq!(
            to_json(&event),
            r#"{"eventType":"MessageSent","messageId":"msg_123","conversationId":"conv_456","senderId":"user_789","recipientIds":["user_123","user_456"],"content":"Message content","timestamp":"2024-01-11T12:00:00.000Z","dedupeId":"00000000-0000-0000-0000-000000000007","source":"chat-service","version":1}"#
        );
    }
}
