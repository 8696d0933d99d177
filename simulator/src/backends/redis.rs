//! Redis.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture};

use super::{Durability, container::Service};

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

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<serde_json::Value, String>> {
        Box::pin(async move { answer(address, question).await.map_err(|problem| problem.to_string()) })
    }
}

/// A command as it is typed. Its answer is made JSON where it is known what it is: `HGETALL` gives pairs, an empty list is a list.
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

async fn answer(
    address: SocketAddr,
    question: &str,
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::cmd("EVAL");
    command.arg(ANSWER_SCRIPT).arg(0);
    for word in question.split_whitespace() {
        command.arg(word);
    }
    let answer: String = command.query_async(&mut connection).await?;
    Ok(serde_json::from_str(&answer)?)
}

async fn ping(address: SocketAddr) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async::<String>(&mut connection).await.map(|_| ())
}
