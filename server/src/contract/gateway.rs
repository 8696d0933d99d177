//! The contracts of `gateway`'s ports: [`AccountStore`], [`Archive`], [`PersistQueue`] with [`PersistFeed`].

use std::{collections::BTreeSet, sync::Arc};

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

use super::{ODD_ROOMS, fresh};
use crate::{
    events::queue::{PersistFeed, PersistQueue, Settled},
    store::gateway::{Account, AccountStore, Archive, Registration},
};

/// Checks a store of accounts. Accounts of earlier runs do not disturb it.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn account_store_keeps_its_promises(store: Arc<dyn AccountStore>) {
    store.ping().await.expect("the store is there");
    let email = fresh("alice@test ");
    assert_eq!(store.by_email(&email).await, Ok(None));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, account) = (Arc::clone(&store), account(&email));
            tokio::spawn(async move { (store.register(&account).await.expect("an answer"), account) })
        })
        .collect();
    let mut created = Vec::new();
    for task in tasks {
        let (registration, account) = task.await.expect("a task");
        if registration == Registration::Created {
            created.push(account);
        }
    }
    let [the_one] = created.as_slice() else { panic!("{} of 8 registrations with one address", created.len()) };
    assert_eq!(store.by_email(&email).await, Ok(Some(the_one.clone())));
    assert_eq!(store.register(&account(&email)).await, Ok(Registration::Taken));
    assert_eq!(store.by_email(&email).await, Ok(Some(the_one.clone())), "a refused one changes nothing");
    assert_eq!(store.by_email(&email.to_uppercase()).await, Ok(None), "as it is");
}

fn account(email: &str) -> Account {
    Account {
        id: UserId::from(hex_id()),
        email: email.to_owned(),
        name: "Ünï \"quoted\"".to_owned(),
        password_hash: "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA".to_owned(),
        created_at_ms: 1_728_887_400_123,
    }
}

/// 24 hex digits, as the server makes them.
fn hex_id() -> String {
    format!("{:024x}", uuid::Uuid::new_v4().as_u128() >> 32)
}

fn message(room: &RoomId, text: &str) -> Message {
    Message {
        id: MessageId::from(hex_id()),
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

/// Checks an archive that keeps at least 50 messages of a room. Rooms of earlier runs do not disturb it.
///
/// # Panics
/// Where the archive breaks a promise.
pub async fn gateway_archive_keeps_its_promises(archive: Arc<dyn Archive>) {
    archive.ping().await.expect("the archive is there");
    let room = RoomId::from(fresh("pages"));
    assert_eq!(archive.newest(&room, 10, None).await.expect("a page").latest, 0);
    let mut stored = Vec::new();
    for number in 0..5 {
        let message = message(&room, &format!("{number} \u{0} \u{1f642}"));
        let sequence = archive.insert(&message).await.expect("stored");
        stored.push(Message { sequence, ..message });
    }
    assert!(stored.is_sorted_by(|one, next| one.sequence < next.sequence), "{stored:?}");
    let again = archive.insert(&stored[1]).await;
    assert_eq!(again, Ok(stored[1].sequence), "what is there is not written again");
    let latest = stored[4].sequence;
    let page = async |limit: usize, before: Option<&MessageId>| {
        let page = archive.newest(&room, limit, before).await.expect("a page");
        assert_eq!(page.latest, latest);
        page.messages
    };
    assert_eq!(page(10, None).await, stored);
    assert_eq!(page(2, None).await, stored[3..]);
    assert_eq!(page(2, Some(&stored[3].id)).await, stored[1..3]);
    assert_eq!(page(2, Some(&stored[0].id)).await, []);
    assert_eq!(page(2, Some(&MessageId::from(hex_id()))).await, []);
    let elsewhere = message(&RoomId::from(fresh("elsewhere")), "elsewhere");
    archive.insert(&elsewhere).await.expect("stored");
    assert_eq!(page(2, Some(&elsewhere.id)).await, [], "a message of another room is none of this one");
    many_at_once_have_a_sequence_each(&archive).await;
    let run = fresh("");
    for room in ODD_ROOMS {
        archive.insert(&message(&RoomId::from(format!("{room}{run}")), room)).await.expect("stored");
    }
    for room in ODD_ROOMS {
        let page = archive.newest(&RoomId::from(format!("{room}{run}")), 10, None).await.expect("a page");
        assert_eq!(page.messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), [*room]);
    }
}

async fn many_at_once_have_a_sequence_each(archive: &Arc<dyn Archive>) {
    let room = RoomId::from(fresh("at once"));
    let twice = message(&room, "twice");
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let message = if number < 5 { twice.clone() } else { message(&room, "once") };
            let archive = Arc::clone(archive);
            tokio::spawn(async move { archive.insert(&message).await.expect("stored") })
        })
        .collect();
    let mut sequences = BTreeSet::new();
    for task in tasks {
        sequences.insert(task.await.expect("a task"));
    }
    assert_eq!(sequences.len(), 16, "five times the same message, and fifteen others");
    assert_eq!(archive.newest(&room, 50, None).await.expect("a page").messages.len(), 16);
}

/// Checks an empty queue with its publishing end and two consumers; gives the message that went to the dead letters.
///
/// # Panics
/// Where the queue breaks a promise.
pub async fn persist_queue_keeps_its_promises<Feed: PersistFeed>(
    queue: &dyn PersistQueue,
    one: Feed,
    other: Feed,
) -> Message {
    queue.ping().await.expect("the queue is there");
    let sent: Vec<Message> =
        ODD_ROOMS.iter().map(|room| message(&RoomId::from(*room), &format!("in {room} \u{0} \u{1f642}"))).collect();
    for message in &sent {
        queue.publish(message).await.expect("taken");
    }
    let first = one.next().await;
    assert_eq!(first.message, sent[0]);
    one.ping().await.expect("deliveries come");
    one.settle(first.tag + 1000, Settled::Stored).await; // of nobody: nothing happens
    one.settle(first.tag, Settled::Stored).await;
    let second = one.next().await;
    assert_eq!(second.message, sent[1], "one after the other");
    one.settle(second.tag, Settled::Dead("nobody can store it".to_owned())).await;
    let third = one.next().await;
    assert_eq!(third.message, sent[2]);
    drop(one); // with the third in hand
    for expected in &sent[2..] {
        let pending = other.next().await;
        assert_eq!(&pending.message, expected, "what was not settled comes again, and in order");
        other.settle(pending.tag, Settled::Stored).await;
    }
    let last = message(&RoomId::from("last"), "last");
    let waiting = async {
        let pending = other.next().await;
        other.settle(pending.tag, Settled::Stored).await;
        pending.message
    };
    let (published, received) = tokio::join!(queue.publish(&last), waiting);
    published.expect("taken");
    assert_eq!(received, last, "and nothing before it");
    sent[1].clone()
}
