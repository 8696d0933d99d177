//! One bot for servers of five kinds: it says again what others say to it, until somebody says goodbye. What differs between the dialects
//! (rooms or users, how a message is confirmed, who is told what) is the SDK's business.
//! `cargo run -p chatwright-client-sdk --example one_bot_five_dialects -- DIALECT URL USER TOKEN ROOM OTHER`
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::error::Error;

use chatwright_client_sdk::{
    Bot, BotEvent, Identity,
    protocol::{
        dialects::{self, Dialect},
        vocabulary::UserId,
    },
};

/// Meets the other in a room of this name, where the dialect has rooms, and in the conversation with that user, where it has not.
pub(crate) async fn echo(
    dialect: &'static Dialect,
    url: &str,
    identity: Identity,
    room: &str,
    other: &str,
) -> Result<usize, Box<dyn Error>> {
    let mut bot = Bot::connect(dialect, url, identity).await?;
    bot.meet(room, &[UserId::from(other)]).await?;
    let mut answered = 0;
    while let Some(event) = bot.next_event().await {
        let BotEvent::Message { message, .. } = event else { continue };
        if message.sender.user == *bot.user() {
            continue;
        }
        bot.send(&message.room, &format!("{} said: {}", message.sender.user, message.text)).await?;
        answered += 1;
        if message.text == "goodbye" {
            break;
        }
    }
    Ok(answered)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dialect, url, user, token, room, other] = arguments.as_slice() else {
        println!("usage: one_bot_five_dialects DIALECT URL USER TOKEN ROOM OTHER");
        return Ok(());
    };
    let dialect = dialects::by_name(dialect).ok_or("no such dialect")?;
    let answered = echo(dialect, url, Identity::token(user, token), room, other).await?;
    println!("answered {answered} messages");
    Ok(())
}
