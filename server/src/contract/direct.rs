//! The contract of [`DirectStore`].

use std::{collections::BTreeSet, sync::Arc};

use chatwright_protocol::{
    dialects::direct::conversation::id_of,
    vocabulary::{Message, MessageId, MessageKind, RoomId, UserId},
};

use super::{ODD_ROOMS, fresh};
use crate::store::{
    Attempt,
    direct::{Deletion, DirectDraft, DirectStore, Partner, UserRecord},
};

/// Two users of nobody else, and their conversation.
struct Pair {
    alice: UserId,
    bob: UserId,
    conversation: RoomId,
}

/// Checks a store that keeps everything. Conversations of earlier runs do not disturb it.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn direct_store_keeps_its_promises(store: Arc<dyn DirectStore>) {
    store.ping().await.expect("the store is there");
    pages_are_counted_from_the_newest_and_read_oldest_first(&*store).await;
    concurrent_appends_leave_no_gap(&store).await;
    a_retry_is_not_written_twice(&*store).await;
    a_message_is_read_once_by_its_receiver(&store).await;
    a_whole_conversation_is_read_in_portions(&*store).await;
    what_is_deleted_is_seen_by_nobody(&*store).await;
    who_hides_a_conversation_sees_what_comes_later(&*store).await;
    search_is_literal_and_knows_no_case(&*store).await;
    summaries_and_partners_are_those_of_the_user(&*store).await;
    odd_users_do_not_mix_and_their_records_are_found(&*store).await;
}

fn pair() -> Pair {
    let (alice, bob) =
        (UserId::from(fresh("alice_")), UserId::from(format!("{:024x}", uuid::Uuid::new_v4().as_u128() >> 32)));
    Pair { conversation: id_of(&alice, &bob), alice, bob }
}

/// 24 hex digits, as the server makes them.
fn message_id() -> MessageId {
    MessageId::from(format!("{:024x}", uuid::Uuid::new_v4().as_u128() >> 32))
}

impl Pair {
    fn draft(&self, text: &str) -> DirectDraft {
        DirectDraft {
            id: message_id(),
            conversation: self.conversation.clone(),
            sender: self.alice.clone(),
            receiver: self.bob.clone(),
            text: text.to_owned(),
            kind: MessageKind::Image,
            attachment: Some("https://files.test/1".to_owned()),
            sent_at_ms: 1_728_887_400_123,
        }
    }

    async fn send(&self, store: &dyn DirectStore, text: &str) -> Message {
        let draft = self.draft(text);
        let sequence = store.append(&draft, Attempt::First).await.expect("an append");
        draft.placed(sequence)
    }

    async fn seen(&self, store: &dyn DirectStore, viewer: &UserId) -> Vec<String> {
        let page = store.page(&self.conversation, viewer, 1, 100).await.expect("a page");
        assert_eq!(page.total, page.messages.len() as u64);
        page.messages.into_iter().map(|message| message.text).collect()
    }
}

