//! Bots on `conversations`: cut off and back again they ask with one `resume` for all that they missed.

mod link;

use std::{net::SocketAddr, time::Duration};

use chatwright_client_sdk::{
    Bot, BotConfig, BotEvent, Identity, Reconnection,
    protocol::{
        dialects::conversations,
        vocabulary::{Audience, UserId},
    },
};
use chatwright_server::{
    Config, Server,
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    clock,
    config::VerifierConfig,
};
use futures_util::{SinkExt as _, StreamExt as _};
use link::Link;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &[u8] = b"a secret of these tests, long enough for HS256";

async fn serve() -> (Server, SocketAddr) {
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
        ..Config::of(&conversations::DIALECT)
    };
    let server = Server::start(config).await.expect("loopback has a free port");
    let address = server.addresses().listen;
    (server, address)
}

/// As by default, but back within a fraction of a second.
async fn bot(user: &str, address: SocketAddr) -> Bot {
    let expires_at_ms = clock::unix_ms() + 3_600_000;
    let request = TokenRequest { user: user.to_owned(), name: None, email: None, expires_at_ms };
    let identity = Identity::token(user, mint(SECRET, &request).expect("a secret that is taken"));
    let mut config = BotConfig::new(&conversations::DIALECT, &format!("http://{address}"));
    let delay = Duration::from_millis(50);
    config.socket.reconnection =
        Some(Reconnection { delay_min: delay, delay_max: 2 * delay, ..Reconnection::default() });
    Bot::connect_with(&conversations::DIALECT, identity, config).await.expect("a good token")
}

fn to(users: &[&str]) -> Audience {
    Audience::Users(users.iter().map(|user| UserId::from(*user)).collect())
}

/// The texts of the messages that the bot hears until `count` came, and whether each was missed.
async fn hear(bot: &mut Bot, count: usize) -> Vec<(String, bool)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let is_message = |event: &BotEvent| matches!(event, BotEvent::Message { .. });
        match bot.wait_for(is_message, PATIENCE).await {
            Ok(BotEvent::Message { message, missed }) => heard.push((message.text, missed)),
            other => panic!("expected message {} of {count} after {heard:?}, got {other:?}", heard.len() + 1),
        }
    }
    heard
}

async fn is_cut_off(bot: &mut Bot) {
    bot.wait_for(|event| matches!(event, BotEvent::Disconnected { .. }), PATIENCE).await.expect("it notices");
}

async fn returns(bot: &mut Bot) -> BotEvent {
    bot.wait_for(|event| matches!(event, BotEvent::Reconnected { .. }), PATIENCE).await.expect("it comes back")
}

#[tokio::test]
async fn a_bot_that_was_away_hears_what_it_missed_once_and_in_order_in_conversations_that_began_meanwhile_too() {
    let (_server, address) = serve().await;
    let link = Link::to(address).await;
    let (mut alice, mut carol) = (bot("alice", address).await, bot("carol", address).await);
    let mut bob = bot("bob", link.address).await;
    alice.send_to(&to(&["bob"]), "before").await.expect("confirmed");
    assert_eq!(hear(&mut bob, 1).await, [("before".to_owned(), false)]);
    link.cut();
    is_cut_off(&mut bob).await;
    // More than one frame of a history holds.
    let texts: Vec<String> = (0..250).map(|number| number.to_string()).collect();
    for text in &texts {
        alice.send_to(&to(&["bob"]), text).await.expect("confirmed");
    }
    carol.send_to(&to(&["bob"]), "hello").await.expect("confirmed");
    link.mend();
    assert_eq!(returns(&mut bob).await, BotEvent::Reconnected { missed: 251, gaps: Vec::new() });
    alice.send_to(&to(&["bob"]), "after").await.expect("confirmed");
    let mut heard = hear(&mut bob, 252).await;
    assert_eq!(heard.pop(), Some(("after".to_owned(), false)));
    assert!(heard.iter().all(|(_, missed)| *missed));
    let of_carol = heard.iter().position(|(text, _)| text == "hello").expect("it is heard");
    heard.remove(of_carol);
    assert_eq!(heard.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), texts);
}

#[tokio::test]
async fn who_missed_more_than_one_answer_brings_asks_again() {
    let (_server, address) = serve().await;
    let link = Link::to(address).await;
    let (mut alice, mut bob) = (bot("alice", address).await, bot("bob", link.address).await);
    alice.send_to(&to(&["bob"]), "before").await.expect("confirmed");
    hear(&mut bob, 1).await;
    link.cut();
    is_cut_off(&mut bob).await;
    let texts: Vec<String> = (0..1200).map(|number| number.to_string()).collect();
    for text in &texts {
        alice.send_to(&to(&["bob"]), text).await.expect("confirmed");
    }
    link.mend();
    assert_eq!(returns(&mut bob).await, BotEvent::Reconnected { missed: 1200, gaps: Vec::new() });
    assert_eq!(hear(&mut bob, 1200).await.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), texts);
}

#[tokio::test]
async fn what_was_said_before_a_bot_came_is_not_told_it_as_missed() {
    let (_server, address) = serve().await;
    let link = Link::to(address).await;
    let mut alice = bot("alice", address).await;
    for number in 0..5 {
        alice.send_to(&to(&["bob"]), &number.to_string()).await.expect("confirmed");
    }
    // Another instant, by a clock of milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut bob = bot("bob", link.address).await;
    link.cut();
    is_cut_off(&mut bob).await;
    alice.send_to(&to(&["bob"]), "now").await.expect("confirmed");
    link.mend();
    assert_eq!(returns(&mut bob).await, BotEvent::Reconnected { missed: 1, gaps: Vec::new() });
    assert_eq!(hear(&mut bob, 1).await, [("now".to_owned(), true)]);
}

#[tokio::test]
async fn under_traffic_and_many_cuts_every_message_is_heard_once_and_in_order() {
    let (_server, address) = serve().await;
    let link = Link::to(address).await;
    let (mut alice, mut bob) = (bot("alice", address).await, bot("bob", link.address).await);
    let all: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let talking = async {
        for (number, text) in all.iter().enumerate() {
            alice.send_to(&to(&["bob"]), text).await.expect("confirmed");
            match number % 50 {
                10 => link.cut(),
                25 => link.mend(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let ((), heard) = tokio::join!(talking, hear(&mut bob, all.len()));
    assert_eq!(heard.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_question_leaves_a_gap_that_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("bound");
    let serving = tokio::spawn(async move {
        for is_first in [true, false] {
            let (stream, _) = listener.accept().await.expect("it comes");
            let mut client = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
            client.next().await.expect("a first frame").expect("auth");
            client.send(Message::text(json!({"type": "auth_success"}).to_string())).await.expect("said");
            if is_first {
                let data = json!({"id": "m", "conversationId": "c", "senderId": "alice", "content": "hi", "createdAt": "2026-01-01T00:00:00Z"});
                let frame = json!({"type": "new_message", "data": data});
                client.send(Message::text(frame.to_string())).await.expect("said");
            } else {
                while let Some(Ok(_)) = client.next().await {}
            }
        }
    });
    let mut bob = bot("bob", address).await;
    hear(&mut bob, 1).await;
    is_cut_off(&mut bob).await;
    assert_eq!(returns(&mut bob).await, BotEvent::Reconnected { missed: 0, gaps: vec!["c".into()] });
    drop(bob);
    serving.await.expect("it was asked twice");
}
