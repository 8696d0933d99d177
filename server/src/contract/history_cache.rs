//! The contract of [`HistoryCache`].

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

use super::{ODD_ROOMS, fresh};
use crate::{
    chat::gateway::object_id,
    store::gateway::{HistoryCache, Page},
};

/// Checks a cache. Rooms of earlier runs do not disturb it.
///
/// # Panics
/// Where the cache breaks a promise.
pub async fn history_cache_keeps_its_promises(cache: Arc<dyn HistoryCache>) {
    cache.ping().await.expect("the cache is there");
    let room = RoomId::from(fresh("cache"));
    let page = |latest: u64| Page {
        messages: (1..=latest).map(|number| message(&room, &number.to_string())).collect(),
        latest,
    };
    let cached = async || cache.read(&room).await.expect("an answer").map(|page| page.latest);
    assert_eq!(cached().await, None, "nobody has filled it");
    let three = page(3);
    cache.fill(&room, &three).await.expect("filled");
    let read = cache.read(&room).await.expect("an answer").expect("a hit");
    assert_eq!((texts(&read), read.latest), (texts(&three), 3));
    assert!(read.messages.iter().zip(&three.messages).all(|(read, filled)| read.id == filled.id
        && read.sender == filled.sender
        && read.sent_at_ms == filled.sent_at_ms));
    cache.raise(&room, 3).await.expect("raised");
    assert_eq!(cached().await, Some(3), "nothing new");
    cache.raise(&room, 4).await.expect("raised");
    assert_eq!(cached().await, None, "an older list is forgotten");
    cache.fill(&room, &page(3)).await.expect("answered");
    assert_eq!(cached().await, None, "a reader who was slow fills in nothing old");
    cache.fill(&room, &page(5)).await.expect("filled");
    cache.fill(&room, &page(4)).await.expect("answered");
    cache.raise(&room, 4).await.expect("raised");
    assert_eq!(cached().await, Some(5), "of two readers the newer list stays");
    let mark = fresh("");
    for (number, odd) in (1..).zip(ODD_ROOMS) {
        let room = RoomId::from(format!("{odd}{mark}"));
        cache.fill(&room, &Page { messages: vec![message(&room, odd)], latest: number }).await.expect("filled");
    }
    for (number, odd) in (1..).zip(ODD_ROOMS) {
        let room = RoomId::from(format!("{odd}{mark}"));
        let read = cache.read(&room).await.expect("an answer").expect("a hit");
        assert_eq!((texts(&read), read.latest), (vec![*odd], number));
    }
}

fn message(room: &RoomId, text: &str) -> Message {
    Message {
        id: MessageId::from(object_id()),
        room: room.clone(),
        sender: Member { user: UserId::from("u:1"), name: "Ünï \"quoted\"".to_owned() },
        text: text.to_owned(),
        kind: MessageKind::Text,
        attachment: None,
        sent_at_ms: 1_728_887_400_123,
        sequence: 0,
        receiver: None,
        read_at_ms: None,
    }
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|message| message.text.as_str()).collect()
}
