//! The contract of [`SessionStore`].

use std::time::Duration;

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};
use tokio::time::{Instant, sleep};

use super::{ODD_ROOMS, fresh};
use crate::store::{
    Device, DeviceId, InstanceId, Lease,
    sessions::{Arrival, Departure, Presence, RoomFull, SessionStore},
};

/// Longer than any question takes, so that what happens within is not overtaken.
const GRACE: Duration = Duration::from_millis(700);
/// No grace at all.
const NONE: Duration = Duration::ZERO;
/// How long a departure may take beyond its grace period.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than a contract takes.
const LEASE: Duration = Duration::from_secs(60);
const USERS_MAX: usize = 100;

/// Checks a store that nobody else uses meanwhile.
///
/// # Panics
/// Where it breaks a promise.
pub async fn session_store_keeps_its_promises(store: &dyn SessionStore) {
    let (one, two) = (InstanceId::fresh(), InstanceId::fresh());
    assert_eq!(store.renew(&one, LEASE).await.expect("renewed"), Lease::Lost, "the first time there is none");
    assert_eq!(store.renew(&one, LEASE).await.expect("renewed"), Lease::Held);
    store.renew(&two, LEASE).await.expect("renewed");
    a_user_is_new_once_and_leaves_once(store, &one, &two).await;
    a_return_within_the_grace_period_was_no_departure(store, &one, &two).await;
    a_room_forgets_everybody_when_nobody_is_left(store, &one).await;
    odd_rooms_do_not_mix(store, &one).await;
    a_full_room_takes_nobody_new(store, &one).await;
    the_users_of_a_dead_instance_depart_once(store, &one).await;
}

fn device(instance: &InstanceId, user: &str) -> Device {
    let member = Member { user: UserId::from(user), name: format!("{user} \"ё\"") };
    Device { instance: instance.clone(), id: DeviceId::fresh(), member }
}

fn users(presence: &Presence) -> Vec<&str> {
    presence.members.iter().map(|member| member.user.as_str()).collect()
}

async fn arrival(store: &dyn SessionStore, room: &RoomId, device: &Device) -> Arrival {
    store.enter(room, device, USERS_MAX).await.expect("answered").expect("not full").arrival
}

