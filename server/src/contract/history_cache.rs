//! The contract of [`HistoryCache`].

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

use super::{ODD_ROOMS, fresh};
use crate::{
    chat::gateway::object_id,
    store::gateway::{Era, HistoryCache, Page},
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
    let cached = async || cache.read(&room).await.expect("an answer").page.map(|page| page.latest);
    assert_eq!(cached().await, None, "nobody has filled it");
    let era = cache.read(&room).await.expect("an answer").era;
    let three = page(3);
    cache.fill(&room, &three, &era).await.expect("filled");
    let read = cache.read(&room).await.expect("an answer").page.expect("a hit");
    assert_eq!((texts(&read), read.latest), (texts(&three), 3));
    assert!(read.messages.iter().zip(&three.messages).all(|(read, filled)| read.id == filled.id
        && read.sender == filled.sender
        && read.sent_at_ms == filled.sent_at_ms));
    cache.raise(&room, 3).await.expect("raised");
    assert_eq!(cached().await, Some(3), "nothing new");
    cache.raise(&room, 4).await.expect("raised");
    assert_eq!(cached().await, None, "an older list is forgotten");
    cache.fill(&room, &page(3), &era).await.expect("answered");
    assert_eq!(cached().await, None, "a reader who was slow fills in nothing old");
    cache.fill(&room, &page(5), &era).await.expect("filled");
    cache.fill(&room, &page(4), &era).await.expect("answered");
    cache.raise(&room, 4).await.expect("raised");
    assert_eq!(cached().await, Some(5), "of two readers the newer list stays");
    rooms_keep_apart(&cache, &era).await;
    forgotten_lists_do_not_come_back(&cache, &room, &page).await;
}

async fn rooms_keep_apart(cache: &Arc<dyn HistoryCache>, era: &Era) {
    let mark = fresh("");
    for (number, odd) in (1..).zip(ODD_ROOMS) {
        let room = RoomId::from(format!("{odd}{mark}"));
        let page = Page { messages: vec![message(&room, odd)], latest: number };
        cache.fill(&room, &page, era).await.expect("filled");
    }
    for (number, odd) in (1..).zip(ODD_ROOMS) {
        let room = RoomId::from(format!("{odd}{mark}"));
        let read = cache.read(&room).await.expect("an answer").page.expect("a hit");
        assert_eq!((texts(&read), read.latest), (vec![*odd], number));
    }
}

async fn forgotten_lists_do_not_come_back(
    cache: &Arc<dyn HistoryCache>,
    room: &RoomId,
    page: &(dyn Fn(u64) -> Page + Sync),
) {
    let look = async || cache.read(room).await.expect("an answer");
    let before = look().await;
    assert!(before.page.is_some(), "there is something to forget");
    cache.forget_all().await.expect("forgotten");
    let after = look().await;
    assert_eq!(after.page, None, "all lists are forgotten");
    assert_ne!(after.era, before.era);
    cache.fill(room, &page(6), &before.era).await.expect("answered");
    assert_eq!(look().await.page, None, "a reader of an earlier era fills in nothing");
    cache.fill(room, &page(4), &after.era).await.expect("answered");
    assert_eq!(look().await.page, None, "what was seen before is still known");
    cache.fill(room, &page(6), &after.era).await.expect("filled");
    assert_eq!(look().await.page.map(|page| page.latest), Some(6));
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
