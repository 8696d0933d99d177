//! Bots against the reference server: confirmations, refusals, and nothing missed or heard twice after a lost connection.
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever was not expected is wrong")]

mod returns;
mod world;

#[expect(dead_code, reason = "it has a main of its own")]
#[path = "../../../client-sdk/examples/echo_bot.rs"]
mod echo_bot;

use std::{ops::ControlFlow, time::Duration};

use chatwright_client_sdk::{AskError, Bot, BotEvent, ConnectError, DisconnectReason, Identity};
use chatwright_protocol::{dialects::rooms, vocabulary::RoomId};
use world::{PATIENCE, World, good_token, hear, quick, token};

fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("message {number}")).collect()
}

fn room() -> RoomId {
    RoomId::from("a room: with *, / and é")
}

#[tokio::test]
async fn a_message_is_confirmed_by_its_echo_and_heard_once_by_everybody() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.bot("bob").await);
    assert!(alice.join(room()).await.expect("let in").history.is_empty());
    let entered = bob.join(room()).await.expect("let in");
    assert!(entered.members.contains(alice.user()) && entered.members.contains(bob.user()));
    let confirmed = alice.send(&room(), "hello").await.expect("confirmed").expect("rooms confirms by echo");
    assert_eq!((confirmed.text.as_str(), &confirmed.sender.user), ("hello", alice.user()));
    alice.send(&room(), "fence").await.expect("confirmed");
    assert_eq!(hear(&mut alice, 2).await, ["hello", "fence"]);
    assert_eq!(hear(&mut bob, 2).await, ["hello", "fence"]);
}

#[tokio::test]
async fn who_enters_later_gets_the_history_with_the_answer_and_not_again_as_events() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.bot("bob").await);
    alice.join(room()).await.expect("let in");
    for text in numbered(0..3) {
        alice.send(&room(), &text).await.expect("confirmed");
    }
    let history: Vec<String> =
        bob.join(room()).await.expect("let in").history.into_iter().map(|message| message.text).collect();
    assert_eq!(history, numbered(0..3));
    alice.send(&room(), "now").await.expect("confirmed");
    assert_eq!(hear(&mut bob, 1).await, ["now"]);
}

#[tokio::test]
async fn a_refusal_tells_its_reason_and_belongs_to_what_was_refused() {
    let world = World::new().await;
    let mut alice = world.bot("alice").await;
    alice.join(room()).await.expect("let in");
    let good = alice.post(&room(), "good").expect("in the room");
    let blank = alice.send(&room(), "   ").await;
    assert!(matches!(&blank, Err(AskError::Refused(reason)) if reason.contains("message")), "{blank:?}");
    let confirmed = alice.wait_for(|event| matches!(event, BotEvent::Confirmed { .. }), PATIENCE).await;
    assert!(matches!(confirmed, Ok(BotEvent::Confirmed { ticket, .. }) if ticket == good), "{confirmed:?}");
    let nowhere = RoomId::from("nowhere");
    assert_eq!(alice.send(&nowhere, "x").await, Err(AskError::NotEntered(nowhere)));
    let long = "x".repeat(1000);
    assert!(matches!(alice.join(long).await, Err(AskError::Refused(_))));
}

#[tokio::test]
async fn a_bad_token_is_refused_with_the_servers_words() {
    let world = World::new().await;
    let mallory = Bot::connect(&rooms::DIALECT, &world.url(), Identity::token("mallory", "no token")).await;
    assert!(matches!(&mallory, Err(ConnectError::Refused { message, .. }) if !message.is_empty()), "{mallory:?}");
}

