//! One bot talks to the reference server in each dialect that it serves; what differs between them is the SDK's business.

use std::time::Duration;

use chatwright_client_sdk::{
    Bot, BotEvent, Identity,
    protocol::{dialects, vocabulary::UserId},
};

use crate::support::{Served, token};

#[expect(dead_code, reason = "it has a main of its own")]
#[path = "../../../client-sdk/examples/one_bot_five_dialects.rs"]
mod one_bot;

const ROOM: &str = "a room: with *, / and é";
/// A message that nobody was there to hear is said again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often: far more than a busy machine takes to bring two bots together.
const TRIES: usize = 60;

/// Alice greets until she is answered, since not every dialect tells who is there; then she says goodbye and is answered once more.
async fn greets(alice: &mut Bot) {
    let to = alice.meet(ROOM, &[UserId::from("echo")]).await.expect("let in");
    for text in ["hello", "goodbye"] {
        let expected = format!("alice said: {text}");
        let answers = |event: &BotEvent| matches!(event, BotEvent::Message { message, .. } if message.text == expected);
        let mut answered = false;
        for _ in 0..TRIES {
            alice.send_to(&to, text).await.expect("confirmed");
            answered = alice.wait_for(answers, AGAIN_AFTER).await.is_ok();
            if answered || text == "goodbye" {
                break;
            }
        }
        answered = answered || alice.wait_for(answers, AGAIN_AFTER * 20).await.is_ok();
        assert!(answered, "nobody answered {text:?}");
    }
}

#[track_caller]
fn talks(name: &str) {
    let dialect = dialects::by_name(name).expect("a dialect");
    let server = Served::of(name, &["--identity", "token"]);
    let identity = |user: &str| Identity::token(user, token(user));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answered = runtime.block_on(async {
        let mut alice = Bot::connect(dialect, &server.url, identity("alice")).await.expect("a good token");
        let echo = one_bot::echo(dialect, &server.url, identity("echo"), ROOM, "alice");
        let (answered, ()) = tokio::join!(echo, greets(&mut alice));
        answered.expect("it ends by itself")
    });
    assert!(answered >= 2, "hello and goodbye were answered, {answered} messages in all");
}

#[test]
fn the_bot_of_all_dialects_talks_in_rooms() {
    talks("rooms");
}

#[test]
fn the_bot_of_all_dialects_talks_in_conversations() {
    talks("conversations");
}

#[test]
fn the_bot_of_all_dialects_talks_in_sessions() {
    talks("sessions");
}

#[test]
fn the_bot_of_all_dialects_talks_in_direct() {
    talks("direct");
}

#[test]
fn the_bot_of_all_dialects_talks_in_gateway() {
    talks("gateway");
}
