//! The contract of [`ConversationStore`].

use std::{collections::BTreeSet, sync::Arc};

use chatwright_protocol::vocabulary::{Message, MessageId, RoomId, UserId};
use uuid::Uuid;

use super::{ODD_ROOMS, fresh};
use crate::store::{
    Attempt,
    conversations::{ConversationStore, Letter, Page, event_of},
};

/// Odd characters for a text and for the ids of users.
const ODD: &str = " \"}},{{\\ \u{0} \u{f8ff} \u{1f642} \u{2028}\r\n\t<b>";

/// Checks a store that keeps everything. Conversations of earlier runs do not disturb it, events that wait do.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn conversation_store_keeps_its_promises(store: Arc<dyn ConversationStore>) {
    store.ping().await.expect("the store is there");
    the_same_users_are_the_same_conversation_and_others_another(&*store).await;
    first_messages_that_meet_make_one_conversation(&store).await;
    sequences_have_no_gaps_however_many_send_at_once(&store).await;
    a_retry_is_not_written_twice(&*store).await;
    pages_are_oldest_first(&*store).await;
    odd_users_do_not_mix_and_texts_stay_as_sent(&*store).await;
    heads_are_those_of_the_users_the_newest_first(&*store).await;
    events_wait_until_they_are_told(&*store).await;
}

fn users(names: &[&str], run: &str) -> Vec<UserId> {
    let mut users: Vec<UserId> = names.iter().map(|name| UserId::from(format!("{name}{run}"))).collect();
    users.sort();
    users
}

fn letter(participants: &[UserId], sender: usize, text: &str, sent_at_ms: u64) -> Letter {
    Letter {
        id: MessageId::from(fresh("m")),
        sender: participants[sender].clone(),
        participants: participants.to_vec(),
        text: text.to_owned(),
        sent_at_ms,
    }
}

async fn send(store: &dyn ConversationStore, participants: &[UserId], text: &str) -> Message {
    let letter = letter(participants, 0, text, 1_704_974_400_123);
    store.send(&letter, Attempt::First).await.expect("sent")
}

async fn the_same_users_are_the_same_conversation_and_others_another(store: &dyn ConversationStore) {
    let run = fresh("");
    let pair = users(&["alice", "bob"], &run);
    let three = users(&["alice", "bob", "carol"], &run);
    let letter = letter(&pair, 1, "hi", 1_704_974_400_123);
    let first = store.send(&letter, Attempt::First).await.expect("sent");
    assert!(!first.room.as_str().is_empty(), "the first message makes it");
    assert_eq!((&first.id, &first.sender.user, first.sequence), (&letter.id, &letter.sender, 1));
    assert_eq!((first.text.as_str(), first.sent_at_ms), ("hi", letter.sent_at_ms));
    assert_eq!(send(store, &pair, "again").await.room, first.room);
    assert_ne!(send(store, &three, "others").await.room, first.room);
    let head = store.conversation(&first.room).await.expect("an answer").expect("it is there");
    assert_eq!((head.participants, head.sequence), (pair.clone(), 2));
    assert_eq!(store.conversation(&RoomId::from(fresh("never"))).await.expect("an answer"), None);
    store.mark_read(&first.room, &pair[0], 1_704_974_500_000).await.expect("moved");
    store.mark_read(&first.room, &three[2], 1).await.expect("who is no participant is nobody's trouble");
}

async fn first_messages_that_meet_make_one_conversation(store: &Arc<dyn ConversationStore>) {
    let run = fresh("");
    let pair = users(&["alice", "bob"], &run);
    let tasks: Vec<_> = (0..10)
        .map(|number| {
            let (store, letter) = (Arc::clone(store), letter(&pair, number % 2, "first!", 1));
            tokio::spawn(async move { store.send(&letter, Attempt::First).await.expect("sent") })
        })
        .collect();
    let (mut rooms, mut sequences) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        let message = task.await.expect("a task");
        rooms.insert(message.room);
        sequences.insert(message.sequence);
    }
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    assert_eq!(sequences, (1..=10).collect());
}

