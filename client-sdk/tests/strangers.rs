//! Bots with servers that do less than the reference, or do it otherwise: no ids, no acknowledgements, histories the other way round.

#[path = "support/stranger.rs"]
mod stranger;

use std::time::Duration;

use chatwright_client_sdk::{AskError, Bot, BotConfig, BotEvent, Identity, Reconnection};
use chatwright_protocol::{dialects::rooms::DIALECT, vocabulary::RoomId};
use stranger::{GENEROUS, Habits, Stranger};

const PATIENCE: Duration = Duration::from_secs(10);

fn room() -> RoomId {
    RoomId::from("r")
}

async fn bot_at(server: &Stranger) -> Bot {
    let mut config = BotConfig::new(&DIALECT, &server.url);
    let delay = Duration::from_millis(20);
    config.socket.reconnection = Some(Reconnection { delay_min: delay, delay_max: delay, ..Reconnection::default() });
    config.answer_timeout = Duration::from_secs(2);
    let mut bot = Bot::connect_with(&DIALECT, Identity::open("bob", "Bob"), config).await.expect("open to everybody");
    bot.join(room()).await.expect("let in");
    bot
}

async fn hear(bot: &mut Bot, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match bot.wait_for(|event| matches!(event, BotEvent::Message { .. }), PATIENCE).await {
            Ok(BotEvent::Message { message, .. }) => heard.push(message.text),
            other => panic!("expected message {} of {count} after {heard:?}, got {other:?}", heard.len() + 1),
        }
    }
    heard
}

fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("message {number}")).collect()
}

/// Thrice: messages, a loss, more messages, a return.
async fn hears_all(habits: Habits) {
    let server = Stranger::with(habits).await;
    server.say(&room(), "long ago");
    let mut bot = bot_at(&server).await;
    let all = numbered(0..42);
    for part in all.chunks(14) {
        for text in &part[..7] {
            server.say(&room(), text);
        }
        bot.wait_for(|event| matches!(event, BotEvent::Message { message, .. } if message.text == part[6]), PATIENCE)
            .await
            .map(|_| ())
            .expect("heard live");
        server.cut();
        bot.wait_for(|event| matches!(event, BotEvent::Disconnected { .. }), PATIENCE).await.expect("lost");
        for text in &part[7..] {
            server.say(&room(), text);
        }
        server.mend();
        let back = bot.wait_for(|event| matches!(event, BotEvent::Reconnected { .. }), PATIENCE).await;
        assert_eq!(back, Ok(BotEvent::Reconnected { missed: 7, gaps: Vec::new() }), "{habits:?}");
    }
    server.say(&room(), "fence");
    let expected: Vec<String> =
        all.iter().enumerate().filter(|(number, _)| number % 14 != 6).map(|(_, text)| text.clone()).collect();
    let mut heard = hear(&mut bot, expected.len() + 1).await;
    assert_eq!(heard.pop().as_deref(), Some("fence"), "{habits:?}");
    assert_eq!(heard, expected, "{habits:?}");
}

#[tokio::test]
async fn whatever_a_server_leaves_out_a_bot_hears_each_message_once_and_in_order() {
    for habits in [
        GENEROUS,
        Habits { sequences: false, ..GENEROUS },
        Habits { ids: false, ..GENEROUS },
        Habits { ids: false, sequences: false, ..GENEROUS },
        Habits { acks: false, ..GENEROUS },
        Habits { newest_first: true, ..GENEROUS },
        Habits { users_first: true, ..GENEROUS },
        Habits { live_first: true, ..GENEROUS },
        Habits { live_first: true, ids: false, sequences: false, ..GENEROUS },
        Habits { page: 10, ..GENEROUS },
    ] {
        hears_all(habits).await;
    }
}

