//! A Socket.IO client of a few lines for the server's own tests, and a server in the same process. Written by hand, so that the tests do
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]
//! not share a mistake with the protocol crate.
#![expect(dead_code, reason = "each test binary uses its part of it")]
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

pub mod link;
pub mod redis;
pub mod server;
pub mod visitor;

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Nothing in these tests takes longer, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A client in the main namespace over a WebSocket.
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What the CONNECT answer said.
    pub connected: Value,
    /// What the Engine.IO handshake said.
    pub handshake: Value,
    next_ack: u64,
}

/// What a client reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Got {
    /// An event with its first argument.
    Event(String, Value),
    /// An acknowledgement.
    Ack(u64, Value),
    /// DISCONNECT.
    Disconnected,
    /// The end of the connection.
    End,
}

impl Client {
    /// Connects with this auth payload; the CONNECT_ERROR if there is one.
    pub async fn try_connect(address: SocketAddr, auth: Value) -> Result<Self, Value> {
        Self::at(address, "/socket.io", auth).await
    }

    /// The same to an engine at this path; `null` as auth payload: none.
    pub async fn at(address: SocketAddr, path: &str, auth: Value) -> Result<Self, Value> {
        let url = format!("ws://{address}{path}/?EIO=4&transport=websocket");
        let (socket, _) = timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap();
        let mut client = Self { socket, connected: Value::Null, handshake: Value::Null, next_ack: 0 };
        let open = client.text().await.expect("an open packet");
        client.handshake = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let auth = if auth.is_null() { String::new() } else { auth.to_string() };
        client.raw(&format!("40{auth}")).await;
        let answer = client.text().await.expect("an answer to CONNECT");
        if let Some(error) = answer.strip_prefix("44") {
            return Err(serde_json::from_str(error).unwrap());
        }
        client.connected = serde_json::from_str(answer.strip_prefix("40").unwrap()).unwrap();
        Ok(client)
    }

    /// Connects as this user.
    pub async fn connect(address: SocketAddr, user: &str) -> Self {
        let token = server::token(user, Duration::from_secs(3600));
        Self::try_connect(address, json!({"token": token})).await.expect("the user is let in")
    }

    /// Connects and joins; takes the two answers.
    pub async fn in_room(address: SocketAddr, user: &str, room: &str) -> Self {
        let mut client = Self::connect(address, user).await;
        client.join(room).await;
        client
    }

    /// Joins and takes the two answers: history and users.
    pub async fn join(&mut self, room: &str) -> (Value, Value) {
        self.emit("join_room", json!({"roomId": room})).await;
        (self.event("message_history").await, self.event("room_users").await)
    }

    /// Sends text as it is.
    pub async fn raw(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Queues text without flushing.
    pub async fn feed(&mut self, text: &str) {
        let _ = self.socket.feed(Message::text(text)).await; // the server may have ended the connection; reading shows it
    }

    /// Flushes what was fed, if the connection is still there.
    pub async fn try_flush(&mut self) -> bool {
        self.socket.flush().await.is_ok()
    }

    /// Flushes what was fed.
    pub async fn flush(&mut self) {
        self.socket.flush().await.unwrap();
    }

    /// Emits an event.
    pub async fn emit(&mut self, event: &str, data: Value) {
        self.raw(&format!("42{}", json!([event, data]))).await;
    }

    /// Emits an event and waits for its acknowledgement; events that come first are dropped.
    pub async fn ask(&mut self, event: &str, data: Value) -> Value {
        let id = self.next_ack;
        self.next_ack += 1;
        self.raw(&format!("42{id}{}", json!([event, data]))).await;
        loop {
            match self.next().await {
                Got::Ack(got, answer) if got == id => return answer,
                Got::Ack(..) | Got::Event(..) => {}
                end @ (Got::Disconnected | Got::End) => panic!("{end:?} instead of an acknowledgement"),
            }
        }
    }

    /// The next thing that comes.
    pub async fn next(&mut self) -> Got {
        let Some(text) = self.text().await else { return Got::End };
        if text == "41" {
            return Got::Disconnected;
        }
        if let Some(event) = text.strip_prefix("42") {
            let items: Vec<Value> = serde_json::from_str(event).unwrap();
            return Got::Event(items[0].as_str().unwrap().to_owned(), items.get(1).cloned().unwrap_or(Value::Null));
        }
        if let Some(ack) = text.strip_prefix("43") {
            let start = ack.find('[').unwrap();
            let items: Vec<Value> = serde_json::from_str(&ack[start..]).unwrap();
            return Got::Ack(ack[..start].parse().unwrap(), items[0].clone());
        }
        panic!("unexpected packet {text:?}");
    }

    /// The next thing is this event; its payload.
    pub async fn event(&mut self, name: &str) -> Value {
        let got = self.next().await;
        match got {
            Got::Event(ref event, ref data) if event == name => data.clone(),
            Got::Event(..) | Got::Ack(..) | Got::Disconnected | Got::End => panic!("expected {name}, got {got:?}"),
        }
    }

    /// Drops what comes until this event; its payload.
    pub async fn until(&mut self, name: &str) -> Value {
        loop {
            match self.next().await {
                Got::Event(got, data) if got == name => return data,
                Got::Event(..) | Got::Ack(..) => {}
                end @ (Got::Disconnected | Got::End) => panic!("{end:?} while waiting for {name}"),
            }
        }
    }

    /// Says something in the room of its own and hears it: so everything before has come.
    pub async fn nothing_more(&mut self) {
        let fence = format!("fence-{}", uuid::Uuid::new_v4());
        let (_, _) = self.join(&fence).await;
        self.emit("leave_room", json!({"roomId": fence})).await;
    }

    /// The next text; pings are answered and not shown. `None`: the connection is over.
    async fn text(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("something comes in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.raw("3").await,
                Some(Ok(Message::Text(text))) if text.as_str() == "1" => return None,
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The TCP stream below.
    pub fn tcp(&self) -> &TcpStream {
        match self.socket.get_ref() {
            MaybeTlsStream::Plain(stream) => stream,
            _ => panic!("these tests speak plain TCP"),
        }
    }
}
