//! Redis.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture, Published};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Durability, container::Service};

/// Texts that wait for a listener; what is published meanwhile waits at Redis.
const PUBLISHED_WAITING_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Redis;

impl Service for Redis {
    fn name(&self) -> BackendName {
        BackendName::Redis
    }

    fn port(&self) -> u16 {
        6379
    }

    fn command(&self, durability: Durability) -> Vec<&'static str> {
        let keeps: &[&str] = match durability {
            Durability::Volatile => &["--save", "", "--appendonly", "no"],
            Durability::Durable => &["--appendonly", "yes", "--appendfsync", "always"],
        };
        [&["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"], keeps].concat()
    }

    fn environment(&self, _: Durability, _: SocketAddr) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("url", format!("redis://{address}"))
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { ping(address).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move { answer(address, question).await.map_err(|problem| problem.to_string()) })
    }

    fn listen<'a>(&'a self, address: SocketAddr, channel: &'a str) -> Option<BoxFuture<'a, Result<Published, String>>> {
        Some(Box::pin(async move { published(address, channel).await.map_err(|problem| problem.to_string()) }))
    }
}

/// A command as it is typed, but that a JSON object or array in it goes to its end. Its answer is made JSON where it is known what it is: `HGETALL` gives pairs, an empty list is a list.
const ANSWER_SCRIPT: &str = r"
local reply = redis.call(unpack(ARGV))
if type(reply) == 'table' and reply.ok then reply = reply.ok end
if reply == false then return 'null' end
if string.upper(ARGV[1]) == 'HGETALL' then
  if #reply == 0 then return '{}' end
  local object = {}
  for i = 1, #reply, 2 do object[reply[i]] = reply[i + 1] end
  return cjson.encode(object)
end
if type(reply) == 'table' and #reply == 0 then return '[]' end
return cjson.encode(reply)
";

async fn answer(address: SocketAddr, question: &str) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::cmd("EVAL");
    command.arg(ANSWER_SCRIPT).arg(0);
    command.arg(words(question));
    let answer: String = command.query_async(&mut connection).await?;
    Ok(serde_json::from_str(&answer)?)
}

fn words(question: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = question.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with(['{', '[']) { None } else { rest.find(char::is_whitespace) };
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

/// What is published on the channels that a glob of Redis means, until nobody listens or Redis ends.
async fn published(address: SocketAddr, channels: &str) -> redis::RedisResult<Published> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut subscription = client.get_async_pubsub().await?;
    subscription.psubscribe(channels).await?;
    let (sender, receiver) = mpsc::channel(PUBLISHED_WAITING_MAX);
    tokio::spawn(async move {
        let mut messages = subscription.into_on_message();
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sender.closed() => return,
            };
            let Some(message) = message else { return };
            let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            if sender.send(json!({"channel": message.get_channel_name(), "text": text})).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

async fn ping(address: SocketAddr) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async::<String>(&mut connection).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_question_is_split_at_blanks_up_to_json_in_it() {
        assert_eq!(words("HGET  key field "), ["HGET", "key", "field"]);
        assert_eq!(words(r#"PUBLISH channel {"a": "b c"}"#), ["PUBLISH", "channel", r#"{"a": "b c"}"#]);
    }
}
