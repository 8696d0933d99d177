//! Our client under the contract of `fixtures/clients/README.md`: `chatwright check --target fixtures/clients/sdk/target.toml` judges it.
#![expect(clippy::print_stdout, reason = "what it sees goes to standard output")]

use std::{future::Future, pin::Pin, time::Duration};

use chatwright_client_sdk::{
    Auth, Client, Config, ConnectError, Emitter, Reconnection, Responder, Socket, SocketEvent, Transports,
    protocol::socket_io::Arg,
};
use serde_json::{Map, Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    let mut config = Config::new(variable("CHATWRIGHT_URL").unwrap_or_default());
    config.transports = match variable("CHATWRIGHT_TRANSPORTS").as_deref() {
        Some("polling") => Transports::Polling,
        Some("polling,websocket") => Transports::PollingThenWebSocket,
        Some(_) | None => Transports::WebSocket,
    };
    config.reconnection = variable("CHATWRIGHT_RECONNECT").and_then(|delays| {
        let mut delays = delays.split(' ').filter_map(|delay| delay.parse().ok()).map(Duration::from_millis);
        Some(Reconnection { delay_min: delays.next()?, delay_max: delays.next()?, ..Reconnection::default() })
    });
    let auth = variable("CHATWRIGHT_AUTH").and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
    match Client::connect(config).await {
        Ok(client) => drop(tokio::spawn(serve(client, "/".to_owned(), auth.map_or(Auth::None, Auth::Fixed)))),
        Err(error) => say(&json!({"saw": "connect_error", "nsp": "/", "message": error.to_string()})),
    }
    std::future::pending().await // it ends when it is told to
}

fn say(line: &Value) {
    println!("{line}");
}

/// One namespace, until it is gone for good.
fn serve(client: Client, nsp: String, auth: Auth) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let refused = |message: String| say(&json!({"saw": "connect_error", "nsp": nsp, "message": message}));
        let mut socket = match client.namespace(&nsp, auth).await {
            Ok(socket) => socket,
            Err(ConnectError::Refused { message, .. }) => return refused(message),
            Err(error) => return refused(error.to_string()),
        };
        say(&json!({"saw": "connect", "nsp": nsp}));
        while let Some(event) = socket.next().await {
            match event {
                SocketEvent::Event { name, args, respond } => {
                    obey(&client, &socket, &nsp, (name, args), respond).await;
                }
                SocketEvent::Connected { .. } => say(&json!({"saw": "connect", "nsp": nsp})),
                SocketEvent::Disconnected { reason, .. } => {
                    say(&json!({"saw": "disconnect", "nsp": nsp, "reason": reason.to_string()}));
                }
                SocketEvent::Refused { message, .. } => refused(message),
                SocketEvent::Acknowledged { .. } | SocketEvent::GaveUp { .. } => {}
            }
        }
    })
}

async fn obey(
    client: &Client,
    socket: &Socket,
    nsp: &str,
    (name, args): (String, Vec<Arg>),
    respond: Option<Responder>,
) {
    let first = args.first().and_then(Arg::as_json).cloned().unwrap_or_default();
    match (name.as_str(), respond) {
        ("emit", _) => {
            let order = emit(socket.emitter().clone(), first.clone());
            // What is to wait must not hold up what comes after it.
            if first["after"].is_u64() || first["ack"].is_u64() { drop(tokio::spawn(order)) } else { order.await }
        }
        ("acknowledge", Some(respond)) => drop(respond.send(args).await),
        ("binary", _) => drop(socket.emitter().emit("binary", args).await),
        ("join", _) => {
            let auth = args.get(1).and_then(Arg::as_json).and_then(Value::as_object).cloned();
            let other = first.as_str().unwrap_or_default().to_owned();
            tokio::spawn(serve(client.clone(), other, auth.map_or(Auth::None, Auth::Fixed)));
        }
        ("leave", _) => socket.disconnect(),
        ("exit", _) => std::process::exit(0),
        _ => say(&json!({"saw": "event", "nsp": nsp, "name": name, "args": shown(&args)})),
    }
}

async fn emit(emitter: Emitter, order: Value) {
    let event = order["event"].as_str().unwrap_or_default();
    let args = order["args"].as_array().cloned().unwrap_or_default().into_iter().map(Arg::from).collect();
    if let Some(ms) = order["after"].as_u64() {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    match order["ack"].as_u64() {
        None => drop(emitter.emit(event, args).await),
        Some(ms) => say(&match emitter.emit_with_ack(event, args, Duration::from_millis(ms)).await {
            Ok(answer) => json!({"saw": "ack", "event": event, "args": shown(&answer)}),
            Err(_) => json!({"saw": "timeout", "event": event}),
        }),
    }
}

fn shown(args: &[Arg]) -> Value {
    args.iter().map(shown_one).collect()
}

fn shown_one(arg: &Arg) -> Value {
    match arg {
        Arg::Json(value) => value.clone(),
        Arg::Array(items) => shown(items),
        Arg::Object(fields) => fields.iter().map(|(name, arg)| (name.clone(), shown_one(arg))).collect(),
        Arg::Binary(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"bytes": digits})
        }
    }
}
