//! Where everything is: a table for people, or a line of JSON per dialect.

use chatwright_protocol::dialects::Carrier;
use chatwright_server::{
    config::{Config, Secret},
    http::pages,
};
use serde_json::{Map, json};

use super::Served;
use crate::{args::Global, terminal};

pub(super) fn all(global: &Global, served: &[Served], secret: Option<&Secret>) {
    if global.json {
        served.iter().for_each(|one| terminal::out(&line(one, secret)));
    } else {
        terminal::out(&table(served, secret));
    }
}

/// Where people talk, if the dialect has a page.
fn page(Served { config, server }: &Served) -> Option<String> {
    let name = pages::listener(config.dialect)?;
    let addresses = server.addresses();
    let address = addresses.others.get(name).copied().unwrap_or(addresses.listen);
    Some(format!("{}://{address}{}", scheme(config), pages::PATH))
}

fn scheme(config: &Config) -> &'static str {
    if config.tls.is_some() { "https" } else { "http" }
}

fn line(one: &Served, secret: Option<&Secret>) -> String {
    let Served { config, server } = one;
    let addresses = server.addresses();
    let listeners: Map<_, _> = addresses
        .others
        .iter()
        .map(|(name, address)| ((*name).to_owned(), json!(format!("{}://{address}", scheme(config)))))
        .collect();
    let line = json!({
        "dialect": config.dialect.name,
        "url": format!("{}://{}", scheme(config), addresses.listen),
        "listeners": listeners,
        "page": page(one),
        "metrics": addresses.admin.map(|admin| format!("http://{admin}/metrics")),
        "secret": secret.map(Secret::expose),
    });
    line.to_string()
}

fn table(served: &[Served], secret: Option<&Secret>) -> String {
    let mut rows = Vec::new();
    for one in served {
        let Served { config, server } = one;
        let addresses = server.addresses();
        let carrier = match config.dialect.carrier {
            Carrier::SocketIo => "Socket.IO",
            Carrier::WebSocket => "WebSocket",
        };
        let sockets = format!("{carrier} at {}; {}", config.dialect.path, backends(config));
        rows.push((config.dialect.name, format!("{}://{}", scheme(config), addresses.listen), sockets));
        if let Some(page) = page(one) {
            rows.push(("", page, "the page to talk with".to_owned()));
        }
        for (name, address) in &addresses.others {
            rows.push(("", format!("{}://{address}", scheme(config)), (*name).to_owned()));
        }
        if let Some(admin) = addresses.admin {
            rows.push(("", format!("http://{admin}/metrics"), "for Prometheus".to_owned()));
        }
    }
    let width = |column: fn(&(&str, String, String)) -> usize| rows.iter().map(column).max().unwrap_or_default();
    let (names, places) = (width(|row| row.0.len()), width(|row| row.1.len()));
    let mut text = format!("chatwright serves {}\n\n", counted(served.len()));
    for (name, place, what) in &rows {
        text += &format!("  {name:names$}  {place:places$}  {what}\n");
    }
    if let (Some(secret), Some(first)) = (secret.map(Secret::expose), served.first()) {
        let name = first.config.dialect.name;
        let url = format!("{}://{}", scheme(&first.config), first.server.addresses().listen);
        text += &format!("\n  a token    chatwright token --user alice --secret {secret}\n");
        text += &format!("  to talk    chatwright chat {url} --dialect {name} --user alice --secret {secret}\n");
        text += &format!("  to judge   chatwright check --url {url} --dialect {name} --secret {secret}\n");
    }
    text + "\nCtrl-C stops it."
}

fn counted(dialects: usize) -> String {
    if dialects == 1 { "one dialect".to_owned() } else { format!("{dialects} dialects") }
}

/// What a dialect stands on.
fn backends(config: &Config) -> String {
    let each = [
        (config.redis.is_some(), "Redis"),
        (config.mongodb.is_some(), "MongoDB"),
        (config.postgres.is_some(), "PostgreSQL"),
        (config.rabbitmq.is_some(), "RabbitMQ"),
        (!config.kafka_brokers.is_empty(), "Kafka"),
    ];
    let used: Vec<&str> = each.into_iter().filter_map(|(used, name)| used.then_some(name)).collect();
    if used.is_empty() { "in memory".to_owned() } else { format!("on {}", used.join(", ")) }
}
