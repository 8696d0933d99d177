//! The contract of [`EventSink`].

use chatwright_protocol::vocabulary::{MessageId, RoomId, UserId};

use crate::events::{EventSink, MessageSent};

/// Offers events; `taken` reads back what the sink took over, as documented JSON objects, oldest first.
///
/// # Panics
/// Where the sink breaks a promise.
pub async fn event_sink_keeps_its_promises<F>(sink: &dyn EventSink, taken: impl FnOnce() -> F)
where
    F: Future<Output = Vec<String>>,
{
    let event = |number: u64| MessageSent {
        message: MessageId::from(format!("m{number}")),
        room: RoomId::from("a:b"),
        sender: UserId::from("alice"),
        receiver: number.is_multiple_of(2).then(|| UserId::from("bob")),
        recipients: Vec::new(),
        dedupe_id: None,
        text: "two\nlines \"quoted\"".to_owned(),
        sent_at_ms: 1_728_887_400_000 + number,
    };
    for number in 0..10 {
        sink.offer(&event(number)).await.expect("taken over");
    }
    let taken = taken().await;
    let expected: Vec<String> = (0..10).map(|number| crate::events::wire::to_json(&event(number))).collect();
    assert_eq!(taken, expected, "each event, in order");
}