#[tokio::test]
async fn where_a_history_does_not_reach_back_far_enough_the_bot_says_so() {
    for habits in
        [GENEROUS, Habits { sequences: false, ..GENEROUS }, Habits { ids: false, sequences: false, ..GENEROUS }]
    {
        let server = Stranger::with(Habits { page: 10, ..habits }).await;
        let mut bot = bot_at(&server).await;
        server.say(&room(), "heard");
        assert_eq!(hear(&mut bot, 1).await, ["heard"]);
        server.cut();
        for text in numbered(0..30) {
            server.say(&room(), &text);
        }
        server.mend();
        let back = bot.wait_for(|event| matches!(event, BotEvent::Reconnected { .. }), PATIENCE).await;
        assert_eq!(back, Ok(BotEvent::Reconnected { missed: 10, gaps: vec![room()] }), "{habits:?}");
        assert_eq!(hear(&mut bot, 10).await, numbered(20..30), "{habits:?}");
    }
}

#[tokio::test]
async fn sends_are_confirmed_and_refused_with_and_without_acknowledgements() {
    for acks in [true, false] {
        let server = Stranger::with(Habits { acks, ..GENEROUS }).await;
        let mut bot = bot_at(&server).await;
        for text in ["same", "same", "other"] {
            let message = bot.send(&room(), text).await.expect("confirmed").expect("by its echo");
            assert_eq!(message.text, text);
        }
        let refused = bot.send(&room(), "forbidden").await;
        assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
        bot.send(&room(), "last").await.expect("confirmed");
        assert_eq!(hear(&mut bot, 4).await, ["same", "same", "other", "last"]);
    }
}

#[tokio::test]
async fn more_acknowledgements_that_never_come_than_there_are_places_do_not_stop_a_bot() {
    let server = Stranger::with(Habits { acks: false, ..GENEROUS }).await;
    let mut config = BotConfig::new(&DIALECT, &server.url);
    config.socket.acks_max = 4;
    let mut bot = Bot::connect_with(&DIALECT, Identity::open("bob", "Bob"), config).await.expect("open to everybody");
    bot.join(room()).await.expect("let in");
    for text in numbered(0..20) {
        bot.send(&room(), &text).await.expect("confirmed");
    }
}

#[tokio::test]
async fn a_message_that_waits_for_the_store_is_confirmed_by_its_echo_however_late_and_failed_by_nothing_but_its_deadline()
 {
    let server = Stranger::with(GENEROUS).await;
    let mut config = BotConfig::new(&DIALECT, &server.url);
    (config.answer_timeout, config.pending_timeout) = (Duration::from_millis(500), PATIENCE);
    let mut bot = Bot::connect_with(&DIALECT, Identity::open("bob", "Bob"), config).await.expect("open to everybody");
    bot.join(room()).await.expect("let in");
    let tickets = ["later", "later", "later on"].map(|text| bot.post(&room(), text).expect("posted"));
    let early = bot.wait_for(|event| event.ticket().is_some(), Duration::from_secs(1)).await;
    assert_eq!(early, Err(AskError::Timeout(Duration::from_secs(1))), "longer than an answer may take");
    bot.send(&room(), "now").await.expect("others do not wait");
    server.store();
    for ticket in tickets {
        let event = bot.wait_for(|event| event.ticket().is_some(), PATIENCE).await.expect("an end");
        assert!(matches!(event, BotEvent::Confirmed { ticket: told, message: Some(_) } if told == ticket), "{event:?}");
    }
    assert_eq!(hear(&mut bot, 4).await, ["now", "later", "later", "later on"]);
}

#[tokio::test]
async fn a_message_that_is_never_stored_is_unknown_after_its_deadline_or_when_its_connection_is_lost() {
    let server = Stranger::with(GENEROUS).await;
    let mut config = BotConfig::new(&DIALECT, &server.url);
    config.pending_timeout = Duration::from_millis(50);
    let mut bot = Bot::connect_with(&DIALECT, Identity::open("bob", "Bob"), config).await.expect("open to everybody");
    bot.join(room()).await.expect("let in");
    assert_eq!(bot.send(&room(), "later").await, Err(AskError::Timeout(Duration::from_millis(50))));
    drop(bot);
    let mut bot = bot_at(&server).await;
    let ticket = bot.post(&room(), "later still").expect("posted");
    bot.send(&room(), "fence").await.expect("answered after the other");
    server.cut();
    server.mend();
    let event = bot.wait_for(|event| event.ticket() == Some(ticket), PATIENCE).await.expect("an end");
    assert_eq!(event, BotEvent::Failed { ticket, error: AskError::Unknown });
}