async fn sequences_have_no_gaps_however_many_send_at_once(store: &Arc<dyn ConversationStore>) {
    let pair = users(&["alice", "bob"], &fresh(""));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, pair) = (Arc::clone(store), pair.clone());
            tokio::spawn(async move {
                let mut own = Vec::new();
                for _ in 0..10 {
                    let message = send(&*store, &pair, "x").await;
                    // Who sees a sequence sees all before it.
                    let seen = store.messages(&message.room, &Page::Newest, 100).await.expect("messages");
                    let expected: Vec<u64> = (1..=seen.len() as u64).collect();
                    assert_eq!(seen.iter().map(|message| message.sequence).collect::<Vec<_>>(), expected);
                    own.push(message.sequence);
                }
                assert!(own.is_sorted(), "one sender's messages in his order: {own:?}");
                own
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for task in tasks {
        all.extend(task.await.expect("a task"));
    }
    assert_eq!(all, (1..=40).collect());
}

async fn a_retry_is_not_written_twice(store: &dyn ConversationStore) {
    let pair = users(&["alice", "bob"], &fresh(""));
    let once = letter(&pair, 0, "once", 5);
    let first = store.send(&once, Attempt::First).await.expect("sent");
    send(store, &pair, "another").await;
    assert_eq!(store.send(&once, Attempt::Again).await.expect("sent"), first);
    let lost = letter(&pair, 0, "its first attempt never arrived", 6);
    assert_eq!(store.send(&lost, Attempt::Again).await.expect("sent").sequence, 3);
}

async fn pages_are_oldest_first(store: &dyn ConversationStore) {
    let pair = users(&["alice", "bob"], &fresh(""));
    let mut sent = Vec::new();
    for number in 1..=5 {
        sent.push(send(store, &pair, &number.to_string()).await);
    }
    let room = &sent[0].room;
    let page = async |page: Page, limit: usize| store.messages(room, &page, limit).await.expect("messages");
    assert_eq!(page(Page::Newest, 10).await, sent);
    assert_eq!(page(Page::Newest, 2).await, sent[3..]);
    assert_eq!(page(Page::Before(sent[3].id.clone()), 2).await, sent[1..3]);
    assert_eq!(page(Page::Before(MessageId::from(fresh("never"))), 2).await, []);
    assert_eq!(page(Page::Above(2), 2).await, sent[2..4]);
    assert_eq!(page(Page::Above(5), 2).await, []);
    let other = send(store, &users(&["carol", "dave"], &fresh("")), "elsewhere").await;
    assert_eq!(page(Page::Before(other.id), 2).await, [], "a message of another conversation is none of this one");
    assert_eq!(store.messages(&RoomId::from(fresh("never")), &Page::Newest, 2).await.expect("messages"), []);
}

async fn odd_users_do_not_mix_and_texts_stay_as_sent(store: &dyn ConversationStore) {
    let run = fresh("");
    let mut rooms = BTreeSet::new();
    for user in ODD_ROOMS.iter().copied().chain([ODD, "", "a\",\"b", "a,b"]) {
        let pair = users(&["another", user], &run);
        let message = send(store, &pair, ODD).await;
        assert_eq!(message.sequence, 1, "{user:?} shares a conversation");
        assert_eq!(
            store.messages(&message.room, &Page::Newest, 2).await.expect("messages"),
            std::slice::from_ref(&message)
        );
        let head = store.conversation(&message.room).await.expect("an answer").expect("it is there");
        assert_eq!(head.participants, pair);
        rooms.insert(message.room);
    }
    assert_eq!(rooms.len(), ODD_ROOMS.len() + 4);
}

async fn heads_are_those_of_the_users_the_newest_first(store: &dyn ConversationStore) {
    let run = fresh("");
    let with = |other: &str| users(&["alice", other], &run);
    let mut rooms = Vec::new();
    for (other, sent_at_ms) in [("bob", 1_000), ("carol", 3_000), ("dave", 2_000)] {
        let letter = letter(&with(other), 0, "hi", sent_at_ms);
        rooms.push(store.send(&letter, Attempt::First).await.expect("sent").room);
    }
    let [bob, carol, dave] = [0, 1, 2].map(|index: usize| rooms[index].clone());
    let heads = async |names: &[&str], since: u64, limit: usize| -> BTreeSet<RoomId> {
        let heads = store.heads(&users(names, &run), since, limit).await.expect("heads");
        heads.into_iter().map(|head| head.conversation).collect()
    };
    let set = |rooms: &[&RoomId]| rooms.iter().copied().cloned().collect::<BTreeSet<RoomId>>();
    assert_eq!(heads(&["alice"], 0, 10).await, set(&[&bob, &carol, &dave]));
    assert_eq!(heads(&["alice"], 2_000, 10).await, set(&[&carol, &dave]), "at or after");
    assert_eq!(heads(&["alice", "bob"], 0, 10).await.len(), 3, "each once");
    assert_eq!(heads(&["bob", "dave"], 0, 10).await, set(&[&bob, &dave]));
    assert_eq!(heads(&["nobody"], 0, 10).await, set(&[]));
    assert_eq!(heads(&["alice"], 0, 2).await.len(), 2);
}

async fn events_wait_until_they_are_told(store: &dyn ConversationStore) {
    let three = users(&["alice", "bob", ODD], &fresh(""));
    let mut expected = Vec::new();
    for text in ["one", ODD] {
        let letter = letter(&three, 1, text, 1_704_974_400_123);
        let message = store.send(&letter, Attempt::First).await.expect("sent");
        expected.push(message);
    }
    let room = expected[0].room.clone();
    let waiting = async || {
        let all = store.waiting_events(10_000).await.expect("events");
        assert!(all.is_sorted_by_key(|waiting| waiting.place), "the oldest first");
        all.into_iter().filter(|waiting| waiting.event.room == room).collect::<Vec<_>>()
    };
    let found = waiting().await;
    let ids: BTreeSet<Uuid> = found.iter().filter_map(|waiting| waiting.event.dedupe_id).collect();
    assert_eq!((found.len(), ids.len()), (expected.len(), expected.len()), "each has an id of its own");
    for (waiting, message) in found.iter().zip(&expected) {
        let id = waiting.event.dedupe_id.expect("counted above");
        assert_eq!(waiting.event, event_of(message, &three, id));
    }
    assert_eq!(waiting().await, found, "until they are told");
    store.events_told(&[found[0].place]).await.expect("told");
    assert_eq!(waiting().await, found[1..]);
    assert_eq!(store.waiting_events(1).await.expect("events").len(), 1);
}