/// The departures from a room until there is one.
async fn departures(store: &dyn SessionStore, room: &RoomId) -> Vec<Departure> {
    let started = Instant::now();
    loop {
        let due = store.due(Some(NONE)).await.expect("answered");
        let here: Vec<_> = due.departures.into_iter().filter(|departure| departure.room == *room).collect();
        if !here.is_empty() {
            return here;
        }
        assert!(started.elapsed() < GRACE + PATIENCE, "nobody departs from {room}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn a_user_is_new_once_and_leaves_once(store: &dyn SessionStore, one: &InstanceId, two: &InstanceId) {
    let room = RoomId::from(fresh("once"));
    let (bob, first, second) = (device(one, "bob"), device(one, "alice"), device(two, "alice"));
    assert_eq!(arrival(store, &room, &bob).await, Arrival::New);
    assert_eq!(arrival(store, &room, &first).await, Arrival::New);
    assert_eq!(arrival(store, &room, &first).await, Arrival::Present, "the same device again");
    let entered = store.enter(&room, &second, USERS_MAX).await.expect("answered").expect("not full");
    assert_eq!((entered.arrival, users(&entered.room)), (Arrival::Present, vec!["alice", "bob"]));
    assert_eq!(entered.room.members[0].name, "alice \"ё\"");
    store.leave(&room, &first, NONE).await.expect("left");
    store.leave(&room, &first, NONE).await.expect("twice is the same as once");
    assert!(store.due(Some(NONE)).await.expect("answered").departures.is_empty(), "another device is there");
    store.leave(&room, &second, NONE).await.expect("left");
    let gone = departures(store, &room).await;
    assert_eq!(gone.iter().map(|departure| &departure.member).collect::<Vec<_>>(), [&first.member]);
    assert!(gone[0].version > entered.room.version);
    let due = store.due(Some(NONE)).await.expect("answered");
    assert!(!due.departures.iter().any(|departure| departure.room == room), "a departure is returned once");
    let present = store.present(&room).await.expect("answered");
    assert_eq!(users(&present), ["bob"]);
    assert_eq!(arrival(store, &room, &second).await, Arrival::Back);
    let mine = store.entries(one).await.expect("answered");
    let here: Vec<_> = mine.iter().filter(|entry| entry.room.as_ref() == Some(&room)).collect();
    assert_eq!((here.len(), &here[0].device), (1, &bob));
}

async fn a_return_within_the_grace_period_was_no_departure(
    store: &dyn SessionStore,
    one: &InstanceId,
    two: &InstanceId,
) {
    let room = RoomId::from(fresh("grace"));
    let (bob, alice, again) = (device(one, "bob"), device(one, "alice"), device(two, "alice"));
    for device in [&bob, &alice] {
        arrival(store, &room, device).await;
    }
    let left = Instant::now();
    store.leave(&room, &alice, GRACE).await.expect("left");
    let due = store.due(Some(NONE)).await.expect("answered");
    if left.elapsed() < GRACE {
        assert!(due.departures.is_empty() && due.next.is_some_and(|next| next <= GRACE), "{due:?}");
        assert_eq!(users(&store.present(&room).await.expect("answered")), ["alice", "bob"]);
    }
    if arrival(store, &room, &again).await == Arrival::Present {
        sleep(GRACE).await;
        assert!(store.due(Some(NONE)).await.expect("answered").departures.is_empty(), "who is back has not left");
    }
    store.leave(&room, &again, GRACE).await.expect("left");
    let left = Instant::now();
    departures(store, &room).await;
    assert!(left.elapsed() >= GRACE - Duration::from_millis(50), "a departure waits for the grace period");
}

async fn a_room_forgets_everybody_when_nobody_is_left(store: &dyn SessionStore, one: &InstanceId) {
    let room = RoomId::from(fresh("forgotten"));
    let (alice, bob) = (device(one, "alice"), device(one, "bob"));
    for device in [&alice, &bob] {
        arrival(store, &room, device).await;
        store.leave(&room, device, NONE).await.expect("left");
        departures(store, &room).await;
    }
    assert_eq!(store.present(&room).await.expect("answered").members, []);
    assert_eq!(arrival(store, &room, &alice).await, Arrival::New);
}

async fn odd_rooms_do_not_mix(store: &dyn SessionStore, one: &InstanceId) {
    let run = fresh("");
    for (index, room) in ODD_ROOMS.iter().enumerate() {
        let room = RoomId::from(format!("{room}{run}"));
        let device = device(one, &format!("user:{index}"));
        let entered = store.enter(&room, &device, USERS_MAX).await.expect("answered").expect("not full");
        assert_eq!((entered.arrival, users(&entered.room)), (Arrival::New, vec![device.member.user.as_str()]));
    }
}

async fn a_full_room_takes_nobody_new(store: &dyn SessionStore, one: &InstanceId) {
    let room = RoomId::from(fresh("full"));
    let (alice, bob, carol) = (device(one, "alice"), device(one, "bob"), device(one, "carol"));
    for device in [&alice, &bob] {
        store.enter(&room, device, 2).await.expect("answered").expect("there is a place");
    }
    assert_eq!(store.enter(&room, &carol, 2).await.expect("answered"), Err(RoomFull));
    assert!(store.enter(&room, &device(one, "bob"), 2).await.expect("answered").is_ok(), "he is in already");
    store.leave(&room, &alice, NONE).await.expect("left");
    departures(store, &room).await;
    assert!(store.enter(&room, &carol, 2).await.expect("answered").is_ok(), "who has gone takes no place");
}

async fn the_users_of_a_dead_instance_depart_once(store: &dyn SessionStore, one: &InstanceId) {
    let room = RoomId::from(fresh("dead"));
    let dying = InstanceId::fresh();
    let (bob, alice, kept) = (device(one, "bob"), device(&dying, "alice"), device(&dying, "bob"));
    store.renew(&dying, GRACE).await.expect("renewed");
    for device in [&bob, &alice, &kept] {
        arrival(store, &room, device).await;
    }
    let gone = departures(store, &room).await;
    assert_eq!(gone.iter().map(|departure| &departure.member).collect::<Vec<_>>(), [&alice.member]);
    assert_eq!(users(&store.present(&room).await.expect("answered")), ["bob"]);
    assert_eq!(store.entries(&dying).await.expect("answered"), []);
    assert_eq!(store.renew(&dying, LEASE).await.expect("renewed"), Lease::Lost);
    let late = device(&dying, "carol");
    arrival(store, &room, &late).await;
    store.resign(&dying).await.expect("resigned");
    assert_eq!(departures(store, &room).await[0].member, late.member, "what it left behind is cleared up");
}
