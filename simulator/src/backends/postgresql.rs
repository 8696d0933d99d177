//! PostgreSQL.

use std::net::SocketAddr;

use chatwright_conformance::target::{BackendName, BoxFuture};
use sqlx::{Connection, PgConnection};

use super::{Durability, container::Service};

#[derive(Debug)]
pub(super) struct Postgresql;

impl Service for Postgresql {
    fn name(&self) -> BackendName {
        BackendName::Postgresql
    }

    fn port(&self) -> u16 {
        5432
    }

    /// Its log reaches the kernel before an answer in both cases: a killed process loses nothing, a machine without power might.
    fn command(&self, durability: Durability) -> Vec<&'static str> {
        match durability {
            Durability::Volatile => vec!["postgres", "-c", "fsync=off", "-c", "full_page_writes=off"],
            Durability::Durable => vec!["postgres", "-c", "synchronous_commit=on"],
        }
    }

    /// Of the official image: a database without a password, on loopback.
    fn environment(&self, _: Durability, _: SocketAddr) -> Vec<(&'static str, String)> {
        vec![("POSTGRES_HOST_AUTH_METHOD", "trust".to_owned())]
    }

    fn place(&self, address: SocketAddr) -> (&'static str, String) {
        ("url", format!("postgresql://postgres@{address}/postgres"))
    }

    fn probe(&self, address: SocketAddr) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { ask(&self.place(address).1).await.map_err(|problem| problem.to_string()) })
    }

    fn ask<'a>(&'a self, address: SocketAddr, question: &'a str) -> BoxFuture<'a, Result<serde_json::Value, String>> {
        Box::pin(async move { answer(&self.place(address).1, question).await.map_err(|problem| problem.to_string()) })
    }
}

/// The rows of a query, each an object.
async fn answer(url: &str, query: &str) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = PgConnection::connect(url).await?;
    // Typed by the author of a probe, into a database of its own.
    let sql = format!("SELECT coalesce(json_agg(asked), '[]')::text FROM ({query}) AS asked");
    let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(serde_json::from_str(&rows)?)
}

async fn ask(url: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("SELECT 1").execute(&mut connection).await?;
    connection.close().await
}
