//! The contract of [`RosterStore`].

use std::{sync::Arc, time::Duration};

use chatwright_protocol::vocabulary::{Member, RoomId, UserId};

use super::{ODD_ROOMS, fresh};
use crate::store::{Admission, Departure, Device, DeviceId, InstanceId, Lease, RosterStore};

/// A lease that does not run out while a check runs.
const LONG: Duration = Duration::from_secs(60);

/// A lease that a check waits out.
const SHORT: Duration = Duration::from_millis(250);

/// Checks a roster that nobody else reaps meanwhile. Rooms and users of earlier runs do not disturb it.
///
/// # Panics
/// Where the roster breaks a promise.
pub async fn roster_store_keeps_its_promises(roster: Arc<dyn RosterStore>) {
    users_count_once_whatever_their_devices_do(&*roster).await;
    of_many_devices_at_once_one_is_first_and_one_is_last(&roster).await;
    the_limit_of_connections_holds_also_in_a_race(&roster).await;
    odd_rooms_do_not_mix(&*roster).await;
    a_dead_instance_vanishes_and_each_departure_is_handed_out_once(&roster).await;
    who_resigns_with_devices_left_is_cleared_up_after(&*roster).await;
    entries_are_what_was_entered(&*roster).await;
    a_device_that_moves_to_another_instance_stays(&*roster).await;
}

async fn instance(roster: &dyn RosterStore, lease: Duration) -> InstanceId {
    let instance = InstanceId::fresh();
    assert_eq!(
        roster.renew(&instance, lease).await.expect("a lease"),
        Lease::Lost,
        "the first renewal makes the lease"
    );
    instance
}

fn device(instance: &InstanceId, user: &str) -> Device {
    let member = Member { user: UserId::from(user), name: format!("name of {user}") };
    Device { instance: instance.clone(), id: DeviceId::fresh(), member }
}

async fn a_device_that_moves_to_another_instance_stays(roster: &dyn RosterStore) {
    let (here, there) = (instance(roster, LONG).await, instance(roster, LONG).await);
    let room = RoomId::from(fresh("moves"));
    let before = device(&here, &fresh("alice"));
    let after = Device { instance: there, ..before.clone() };
    assert_eq!(roster.connect(&before, 1).await.expect("an answer"), Admission::Admitted);
    assert!(roster.enter(&room, &before).await.expect("entered"));
    assert_eq!(roster.connect(&after, 1).await.expect("an answer"), Admission::Admitted, "it is the same one");
    assert!(!roster.enter(&room, &after).await.expect("entered"), "its user was there");
    assert!(!roster.leave(&room, &before).await.expect("left"), "its user is still there");
    roster.disconnect(&before).await.expect("disconnected");
    assert_eq!(users(roster, &room).await, [after.member.user.to_string()]);
    assert_eq!(
        roster.connect(&device(&here, after.member.user.as_str()), 1).await.expect("an answer"),
        Admission::Full
    );
    assert!(roster.leave(&room, &after).await.expect("left"), "now it is gone");
    roster.disconnect(&after).await.expect("disconnected");
}

async fn users(roster: &dyn RosterStore, room: &RoomId) -> Vec<String> {
    let users = roster.members(room).await.expect("the members");
    users.iter().map(UserId::to_string).collect()
}

async fn users_count_once_whatever_their_devices_do(roster: &dyn RosterStore) {
    let here = instance(roster, LONG).await;
    let room = RoomId::from(fresh("devices"));
    let (phone, laptop, bob) = (device(&here, "alice"), device(&here, "alice"), device(&here, "bob"));
    assert!(users(roster, &room).await.is_empty());
    assert!(roster.enter(&room, &phone).await.expect("entered"), "first");
    assert!(!roster.enter(&room, &phone).await.expect("entered"), "the same again is not first");
    assert!(!roster.enter(&room, &laptop).await.expect("entered"), "a second device is not first");
    assert!(roster.enter(&room, &bob).await.expect("entered"));
    assert_eq!(users(roster, &room).await, ["alice", "bob"]);
    assert!(!roster.leave(&room, &phone).await.expect("left"), "one device is left");
    assert!(!roster.leave(&room, &phone).await.expect("left"), "the same again changes nothing");
    assert_eq!(users(roster, &room).await, ["alice", "bob"]);
    assert!(roster.leave(&room, &laptop).await.expect("left"), "last");
    assert!(!roster.leave(&room, &laptop).await.expect("left"), "the same again is not last");
    assert_eq!(users(roster, &room).await, ["bob"]);
    assert!(roster.enter(&room, &phone).await.expect("entered"), "back, and first again");
}

async fn of_many_devices_at_once_one_is_first_and_one_is_last(roster: &Arc<dyn RosterStore>) {
    let (here, there) = (instance(&**roster, LONG).await, instance(&**roster, LONG).await);
    let room = RoomId::from(fresh("at once"));
    let devices: Vec<Device> =
        (0..20).map(|number| device(if number % 2 == 0 { &here } else { &there }, "alice")).collect();
    for entering in [true, false] {
        let tasks: Vec<_> = devices
            .iter()
            .map(|device| {
                let (roster, room, device) = (Arc::clone(roster), room.clone(), device.clone());
                tokio::spawn(async move {
                    if entering { roster.enter(&room, &device).await } else { roster.leave(&room, &device).await }
                })
            })
            .collect();
        let mut told = 0;
        for task in tasks {
            told += usize::from(task.await.expect("a task").expect("an answer"));
        }
        assert_eq!(told, 1, "entering: {entering}");
    }
}

