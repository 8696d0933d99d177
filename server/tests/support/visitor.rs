//! A client that shows each packet as it is, and comes back by hand with what connection state recovery has given it.
#![expect(unreachable_pub, reason = "shared by test binaries, which export nothing")]
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{PATIENCE, server};

/// The client.
pub struct Visitor {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub sid: String,
    pub pid: String,
    /// The last offset that it has read.
    pub offset: Value,
}

impl Visitor {
    /// Connects with this payload, and a token of this user if it has none; what came before the answer to CONNECT is returned too.
    pub async fn connect(server: SocketAddr, user: &str, mut auth: Value) -> (Self, Vec<Value>) {
        let url = format!("ws://{server}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap();
        let mut visitor = Self { socket, sid: String::new(), pid: String::new(), offset: auth["offset"].clone() };
        assert!(visitor.text().await.starts_with("0{"));
        if auth["token"].is_null() {
            auth["token"] = json!(server::token(user, Duration::from_secs(60)));
        }
        visitor.say(&format!("40{auth}")).await;
        let mut before = Vec::new();
        loop {
            let text = visitor.text().await;
            if let Some(answer) = text.strip_prefix("40") {
                let answer: Value = serde_json::from_str(answer).unwrap();
                visitor.sid = answer["sid"].as_str().unwrap().to_owned();
                visitor.pid = answer["pid"].as_str().unwrap().to_owned();
                return (visitor, before);
            }
            before.push(visitor.noted(&text));
        }
    }

    /// One that is in `room`, alone or not.
    pub async fn in_room(server: SocketAddr, user: &str) -> Self {
        let (mut visitor, _) = Self::connect(server, user, json!({})).await;
        visitor.say(r#"42["join_room",{"roomId":"room"}]"#).await;
        assert_eq!(visitor.event().await[0], "message_history");
        assert_eq!(visitor.event().await[0], "room_users");
        visitor
    }

    /// Loses its transport, and comes back as this user.
    pub async fn returns_as(self, server: SocketAddr, user: &str) -> (Self, Vec<Value>) {
        let auth = json!({"pid": self.pid, "offset": self.offset});
        drop(self.socket);
        Self::connect(server, user, auth).await
    }

    /// What it comes back with.
    pub fn claim(&self) -> Value {
        json!({"pid": self.pid, "offset": self.offset})
    }

    /// Says a packet.
    pub async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn text(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("something comes in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.say("3").await,
                Some(Ok(Message::Text(text))) => return text.as_str().to_owned(),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// The next event, whose offset is noted.
    pub async fn event(&mut self) -> Value {
        let text = self.text().await;
        self.noted(&text)
    }

    /// An event, whose offset is noted.
    fn noted(&mut self, text: &str) -> Value {
        let event: Value = serde_json::from_str(text.strip_prefix("42").expect("an event")).unwrap();
        self.offset = event.as_array().unwrap().last().unwrap().clone();
        assert!(self.offset.is_string(), "{event}");
        event
    }
}
