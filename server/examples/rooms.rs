//! A server for `rooms` with everything in memory: `cargo run -p chatwright-server --example rooms -- [PORT] [SECRET] [fast] [open]`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::time::Duration;

use chatwright_server::{
    Config, Server,
    auth::{IdentityMode, jwt::JwtRules},
    config::VerifierConfig,
};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut config = Config::default();
    config.listen.set_port(args.first().and_then(|port| port.parse().ok()).unwrap_or(5004));
    let secret = args.get(1).map_or("a secret for trying things out, not for more", String::as_str);
    config.verifier = VerifierConfig::Jwt(JwtRules::new(secret));
    if args.iter().any(|word| word == "fast") {
        config.engine.ping_interval = Duration::from_millis(500);
        config.engine.ping_timeout = Duration::from_millis(500);
        config.engine.connect_timeout = Duration::from_secs(1);
    }
    if args.iter().any(|word| word == "open") {
        config.identity = IdentityMode::Open;
    }
    let drain = config.drain;
    let server = Server::start(config).await.expect("the port is free");
    println!("http://{}", server.addresses().listen);
    tokio::signal::ctrl_c().await.expect("signals can be waited for");
    server.drain(drain).await;
}
