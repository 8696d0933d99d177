//! The contract of [`Archive`].

use std::sync::Arc;

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, RoomKind, UserId};

use super::{ODD_ROOMS, fresh};
use crate::store::{
    Position, RoomRecord, Stored,
    archive::{Archive, Kept},
};

/// Higher than any position.
const END: Position = Position { generation: u64::MAX, sequence: 0 };

/// Checks an archive that tells other services of its messages. It is to be empty, or at least without events that wait.
///
/// # Panics
/// Where the archive breaks a promise.
pub async fn room_archive_keeps_its_promises(archive: Arc<dyn Archive>) {
    archive.ping().await.expect("the archive is there");
    messages_are_read_in_the_order_of_their_positions(&*archive).await;
    what_is_kept_twice_is_there_once(&*archive).await;
    what_is_kept_together_is_kept_beside_what_was_there(&*archive).await;
    an_event_waits_until_it_is_said_to_be_published(&*archive).await;
    odd_rooms_do_not_mix(&*archive).await;
    the_last_record_of_a_room_counts_and_messages_leave_it_alone(&*archive).await;
}

fn stored(room: &RoomId, generation: u64, sequence: u64) -> Stored {
    Stored {
        generation,
        message: Message {
            id: MessageId::from(uuid::Uuid::now_v7().to_string()),
            room: room.clone(),
            sender: Member { user: UserId::from("u:1"), name: "Ünï \"quoted\"".to_owned() },
            text: format!("{generation}.{sequence} \u{0} $where {{}} \u{1f642}"),
            kind: MessageKind::Image,
            sent_at_ms: 1_728_887_400_123,
            sequence,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        },
    }
}

async fn keep(archive: &dyn Archive, stored: &Stored) {
    archive.keep(&[Kept::Message(stored.clone())]).await.expect("kept");
}

async fn messages_are_read_in_the_order_of_their_positions(archive: &dyn Archive) {
    let room = RoomId::from(fresh("order"));
    let all =
        [(1, 1), (1, 2), (2, 1), (2, 2), (2, 10)].map(|(generation, sequence)| stored(&room, generation, sequence));
    for index in [3, 0, 4, 2, 1] {
        keep(archive, &all[index]).await;
    }
    assert_eq!(archive.before(&room, END, 10).await.expect("messages"), all);
    assert_eq!(archive.before(&room, END, 2).await.expect("messages"), all[3..], "the newest");
    let below = archive.before(&room, Position { generation: 2, sequence: 2 }, 2).await.expect("messages");
    assert_eq!(below, all[1..3], "below a position, not at it");
    let never = RoomId::from(fresh("never used"));
    assert!(archive.before(&never, END, 2).await.expect("messages").is_empty());
}

async fn what_is_kept_twice_is_there_once(archive: &dyn Archive) {
    let room = RoomId::from(fresh("twice"));
    let once = stored(&room, 1, 1);
    keep(archive, &once).await;
    archive.published(std::slice::from_ref(&once.message.id)).await.expect("published");
    keep(archive, &once).await;
    assert_eq!(archive.before(&room, END, 10).await.expect("messages"), std::slice::from_ref(&once));
    let waiting = archive.unpublished(1000).await.expect("messages");
    assert!(!waiting.contains(&once), "the second time is no news");
}

async fn what_is_kept_together_is_kept_beside_what_was_there(archive: &dyn Archive) {
    let (room, other) = (RoomId::from(fresh("together")), RoomId::from(fresh("beside")));
    let all = [stored(&room, 1, 1), stored(&room, 1, 2), stored(&room, 1, 3), stored(&other, 1, 1)];
    keep(archive, &all[1]).await;
    let record = |kind| RoomRecord { room: room.clone(), kind, participants: vec![UserId::from("a")] };
    let mut together: Vec<Kept> = all.iter().rev().cloned().map(Kept::Message).collect();
    together.extend([Kept::Room(record(RoomKind::Group)), Kept::Room(record(RoomKind::Direct))]);
    archive.keep(&together).await.expect("kept");
    assert_eq!(archive.before(&room, END, 10).await.expect("messages"), all[..3]);
    assert_eq!(archive.before(&other, END, 10).await.expect("messages"), all[3..]);
    assert_eq!(archive.room(&room).await.expect("an answer"), Some(record(RoomKind::Direct)), "the later record");
    let ids: Vec<MessageId> = all.iter().map(|stored| stored.message.id.clone()).collect();
    archive.published(&ids).await.expect("published");
    let waiting = archive.unpublished(1000).await.expect("messages");
    assert!(waiting.iter().all(|stored| !ids.contains(&stored.message.id)), "all of them are published");
    archive.keep(&[]).await.expect("nothing is nothing");
}

async fn an_event_waits_until_it_is_said_to_be_published(archive: &dyn Archive) {
    let room = RoomId::from(fresh("events"));
    let (first, second) = (stored(&room, 1, 1), stored(&room, 1, 2));
    keep(archive, &second).await;
    keep(archive, &first).await;
    let waiting = async || -> Vec<Stored> {
        let all = archive.unpublished(1000).await.expect("messages");
        all.into_iter().filter(|stored| stored.message.room == room).collect()
    };
    assert_eq!(waiting().await, [first.clone(), second.clone()], "in the order of the positions");
    archive.published(std::slice::from_ref(&first.message.id)).await.expect("published");
    archive.published(std::slice::from_ref(&first.message.id)).await.expect("twice is the same");
    assert_eq!(waiting().await, [second]);
}

async fn odd_rooms_do_not_mix(archive: &dyn Archive) {
    let run = fresh("");
    for room in ODD_ROOMS {
        keep(archive, &stored(&RoomId::from(format!("{room}{run}")), 1, 1)).await;
    }
    for room in ODD_ROOMS {
        let room = RoomId::from(format!("{room}{run}"));
        let found = archive.before(&room, END, 10).await.expect("messages");
        assert_eq!(found.iter().map(|stored| &stored.message.room).collect::<Vec<_>>(), [&room]);
    }
}

async fn the_last_record_of_a_room_counts_and_messages_leave_it_alone(archive: &dyn Archive) {
    let room = RoomId::from(fresh("record"));
    assert_eq!(archive.room(&room).await.expect("an answer"), None);
    let participants = vec![UserId::from("a"), UserId::from("b:\"c\"")];
    let record = RoomRecord { room: room.clone(), kind: RoomKind::Direct, participants };
    let message = stored(&room, 1, 1);
    for _ in 0..2 {
        archive.keep(&[Kept::Room(record.clone())]).await.expect("kept");
        keep(archive, &message).await;
        assert_eq!(archive.room(&room).await.expect("an answer"), Some(record.clone()));
    }
}
