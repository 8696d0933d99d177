//! Says everything again that others say in a room, until somebody says goodbye.

use std::error::Error;

use chatwright_client_sdk::{Bot, BotEvent, Identity};
use chatwright_protocol::dialects::rooms;

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