#[tokio::test]
async fn waiting_for_one_event_leaves_the_others_in_their_order() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.bot("bob").await);
    alice.join(room()).await.expect("let in");
    bob.join(room()).await.expect("let in");
    bob.typing(&room(), true).await.expect("in the room");
    for text in numbered(0..3) {
        bob.send(&room(), &text).await.expect("confirmed");
    }
    bob.leave(&room()).await.expect("in the room");
    alice.wait_for(|event| matches!(event, BotEvent::Left { .. }), PATIENCE).await.expect("bob left");
    let joined = alice.next_event().await;
    assert!(matches!(&joined, Some(BotEvent::Joined { member, .. }) if member.user == *bob.user()), "{joined:?}");
    let typing = alice.next_event().await;
    assert!(matches!(typing, Some(BotEvent::Typing { active: true, .. })), "{typing:?}");
    assert_eq!(hear(&mut alice, 3).await, numbered(0..3));
}

/// Bob loses his connection, Alice says so many things, he comes back.
async fn missed(count: u32) -> (Vec<String>, BotEvent) {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.shaky_bot("bob").await);
    alice.join(room()).await.expect("let in");
    bob.join(room()).await.expect("let in");
    alice.send(&room(), "before").await.expect("confirmed");
    assert_eq!(hear(&mut bob, 1).await, ["before"]);
    world.wire.cut();
    let gone = bob.wait_for(|event| matches!(event, BotEvent::Disconnected { .. }), PATIENCE).await;
    let expected = BotEvent::Disconnected { reason: DisconnectReason::TransportClose, reconnecting: true };
    assert_eq!(gone, Ok(expected));
    for text in numbered(0..count) {
        alice.send(&room(), &text).await.expect("confirmed");
    }
    world.wire.mend();
    let back = bob.wait_for(|event| matches!(event, BotEvent::Reconnected { .. }), PATIENCE).await.expect("back");
    alice.send(&room(), "after").await.expect("confirmed");
    let heard = hear(&mut bob, count as usize + 1).await;
    (heard, back)
}

#[tokio::test]
async fn a_bot_that_was_away_hears_what_it_missed_once_and_in_order() {
    let (mut heard, back) = missed(20).await;
    assert_eq!(heard.pop().as_deref(), Some("after"));
    assert_eq!(heard, numbered(0..20));
    assert_eq!(back, BotEvent::Reconnected { missed: 20, gaps: Vec::new() });
}

#[tokio::test]
async fn a_bot_that_missed_more_than_a_join_tells_reads_the_rest() {
    let (mut heard, back) = missed(130).await;
    assert_eq!(heard.pop().as_deref(), Some("after"));
    assert_eq!(heard, numbered(0..130));
    assert_eq!(back, BotEvent::Reconnected { missed: 130, gaps: Vec::new() });
}

#[tokio::test]
async fn under_traffic_and_many_cuts_every_message_is_heard_once_and_in_order() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.shaky_bot("bob").await);
    alice.join(room()).await.expect("let in");
    bob.join(room()).await.expect("let in");
    let all = numbered(0..300);
    let talking = async {
        for (number, text) in all.iter().enumerate() {
            alice.send(&room(), text).await.expect("confirmed");
            match number % 50 {
                10 => world.wire.cut(),
                25 => world.wire.mend(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let ((), heard) = tokio::join!(talking, hear(&mut bob, all.len()));
    assert_eq!(heard, all);
}

#[tokio::test]
async fn what_is_posted_while_away_is_sent_once_after_the_return() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.shaky_bot("bob").await);
    alice.join(room()).await.expect("let in");
    bob.join(room()).await.expect("let in");
    world.wire.cut();
    bob.wait_for(|event| matches!(event, BotEvent::Disconnected { .. }), PATIENCE).await.expect("gone");
    for text in numbered(0..5) {
        bob.post(&room(), &text).expect("it waits");
    }
    world.wire.mend();
    for _ in 0..5 {
        bob.wait_for(|event| matches!(event, BotEvent::Confirmed { .. }), PATIENCE).await.expect("confirmed");
    }
    assert_eq!(hear(&mut alice, 5).await, numbered(0..5));
}

#[tokio::test]
async fn a_message_sent_into_a_cut_is_confirmed_by_the_history_or_declared_unknown_and_never_sent_twice() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.shaky_bot("bob").await);
    alice.join(room()).await.expect("let in");
    bob.join(room()).await.expect("let in");
    let (mut told, mut confirmed) = (Vec::new(), Vec::new());
    for text in numbered(0..10) {
        let ticket = bob.post(&room(), &text).expect("in the room");
        let cut = async {
            tokio::time::sleep(Duration::from_micros(300)).await;
            world.wire.cut();
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.wire.mend();
        };
        let fate = |event: &BotEvent| match event {
            BotEvent::Confirmed { ticket: other, .. } | BotEvent::Failed { ticket: other, .. } => *other == ticket,
            _ => false,
        };
        let ((), fate) = tokio::join!(cut, bob.wait_for(fate, PATIENCE));
        match fate.expect("its fate is told") {
            BotEvent::Confirmed { .. } => confirmed.push(text.clone()),
            BotEvent::Failed { error, .. } => assert_eq!(error, AskError::Unknown),
            other => panic!("{other:?}"),
        }
        told.push(text);
    }
    alice.send(&room(), "fence").await.expect("confirmed");
    let mut heard = Vec::new();
    while heard.last().map(String::as_str) != Some("fence") {
        heard.extend(hear(&mut alice, 1).await);
    }
    heard.pop();
    let mut once = heard.clone();
    once.dedup();
    assert_eq!(heard, once, "nothing was sent twice");
    assert!(confirmed.iter().all(|text| heard.contains(text)), "{confirmed:?} are confirmed, {heard:?} were heard");
}

