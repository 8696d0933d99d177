//! A bot in twenty lines: says again what others say in a room, until somebody says goodbye.
//! `cargo run -p chatwright-client-sdk --example echo_bot -- http://127.0.0.1:5004 USER TOKEN ROOM`
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::error::Error;

use chatwright_client_sdk::{Bot, BotEvent, Identity, protocol::dialects::rooms};

pub(crate) async fn echo(url: &str, user: &str, token: &str, room: &str) -> Result<(), Box<dyn Error>> {
    let mut bot = Bot::connect(&rooms::DIALECT, url, Identity::token(user, token)).await?;
    bot.join(room).await?;
    while let Some(event) = bot.next_event().await {
        let BotEvent::Message { message, .. } = event else { continue };
        if message.sender.user == *bot.user() {
            continue;
        }
        bot.send(&message.room, &format!("{} said: {}", message.sender.name, message.text)).await?;
        if message.text == "goodbye" {
            break;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, user, token, room] = arguments.as_slice() else {
        println!("usage: echo_bot URL USER TOKEN ROOM");
        return Ok(());
    };
    echo(url, user, token, room).await
}
