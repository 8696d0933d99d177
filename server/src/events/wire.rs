//! The documented JSON of a `message.sent` event (`000_5f4891e3b3f8c1d9.txt`), shared by every adapter that writes it somewhere.

use serde::Serialize;

use super::MessageSent;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    event_type: &'static str,
    timestamp: String,
    data: DataJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DataJson<'a> {
    message_id: &'a str,
    room_id: &'a str,
    sender_id: &'a str,
    receiver_id: Option<&'a str>,
    message: &'a str,
    timestamp: u64,
}

/// The event as one line of JSON, without a line end.
#[must_use]
pub fn to_json(event: &MessageSent) -> String {
    let json = EventJson {
        event_type: "message.sent",
        timestamp: rfc3339_seconds(event.sent_at_ms),
        data: DataJson {
            message_id: event.message.as_str(),
            room_id: event.room.as_str(),
            sender_id: event.sender.as_str(),
            receiver_id: event.receiver.as_ref().map(chatwright_protocol::vocabulary::UserId::as_str),
            message: &event.text,
            timestamp: event.sent_at_ms,
        },
    };
    serde_json::to_string(&json).expect("strings and numbers always serialise")
}

/// `2024-10-14T06:30:00Z`: the form that the document shows.
fn rfc3339_seconds(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Howard Hinnant's algorithm: days since 1970-01-01 to the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use chatwright_protocol::vocabulary::{MessageId, RoomId, UserId};

    use super::*;

    #[test]
    fn an_event_has_the_documented_shape() {
        let event = MessageSent {
            message: MessageId::from("msg-id"),
            room: RoomId::from("room-123"),
            sender: UserId::from("user-uuid"),
            receiver: Some(UserId::from("user-uuid-2")),
            recipients: Vec::new(),
            dedupe_id: None,
            text: "Hello!".to_owned(),
            sent_at_ms: 1_728_887_400_000,
        };
        assert_eq!(
            to_json(&event),
            r#"{"eventType":"message.sent","timestamp":"2024-10-14T06:30:00Z","data":{"messageId":"msg-id","roomId":"room-123","senderId":"user-uuid","receiverId":"user-uuid-2","message":"Hello!","timestamp":1728887400000}}"#
        );
    }

    #[test]
    fn a_leap_day_is_a_day() {
        assert_eq!(rfc3339_seconds(951_827_696_000), "2000-02-29T12:34:56Z");
    }
}