async fn the_limit_of_connections_holds_also_in_a_race(roster: &Arc<dyn RosterStore>) {
    let (here, there) = (instance(&**roster, LONG).await, instance(&**roster, LONG).await);
    let user = fresh("limited");
    let tasks: Vec<_> = (0..10)
        .map(|number| {
            let (roster, device) = (Arc::clone(roster), device(if number % 2 == 0 { &here } else { &there }, &user));
            tokio::spawn(async move { (roster.connect(&device, 5).await.expect("an answer"), device) })
        })
        .collect();
    let mut admitted = Vec::new();
    for task in tasks {
        let (admission, device) = task.await.expect("a task");
        if admission == Admission::Admitted {
            admitted.push(device);
        }
    }
    assert_eq!(admitted.len(), 5);
    let again = roster.connect(&admitted[0], 5).await.expect("an answer");
    assert_eq!(again, Admission::Admitted, "who is in is not counted twice");
    roster.disconnect(&admitted[0]).await.expect("disconnected");
    roster.disconnect(&admitted[0]).await.expect("disconnected");
    let next = device(&here, &user);
    assert_eq!(roster.connect(&next, 5).await.expect("an answer"), Admission::Admitted);
    let one_more = device(&here, &user);
    assert_eq!(roster.connect(&one_more, 5).await.expect("an answer"), Admission::Full);
    roster.refresh(&admitted).await.expect("refreshed");
}

async fn odd_rooms_do_not_mix(roster: &dyn RosterStore) {
    let here = instance(roster, LONG).await;
    let run = fresh("");
    for room in ODD_ROOMS {
        let user = format!("in {room}");
        assert!(roster.enter(&RoomId::from(format!("{room}{run}")), &device(&here, &user)).await.expect("entered"));
    }
    for room in ODD_ROOMS {
        assert_eq!(users(roster, &RoomId::from(format!("{room}{run}"))).await, [format!("in {room}")]);
    }
}

async fn a_dead_instance_vanishes_and_each_departure_is_handed_out_once(roster: &Arc<dyn RosterStore>) {
    roster.reap().await.expect("what earlier runs left");
    let (dead, alive) = (instance(&**roster, SHORT).await, instance(&**roster, LONG).await);
    let room = RoomId::from(fresh("ghosts: of {x}"));
    let (alice, also_alice, bob) = (device(&dead, "alice"), device(&alive, "alice"), device(&dead, "bob"));
    let user = fresh("limited");
    let connected = device(&dead, &user);
    for device in [&alice, &also_alice, &bob] {
        roster.enter(&room, device).await.expect("entered");
    }
    assert_eq!(roster.connect(&connected, 1).await.expect("an answer"), Admission::Admitted);
    assert_eq!(roster.connect(&device(&alive, &user), 1).await.expect("an answer"), Admission::Full);
    assert_eq!(roster.renew(&dead, SHORT).await.expect("a lease"), Lease::Held);
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(users(&**roster, &room).await, ["alice"], "the dead count nowhere, reaped or not");
    let newcomer = device(&alive, &user);
    assert_eq!(roster.connect(&newcomer, 1).await.expect("an answer"), Admission::Admitted);
    let (one, other) = tokio::join!(roster.reap(), roster.reap());
    let mut departures = one.expect("departures");
    departures.extend(other.expect("departures"));
    assert_eq!(departures, [Departure { room: room.clone(), member: bob.member.clone() }]);
    assert!(roster.reap().await.expect("departures").is_empty());
    assert_eq!(users(&**roster, &room).await, ["alice"]);
    assert_eq!(
        roster.renew(&dead, LONG).await.expect("a lease"),
        Lease::Lost,
        "a late renewal learns that it was too late"
    );
    assert!(roster.enter(&room, &bob).await.expect("entered"), "and its users are first again");
    assert!(roster.leave(&room, &also_alice).await.expect("left"), "the dead device does not hold alice's place");
}

async fn who_resigns_with_devices_left_is_cleared_up_after(roster: &dyn RosterStore) {
    let (clean, unclean) = (instance(roster, LONG).await, instance(roster, LONG).await);
    let room = RoomId::from(fresh("resigned"));
    let (gone, left) = (device(&clean, "gone"), device(&unclean, "left behind"));
    roster.enter(&room, &gone).await.expect("entered");
    roster.enter(&room, &left).await.expect("entered");
    roster.leave(&room, &gone).await.expect("left");
    roster.resign(&clean).await.expect("resigned");
    roster.resign(&unclean).await.expect("resigned");
    assert!(users(roster, &room).await.is_empty());
    let departures = roster.reap().await.expect("departures");
    assert_eq!(departures, [Departure { room, member: left.member }]);
}

async fn entries_are_what_was_entered(roster: &dyn RosterStore) {
    let here = instance(roster, LONG).await;
    let room = RoomId::from(fresh("c:entries"));
    let (alice, bob) = (device(&here, "alice:1"), device(&here, "bob"));
    roster.connect(&alice, 50).await.expect("connected");
    roster.enter(&room, &alice).await.expect("entered");
    roster.enter(&room, &bob).await.expect("entered");
    roster.leave(&room, &bob).await.expect("left");
    let mut entries = roster.entries(&here).await.expect("entries");
    entries.sort_by(|one, other| one.room.cmp(&other.room));
    let rooms: Vec<Option<RoomId>> = entries.iter().map(|entry| entry.room.clone()).collect();
    assert_eq!(rooms, [None, Some(room)]);
    assert!(entries.iter().all(|entry| entry.device == alice), "{entries:?}");
    assert!(roster.entries(&InstanceId::fresh()).await.expect("entries").is_empty());
}