#[tokio::test]
async fn a_bot_that_the_server_ends_is_stranded_until_told_to_return() {
    let world = World::new().await;
    let soon = chatwright_server::clock::unix_ms() + 2500;
    let identity = Identity::token("alice", token("alice", soon));
    let mut alice = Bot::connect_with(&rooms::DIALECT, identity, quick(&world.url())).await.expect("still good");
    alice.join(room()).await.expect("let in");
    let ended = alice.wait_for(|event| matches!(event, BotEvent::Stranded { .. }), PATIENCE).await;
    assert!(matches!(ended, Ok(BotEvent::Stranded { .. })), "{ended:?}");
    assert_eq!(alice.post(&room(), "x"), Err(AskError::Stranded));
    while let Some(event) = alice.next_event().await {
        assert!(
            matches!(event, BotEvent::Disconnected { reason: DisconnectReason::ServerDisconnect, .. }),
            "{event:?}"
        );
    }
    alice.reconnect();
    let again = alice.wait_for(|event| matches!(event, BotEvent::Stranded { .. }), PATIENCE).await;
    assert!(matches!(&again, Ok(BotEvent::Stranded { reason }) if reason.starts_with("refused")), "{again:?}");
}

#[tokio::test]
async fn a_handler_runs_until_it_breaks_off() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.bot("alice").await, world.bot("bob").await);
    alice.join(room()).await.expect("let in");
    bob.join(room()).await.expect("let in");
    for text in numbered(0..5) {
        alice.send(&room(), &text).await.expect("confirmed");
    }
    let mut heard = Vec::new();
    let outcome: Result<(), AskError> = bob
        .run(async |bot, event| {
            if let BotEvent::Message { message, .. } = event {
                bot.typing(&message.room, true).await?;
                heard.push(message.text);
            }
            Ok(if heard.len() == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(heard, numbered(0..5));
}

#[tokio::test]
async fn the_bot_in_twenty_lines_echoes() {
    let world = World::new().await;
    let mut alice = world.bot("alice").await;
    alice.join(room()).await.expect("let in");
    let (url, token, place) = (world.url(), good_token("echo"), room());
    let talking = async {
        alice.wait_for(|event| matches!(event, BotEvent::Joined { .. }), PATIENCE).await.expect("the bot comes");
        alice.send(&room(), "goodbye").await.expect("confirmed");
        hear(&mut alice, 2).await
    };
    let (echoed, heard) = tokio::join!(echo_bot::echo(&url, "echo", &token, place.as_str()), talking);
    echoed.expect("it ends by itself");
    assert_eq!(heard, ["goodbye", "alice said: goodbye"]);
    drop(world.server);
}
