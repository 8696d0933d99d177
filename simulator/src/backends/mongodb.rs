//! MongoDB, or what stands in for it where none can be had.

use std::{net::SocketAddr, time::Duration};

use chatwright_conformance::target::{BackendName, BoxFuture};
use mongodb::{Client, bson::doc, options::ClientOptions};

use super::{Durability, container::Service};

/// How long the client looks for a server; the prober has more patience than this.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Mongodb;

impl Service for Mongodb {
    fn name(&self) -> BackendName {
        BackendName::Mongodb
    }

    fn port(&self) -> u16 {
        27017
    }

    fn command(&self, _: Durability) -> Vec<&'static str> {
        Vec::new()
    }

    /// MongoDB itself keeps what it confirms with a journal; the stand-in is told where.
    fn environment(&self, durability: Durability, _: SocketAddr) -> Vec<(&'static str, String)> {
        match durability {
            Durability::Volatile => Vec::new(),
            Durability::Durable => vec![("STAND_IN_FILE", "/data/stand-in.h2".to_owned())],
        }
    }

    /// One server and no others behind it, also where it is a member of a set under a name that is not known here.
    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("url", format!("mongodb://{address}/chat?directConnection=true"))
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { ping(&self.place(address).1).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<serde_json::Value, String>> {
        Box::pin(async move { answer(&self.place(address).1, question).await.map_err(|problem| problem.to_string()) })
    }
}

/// A command as JSON, such as `{"find": "messages", "filter": {}}`; of a cursor its first documents, else the reply. `$db` names another
/// database than the address does.
async fn answer(url: &str, command: &str) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let mut command: mongodb::bson::Document = serde_json::from_str(command)?;
    let mut options = ClientOptions::parse(url).await?;
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    let client = Client::with_options(options)?;
    let other = command.remove("$db").and_then(|name| name.as_str().map(|name| client.database(name)));
    let database = other.or_else(|| client.default_database()).ok_or("its address names no database")?;
    let reply = serde_json::to_value(database.run_command(command).await?)?;
    Ok(reply.pointer("/cursor/firstBatch").cloned().unwrap_or(reply))
}

async fn ping(url: &str) -> mongodb::error::Result<()> {
    let mut options = ClientOptions::parse(url).await?;
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    let client = Client::with_options(options)?;
    client.database("admin").run_command(doc! { "ping": 1 }).await.map(|_| ())
}
