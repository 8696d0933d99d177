//! The contract of [`AwayStore`].

use std::{sync::Arc, time::Duration};

use chatwright_protocol::vocabulary::{RoomId, UserId};

use super::{ODD_ROOMS, fresh};
use crate::store::{
    DeviceId, Position,
    away::{Away, AwayStore, Told, Trail},
};

/// A window that does not end while a check runs, and one that a check waits out.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

/// When what has expired must be gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// How many more than asked for may stay of what was told.
const SLACK: usize = 200;

/// Checks a store of those who are away. What earlier runs have left does not disturb it.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn away_store_keeps_its_promises(store: Arc<dyn AwayStore>) {
    what_was_kept_and_added_comes_back_once(&*store).await;
    one_of_many_gets_it_and_somebody_else_nothing(&store).await;
    what_was_told_is_bounded_and_the_newest_stays(&*store).await;
    the_window_ends_and_is_not_made_longer(&*store).await;
}

fn told(number: usize) -> Told {
    Told { offset: format!("o{number}"), text: format!("42[\"x\",\"{number} ä\\n\"]") }
}

fn alice() -> UserId {
    UserId::from("alice")
}

fn away(told: Vec<Told>) -> Away {
    let standing = (0..).zip(ODD_ROOMS).map(|(sequence, room)| {
        let position = Position { generation: u64::MAX - sequence, sequence };
        (RoomId::from(*room), position)
    });
    let trail = Trail { standing: standing.collect(), forgotten: Some("o0".to_owned()), told };
    Away { user: alice(), id: DeviceId::fresh(), keeper: fresh("keeper"), trail }
}

async fn what_was_kept_and_added_comes_back_once(store: &dyn AwayStore) {
    let id = fresh("away");
    assert_eq!(store.take(&id, &alice()).await.expect("an answer"), None, "nobody is away");
    assert!(!store.add(&id, &Trail::default(), 10).await.expect("an answer"), "nobody is away");
    let mut kept = away(vec![told(1), told(2)]);
    store.keep(&id, &away(vec![told(9)]), LONG).await.expect("kept");
    store.keep(&id, &kept, LONG).await.expect("kept again");
    let more = Trail { standing: Vec::new(), forgotten: None, told: vec![told(3)] };
    assert!(store.add(&id, &more, 10).await.expect("an answer"));
    (kept.trail.standing, kept.trail.forgotten) = (Vec::new(), None);
    kept.trail.told.push(told(3));
    assert_eq!(store.take(&id, &alice()).await.expect("an answer"), Some(kept));
    assert_eq!(store.take(&id, &alice()).await.expect("an answer"), None, "it was taken");
    assert!(!store.add(&id, &more, 10).await.expect("an answer"), "it was taken");

    let silent = away(Vec::new());
    store.keep(&id, &silent, LONG).await.expect("kept");
    store.forget(&fresh("another")).await.expect("an answer");
    assert_eq!(store.take(&id, &alice()).await.expect("an answer"), Some(silent), "who was told nothing");
    store.keep(&id, &away(vec![told(1)]), LONG).await.expect("kept");
    store.forget(&id).await.expect("an answer");
    assert_eq!(store.take(&id, &alice()).await.expect("an answer"), None, "it was forgotten");
}

async fn one_of_many_gets_it_and_somebody_else_nothing(store: &Arc<dyn AwayStore>) {
    let id = fresh("race");
    store.keep(&id, &away(vec![told(1)]), LONG).await.expect("kept");
    assert_eq!(store.take(&id, &UserId::from("mallory")).await.expect("an answer"), None);
    let takers = (0..16).map(|_| {
        let (store, id) = (Arc::clone(store), id.clone());
        tokio::spawn(async move { store.take(&id, &alice()).await.expect("an answer").is_some() })
    });
    let takers: Vec<_> = takers.collect();
    let mut taken = 0;
    for taker in takers {
        taken += usize::from(taker.await.expect("it ends"));
    }
    assert_eq!(taken, 1);
}

async fn what_was_told_is_bounded_and_the_newest_stays(store: &dyn AwayStore) {
    let id = fresh("bounded");
    store.keep(&id, &away(vec![told(0)]), LONG).await.expect("kept");
    for number in 1..1000 {
        let more = Trail { told: vec![told(number)], ..Trail::default() };
        assert!(store.add(&id, &more, 10).await.expect("an answer"));
    }
    let kept = store.take(&id, &alice()).await.expect("an answer").expect("it is kept").trail.told;
    assert!((10..10 + SLACK).contains(&kept.len()), "{} were kept", kept.len());
    let newest: Vec<_> = (1000 - kept.len()..1000).map(told).collect();
    assert_eq!(kept, newest);
}

async fn the_window_ends_and_is_not_made_longer(store: &dyn AwayStore) {
    let id = fresh("window");
    store.keep(&id, &away(vec![told(0)]), SHORT).await.expect("kept");
    let more = Trail { told: vec![told(1)], ..Trail::default() };
    let ends = async {
        while store.add(&id, &more, 10).await.expect("an answer") {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(GONE_AFTER, ends).await.expect("the window ends");
    assert_eq!(store.take(&id, &alice()).await.expect("an answer"), None);
}
