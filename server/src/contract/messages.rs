//! The contract of [`MessageStore`].

use std::{collections::BTreeSet, sync::Arc};

use chatwright_protocol::vocabulary::{Member, MessageId, MessageKind, RoomId, RoomKind, UserId};

use super::{ODD_ROOMS, fresh};
use crate::store::{Attempt, Draft, MessageStore, Position, RoomRecord};

/// Checks a store that keeps at most `history_messages_max` (at least 8, at most 100) messages of a room. Rooms of earlier runs do not
/// disturb it.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn message_store_keeps_its_promises(store: Arc<dyn MessageStore>, history_messages_max: usize) {
    store.ping().await.expect("the store is there");
    positions_have_no_gaps_and_history_is_in_their_order(&*store).await;
    concurrent_appends_never_share_a_position(&store).await;
    a_retry_is_not_written_twice(&*store).await;
    a_full_room_keeps_the_newest(&*store, history_messages_max).await;
    since_returns_exactly_what_is_above(&*store).await;
    odd_rooms_do_not_mix_and_texts_stay_as_sent(&*store).await;
    the_first_record_of_a_room_counts(&*store).await;
}

fn draft(room: &RoomId, text: &str) -> Draft {
    Draft {
        id: MessageId::from(uuid::Uuid::now_v7().to_string()),
        room: room.clone(),
        sender: Member { user: UserId::from("u:1"), name: "Ünï \"quoted\"".to_owned() },
        text: text.to_owned(),
        kind: MessageKind::Image,
        sent_at_ms: 1_728_887_400_123,
    }
}

async fn append(store: &dyn MessageStore, room: &RoomId, text: &str) -> Position {
    store.append(&draft(room, text), Attempt::First).await.expect("an append")
}

async fn texts(store: &dyn MessageStore, room: &RoomId, limit: usize) -> Vec<String> {
    let history = store.history(room, limit).await.expect("a history");
    history.messages.into_iter().map(|stored| stored.message.text).collect()
}

async fn positions_have_no_gaps_and_history_is_in_their_order(store: &dyn MessageStore) {
    let room = RoomId::from(fresh("positions"));
    let empty = store.history(&room, 50).await.expect("a history");
    assert_eq!((empty.messages.len(), empty.latest), (0, Position::default()), "a room that nobody used is empty");
    let mut latest = Position::default();
    for number in 1..=5 {
        let position = append(store, &room, &number.to_string()).await;
        assert_eq!(position.sequence, number);
        assert!(position > latest, "{position:?} after {latest:?}");
        latest = position;
    }
    assert_eq!(texts(store, &room, 3).await, ["3", "4", "5"], "the newest, oldest first");
    let history = store.history(&room, 50).await.expect("a history");
    let positions: Vec<u64> = history.messages.iter().map(|stored| stored.message.sequence).collect();
    assert_eq!((positions, history.latest), (vec![1, 2, 3, 4, 5], latest));
    let never = RoomId::from(fresh("never used"));
    let known = store.latest(&[never, room]).await.expect("positions");
    assert_eq!(known, [Position::default(), latest]);
}

async fn concurrent_appends_never_share_a_position(store: &Arc<dyn MessageStore>) {
    let room = RoomId::from(fresh("concurrent"));
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (store, room) = (Arc::clone(store), room.clone());
        tasks.push(tokio::spawn(async move {
            let mut own = Vec::new();
            for _ in 0..25 {
                own.push(append(&*store, &room, "x").await.sequence);
            }
            assert!(own.is_sorted(), "one writer's appends take effect in its order");
            own
        }));
    }
    let mut all = BTreeSet::new();
    for task in tasks {
        all.extend(task.await.expect("a writer"));
    }
    assert_eq!(all, (1..=200).collect::<BTreeSet<u64>>());
}

async fn a_retry_is_not_written_twice(store: &dyn MessageStore) {
    let room = RoomId::from(fresh("retry"));
    let draft = draft(&room, "once");
    let first = store.append(&draft, Attempt::First).await.expect("an append");
    append(store, &room, "another").await;
    let again = store.append(&draft, Attempt::Again).await.expect("an append");
    assert_eq!(again, first);
    assert_eq!(texts(store, &room, 50).await, ["once", "another"]);
    let lost = self::draft(&room, "its first attempt never arrived");
    assert_eq!(store.append(&lost, Attempt::Again).await.expect("an append").sequence, 3);
}

async fn a_full_room_keeps_the_newest(store: &dyn MessageStore, history_messages_max: usize) {
    let room = RoomId::from(fresh("full"));
    for number in 0..history_messages_max + 3 {
        append(store, &room, &number.to_string()).await;
    }
    let kept: Vec<String> = (3..history_messages_max + 3).map(|number| number.to_string()).collect();
    assert_eq!(texts(store, &room, history_messages_max * 2).await, kept);
    let all = store.since(&room, Position::default()).await.expect("a history");
    assert_eq!(all.messages.len(), history_messages_max);
    assert_eq!(all.latest.sequence, history_messages_max as u64 + 3, "positions count on");
}

async fn since_returns_exactly_what_is_above(store: &dyn MessageStore) {
    let room = RoomId::from(fresh("since"));
    let mut positions = Vec::new();
    for number in 0..5 {
        positions.push(append(store, &room, &number.to_string()).await);
    }
    for (index, after) in positions.iter().enumerate() {
        let above = store.since(&room, *after).await.expect("a history");
        let found: Vec<Position> = above.messages.iter().map(crate::store::Stored::position).collect();
        assert_eq!(found, positions[index + 1..], "above {after:?}");
        assert_eq!(above.latest, positions[4]);
    }
    let earlier_life = Position { generation: 0, sequence: 1_000_000 };
    let all = store.since(&room, earlier_life).await.expect("a history");
    assert_eq!(all.messages.len(), 5, "a later generation counts as above");
}

async fn odd_rooms_do_not_mix_and_texts_stay_as_sent(store: &dyn MessageStore) {
    let run = fresh("");
    for room in ODD_ROOMS {
        let room = RoomId::from(format!("{room}{run}"));
        let text = format!("in {room} \"}},{{\\ \u{0} \u{1f642} \u{2028}\r\n\t<b>");
        append(store, &room, &text).await;
    }
    for room in ODD_ROOMS {
        let room = RoomId::from(format!("{room}{run}"));
        let history = store.history(&room, 50).await.expect("a history");
        let [stored] = history.messages.as_slice() else { panic!("{room}: {history:?}") };
        let expected = draft(&room, &format!("in {room} \"}},{{\\ \u{0} \u{1f642} \u{2028}\r\n\t<b>"));
        assert_eq!(stored.message.text, expected.text);
        assert_eq!((&stored.message.room, &stored.message.sender), (&expected.room, &expected.sender));
        assert_eq!((stored.message.kind, stored.message.sent_at_ms), (expected.kind, expected.sent_at_ms));
    }
}

async fn the_first_record_of_a_room_counts(store: &dyn MessageStore) {
    let room = RoomId::from(fresh("record"));
    assert_eq!(store.room(&room).await.expect("an answer"), None);
    let participants = vec![UserId::from("a"), UserId::from("b:\"c\"")];
    let first = RoomRecord { room: room.clone(), kind: RoomKind::Direct, participants };
    assert_eq!(store.open_room(&first).await.expect("a record"), first);
    let later = RoomRecord { room: room.clone(), kind: RoomKind::Group, participants: Vec::new() };
    assert_eq!(store.open_room(&later).await.expect("a record"), first);
    assert_eq!(store.room(&room).await.expect("an answer"), Some(first));
}
