//! The contract of [`Bus`].

use std::{sync::Arc, time::Duration};

use chatwright_protocol::vocabulary::{Member, Message, MessageId, MessageKind, RoomId, UserId};

use super::{ODD_ROOMS, fresh};
use crate::{
    bus::{Bus, Deliveries, Delivery, Movement, Notice, NoticeBody},
    store::{InstanceId, Stored},
};

/// How long a notice may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One instance's bus with its reading end.
pub type Endpoint = (Arc<dyn Bus>, Deliveries);

/// Checks three instances that are on the same bus.
///
/// # Panics
/// Where the bus breaks a promise.
pub async fn bus_keeps_its_promises(one: Endpoint, two: Endpoint, three: Endpoint) {
    let (speaker, _) = one;
    let (listener, mut heard) = two;
    let (other, mut heard_elsewhere) = three;
    for bus in [&speaker, &listener, &other] {
        tokio::time::timeout(PATIENCE, async {
            while bus.ping().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("the bus is up");
    }
    everything_said_arrives_in_order_where_it_was_asked_for(&*speaker, &*listener, &mut heard).await;
    odd_rooms_do_not_mix(&*speaker, (&*listener, &mut heard), (&*other, &mut heard_elsewhere)).await;
    who_unsubscribed_hears_no_more(&*speaker, &*listener, &mut heard).await;
}

fn notice(room: &RoomId, body: NoticeBody) -> Notice {
    Notice { origin: InstanceId::from("origin"), room: room.clone(), audience: Vec::new(), body }
}

fn member(name: &str) -> Member {
    Member { user: UserId::from(name), name: format!("\"{name}\" ё") }
}

fn message(room: &RoomId, sequence: u64) -> NoticeBody {
    NoticeBody::Message(Stored {
        generation: 7,
        message: Message {
            id: MessageId::from(format!("m{sequence}")),
            room: room.clone(),
            sender: member("sender"),
            text: "a \u{0} \"text\"\n🙂".to_owned(),
            kind: MessageKind::File,
            sent_at_ms: 1_728_887_400_123,
            sequence,
            receiver: None,
            attachment: None,
            read_at_ms: None,
        },
    })
}

/// The next notice; gaps that a fresh connection may announce are passed over.
async fn next(heard: &mut Deliveries) -> Notice {
    loop {
        let delivery = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("a delivery in time");
        match delivery.expect("the bus lives") {
            Delivery::Notice(notice) => return notice,
            Delivery::Gap => {}
        }
    }
}

async fn everything_said_arrives_in_order_where_it_was_asked_for(
    speaker: &dyn Bus,
    listener: &dyn Bus,
    heard: &mut Deliveries,
) {
    let room = RoomId::from(fresh("order"));
    listener.subscribe(&room).await.expect("subscribed");
    listener.subscribe(&room).await.expect("twice is the same as once");
    let mut said: Vec<NoticeBody> = (1..=300).map(|sequence| message(&room, sequence)).collect();
    said.push(NoticeBody::Joined(member("joined")));
    said.push(NoticeBody::Left(member("left")));
    said.extend([true, false].map(|active| NoticeBody::Typing { member: member("typing"), active }));
    if let NoticeBody::Message(stored) = message(&room, 0) {
        let message = Message { id: MessageId::from(""), kind: MessageKind::Text, ..stored.message };
        said.push(NoticeBody::Said { message, number: 9 });
    }
    said.extend([Movement::Came, Movement::CameBack, Movement::Went].map(|movement| NoticeBody::Moved {
        member: member("moving"),
        movement,
        version: 1_700_000_000_000_123,
    }));
    for body in &said {
        speaker.publish(notice(&room, body.clone())).await.expect("published");
    }
    for body in said {
        assert_eq!(next(heard).await, notice(&room, body));
    }
}

async fn odd_rooms_do_not_mix(
    speaker: &dyn Bus,
    (listener, heard): (&dyn Bus, &mut Deliveries),
    (other, heard_elsewhere): (&dyn Bus, &mut Deliveries),
) {
    let run = fresh("");
    let rooms: Vec<RoomId> = ODD_ROOMS.iter().map(|room| RoomId::from(format!("{room}{run}"))).collect();
    for (index, room) in rooms.iter().enumerate() {
        let bus = if index % 2 == 0 { listener } else { other };
        bus.subscribe(room).await.expect("subscribed");
    }
    for (index, room) in rooms.iter().enumerate() {
        speaker.publish(notice(room, message(room, index as u64))).await.expect("published");
    }
    for (index, room) in rooms.iter().enumerate() {
        let heard = if index % 2 == 0 { &mut *heard } else { &mut *heard_elsewhere };
        assert_eq!(next(heard).await, notice(room, message(room, index as u64)));
    }
}

async fn who_unsubscribed_hears_no_more(speaker: &dyn Bus, listener: &dyn Bus, heard: &mut Deliveries) {
    let (left, fence) = (RoomId::from(fresh("left")), RoomId::from(fresh("fence")));
    listener.subscribe(&left).await.expect("subscribed");
    listener.unsubscribe(&left).await;
    listener.subscribe(&fence).await.expect("subscribed");
    speaker.publish(notice(&left, message(&left, 1))).await.expect("published");
    speaker.publish(notice(&fence, message(&fence, 1))).await.expect("published");
    assert_eq!(next(heard).await, notice(&fence, message(&fence, 1)));
}