async fn pages_are_counted_from_the_newest_and_read_oldest_first(store: &dyn DirectStore) {
    let pair = pair();
    let nothing = store.page(&pair.conversation, &pair.alice, 1, 10).await.expect("a page");
    assert_eq!((nothing.messages.len(), nothing.total), (0, 0));
    let mut sent = Vec::new();
    for number in 1..=5 {
        sent.push(pair.send(store, &number.to_string()).await);
    }
    assert_eq!(sent.iter().map(|message| message.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for (page, expected) in [(1, &sent[3..]), (2, &sent[1..3]), (3, &sent[..1]), (4, &[])] {
        let found = store.page(&pair.conversation, &pair.bob, page, 2).await.expect("a page");
        assert_eq!((found.messages.as_slice(), found.total), (expected, 5), "page {page}");
    }
    assert_eq!(store.since(&pair.conversation, 2, 2).await.expect("messages"), sent[2..4]);
    let never = RoomId::from(fresh("never"));
    assert_eq!(store.latest(&[never, pair.conversation.clone()]).await.expect("sequences"), [0, 5]);
}

async fn concurrent_appends_leave_no_gap(store: &Arc<dyn DirectStore>) {
    let pair = Arc::new(pair());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, pair) = (Arc::clone(store), Arc::clone(&pair));
            tokio::spawn(async move {
                let mut own = Vec::new();
                for _ in 0..10 {
                    own.push(pair.send(&*store, "x").await.sequence);
                }
                assert!(own.is_sorted(), "one writer's appends take effect in its order: {own:?}");
                own
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for task in tasks {
        all.extend(task.await.expect("a writer"));
    }
    assert_eq!(all, (1..=40).collect());
}

async fn a_retry_is_not_written_twice(store: &dyn DirectStore) {
    let pair = pair();
    let draft = pair.draft("once");
    assert_eq!(store.append(&draft, Attempt::First).await, Ok(1));
    pair.send(store, "another").await;
    assert_eq!(store.append(&draft, Attempt::Again).await, Ok(1));
    assert_eq!(store.append(&pair.draft("its first attempt never arrived"), Attempt::Again).await, Ok(3));
    assert_eq!(pair.seen(store, &pair.alice).await, ["once", "another", "its first attempt never arrived"]);
}

async fn a_message_is_read_once_by_its_receiver(store: &Arc<dyn DirectStore>) {
    let pair = pair();
    let (one, two) = (pair.send(&**store, "one").await.id, pair.send(&**store, "two").await.id);
    let elsewhere = self::pair();
    let other = elsewhere.send(&**store, "elsewhere").await.id;
    assert_eq!(store.unread_count(&pair.bob).await, Ok(2));
    assert_eq!(store.unread_count(&pair.alice).await, Ok(0), "her own");
    let asked = [two.clone(), MessageId::from("no id at all"), message_id(), other, one.clone()];
    let by_sender = store.mark_read(&pair.conversation, &pair.alice, &asked, 7).await;
    assert_eq!(by_sender, Ok(Vec::new()), "to send is not to read");
    let (first, second) = tokio::join!(
        store.mark_read(&pair.conversation, &pair.bob, &asked, 7),
        store.mark_read(&pair.conversation, &pair.bob, &asked, 7)
    );
    let mut marked = first.expect("marked");
    marked.extend(second.expect("marked"));
    marked.sort();
    let mut both = vec![one, two];
    both.sort();
    assert_eq!(marked, both, "each once, by one of two callers");
    assert_eq!(store.unread_count(&pair.bob).await, Ok(0));
    let page = store.page(&pair.conversation, &pair.alice, 1, 10).await.expect("a page");
    assert!(page.messages.iter().all(|message| message.read_at_ms == Some(7)), "{page:?}");
}

async fn a_whole_conversation_is_read_in_portions(store: &dyn DirectStore) {
    let pair = pair();
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(pair.send(store, &number.to_string()).await.id);
    }
    let mark =
        async |limit| store.mark_conversation_read(&pair.conversation, &pair.bob, limit, 9).await.expect("marked");
    assert_eq!(mark(2).await, ids[..2]);
    assert_eq!(mark(2).await, ids[2..]);
    assert_eq!(mark(2).await, []);
}

async fn what_is_deleted_is_seen_by_nobody(store: &dyn DirectStore) {
    let pair = pair();
    let (gone, stays) = (pair.send(store, "gone").await, pair.send(store, "stays").await);
    let stranger = UserId::from(fresh("stranger"));
    assert_eq!(store.delete_message(&gone.id, &pair.bob, 9).await, Ok(Deletion::NotTheSender));
    assert_eq!(store.delete_message(&gone.id, &stranger, 9).await, Ok(Deletion::NoSuchMessage));
    assert_eq!(store.delete_message(&MessageId::from("no id"), &pair.alice, 9).await, Ok(Deletion::NoSuchMessage));
    assert_eq!(store.delete_message(&gone.id, &pair.alice, 9).await, Ok(Deletion::Done));
    assert_eq!(store.delete_message(&gone.id, &pair.alice, 9).await, Ok(Deletion::NoSuchMessage));
    for viewer in [&pair.alice, &pair.bob] {
        assert_eq!(pair.seen(store, viewer).await, ["stays"]);
        assert_eq!(store.search(viewer, None, "gone", 10).await, Ok(Vec::new()));
    }
    assert_eq!(store.since(&pair.conversation, 0, 10).await, Ok(vec![stays]));
    assert_eq!(store.unread_count(&pair.bob).await, Ok(1));
    assert_eq!(store.mark_read(&pair.conversation, &pair.bob, &[gone.id], 9).await, Ok(Vec::new()));
    assert_eq!(store.latest(std::slice::from_ref(&pair.conversation)).await, Ok(vec![2]));
}

async fn who_hides_a_conversation_sees_what_comes_later(store: &dyn DirectStore) {
    let pair = pair();
    pair.send(store, "before").await;
    assert_eq!(store.hide_conversation(&pair.conversation, &pair.bob).await, Ok(true));
    assert_eq!(
        store.hide_conversation(&pair.conversation, &pair.bob).await,
        Ok(false),
        "there is nothing left to hide"
    );
    assert_eq!(pair.seen(store, &pair.bob).await, Vec::<String>::new());
    assert_eq!(pair.seen(store, &pair.alice).await, ["before"]);
    assert_eq!(store.unread_count(&pair.bob).await, Ok(0));
    assert_eq!(store.conversations(&pair.bob, 10).await, Ok(Vec::new()));
    pair.send(store, "after").await;
    assert_eq!(pair.seen(store, &pair.bob).await, ["after"]);
    assert_eq!(store.unread_count(&pair.bob).await, Ok(1));
}

async fn search_is_literal_and_knows_no_case(store: &dyn DirectStore) {
    let pair = pair();
    for text in ["Hello World", "a.b*c (d) [e] $f ^g \\h", "hello again"] {
        pair.send(store, text).await;
    }
    let found = async |text: &str, limit: usize| -> Vec<String> {
        let found = store.search(&pair.bob, Some(&pair.conversation), text, limit).await.expect("messages");
        found.into_iter().map(|message| message.text).collect()
    };
    assert_eq!(found("hELLO", 10).await, ["hello again", "Hello World"], "the newest first");
    assert_eq!(found("hello", 1).await, ["hello again"]);
    for odd in ["A.B*C", "(d) [E]", "$f ^g", "\\h"] {
        assert_eq!(found(odd, 10).await.len(), 1, "{odd}");
    }
    for nothing in ["a.c", ".*", "h.llo", "\u{0}"] {
        assert_eq!(found(nothing, 10).await, Vec::<String>::new(), "{nothing:?}");
    }
    assert_eq!(store.search(&pair.alice, None, "hello", 10).await.expect("messages").len(), 2);
    let stranger = UserId::from(fresh("stranger"));
    assert_eq!(store.search(&stranger, None, "hello world", 10).await, Ok(Vec::new()));
}

async fn summaries_and_partners_are_those_of_the_user(store: &dyn DirectStore) {
    let (pair, other) = (pair(), pair());
    pair.send(store, "first").await;
    let last = pair.send(store, "last").await;
    other.send(store, "elsewhere").await;
    let summaries = store.conversations(&pair.bob, 10).await.expect("conversations");
    let [summary] = summaries.as_slice() else { panic!("{summaries:?}") };
    assert_eq!((&summary.conversation, &summary.peer), (&pair.conversation, &pair.alice));
    assert_eq!((&summary.last, summary.unread), (&last, 2));
    let partner = Partner { conversation: pair.conversation.clone(), peer: pair.bob.clone(), latest: 2 };
    assert_eq!(store.partners(&pair.alice, 10).await, Ok(vec![partner]));
    assert_eq!(store.partners(&UserId::from(fresh("nobody")), 10).await, Ok(Vec::new()));
}

async fn odd_users_do_not_mix_and_their_records_are_found(store: &dyn DirectStore) {
    let run = fresh("");
    let user = |name: &str| UserId::from(format!("{name}{run}"));
    let hex = uuid::Uuid::new_v4().as_u128() >> 32;
    let lower = UserId::from(format!("{hex:024x}"));
    let upper = UserId::from(format!("{hex:024X}"));
    let mut users: Vec<UserId> = ODD_ROOMS.iter().map(|name| user(name)).chain([lower.clone()]).collect();
    if upper != lower {
        users.push(upper);
    }
    let carol = user("carol");
    for one in &users {
        let conversation = id_of(&carol, one);
        let draft = DirectDraft { conversation, sender: carol.clone(), receiver: one.clone(), ..pair().draft("hi") };
        assert_eq!(store.append(&draft, Attempt::First).await, Ok(1), "{one} shares a conversation");
        for name in ["at first", "in the end"] {
            let record = UserRecord { user: one.clone(), name: name.to_owned(), email: format!("{one}@test") };
            store.save_user(&record).await.expect("saved");
        }
    }
    let mut found = store.users(&[users.clone(), vec![carol.clone()]].concat()).await.expect("records");
    found.sort_by(|one, other| one.user.cmp(&other.user));
    users.sort();
    assert_eq!(found.iter().map(|record| &record.user).collect::<Vec<_>>(), users.iter().collect::<Vec<_>>());
    assert!(found.iter().all(|record| record.name == "in the end" && record.email == format!("{}@test", record.user)));
    assert_eq!(store.partners(&carol, 100).await.expect("partners").len(), users.len());
}
