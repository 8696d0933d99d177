//! The reference's `conversations` in this process before real backends: how it is started, spoken to and looked at from outside.

use std::{net::SocketAddr, time::Duration};

use chatwright_client_sdk::protocol::dialects::conversations;
use chatwright_conformance::target::{BackendName, Subject};
use chatwright_server::{
    Config, Server,
    auth::{
        jwt::JwtRules,
        mint::{TokenRequest, mint},
    },
    chat::Clocks,
    clock,
    config::{RedisConfig, Secret, VerifierConfig},
};
use chatwright_simulator::backends::Backends;
use futures_util::{SinkExt as _, StreamExt as _, stream::SplitSink};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// How long something may take that has no bound of its own, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What the servers give one question to a backend.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);
const SECRET: &[u8] = b"a secret of these tests, long enough for HS256";

/// A server on these backends, those of them that were started; `change` has the last word about its configuration.
pub(crate) async fn serve(backends: &Backends, change: impl FnOnce(&mut Config)) -> (Server, SocketAddr) {
    let redis = backends.get(BackendName::Redis).map(|redis| {
        let address = redis.address();
        RedisConfig::at(address.ip().to_string(), address.port())
    });
    let mut config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        verifier: VerifierConfig::Jwt(JwtRules::new(SECRET)),
        clocks: Clocks { backend_timeout: TIMEOUT, lease: Duration::from_secs(6), ..Clocks::default() },
        redis,
        postgres: backends.get(BackendName::Postgresql).map(|postgresql| Secret::new(postgresql.url())),
        kafka_brokers: backends.get(BackendName::Kafka).map(|kafka| kafka.url()).into_iter().collect(),
        ..Config::of(&conversations::DIALECT)
    };
    change(&mut config);
    let server = Server::start(config).await.expect("loopback has a free port");
    let address = server.addresses().listen;
    (server, address)
}

/// A connection that reads all the time, as browsers do, so that it answers pings.
pub(crate) struct Client {
    sink: SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>,
    frames: mpsc::UnboundedReceiver<Value>,
}

impl Client {
    /// Let in.
    pub(crate) async fn connect(address: SocketAddr, user: &str) -> Self {
        let mut client = Self::knock(address, user).await;
        let answer = client.read().await;
        assert_eq!(answer["type"], "auth_success", "{answer}");
        client
    }

    /// Has shown its token.
    pub(crate) async fn knock(address: SocketAddr, user: &str) -> Self {
        let url = format!("ws://{address}/api/v1/chat");
        let stream = timeout(PATIENCE, connect_async(url)).await.expect("an answer").expect("a handshake").0;
        let (sink, mut stream) = stream.split();
        let (told, frames) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message {
                    let _ = told.send(serde_json::from_str(&text).expect("JSON")); // the test may be over
                }
            }
            let _ = told.send(json!({"type": "closed"}));
        });
        let mut client = Self { sink, frames };
        let request = TokenRequest {
            user: user.to_owned(),
            name: None,
            email: None,
            expires_at_ms: clock::unix_ms() + 3_600_000,
        };
        client.say(&json!({"type": "auth", "token": mint(SECRET, &request).expect("a secret that is taken")})).await;
        client
    }

    async fn say(&mut self, frame: &Value) {
        self.sink.send(Message::text(frame.to_string())).await.expect("the connection stands");
    }

    pub(crate) async fn send(&mut self, to: &str, content: &str) {
        self.say(&json!({"type": "send_message", "recipientIds": [to], "content": content})).await;
    }

    /// The next frame; `{"type":"closed"}` at the end.
    pub(crate) async fn read(&mut self) -> Value {
        timeout(PATIENCE, self.frames.recv()).await.expect("something comes in time").expect("somebody reads")
    }

    /// The answer to a message: its `message_sent`, or an `error`. What others say meanwhile is dropped.
    pub(crate) async fn answer(&mut self) -> Value {
        loop {
            let frame = self.read().await;
            if let Some("message_sent" | "error" | "closed") = frame["type"].as_str() {
                return frame;
            }
        }
    }

    /// Sends and waits until it is confirmed: `data`.
    pub(crate) async fn confirmed(&mut self, to: &str, content: &str) -> Value {
        self.send(to, content).await;
        let answer = self.answer().await;
        assert_eq!(answer["type"], "message_sent", "{answer}");
        assert_eq!(answer["data"]["content"], content);
        answer["data"].clone()
    }

    /// The contents of the next messages, until the last of them is this one.
    pub(crate) async fn heard_until(&mut self, last: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().map(String::as_str) != Some(last) {
            let frame = self.read().await;
            assert_eq!(frame["type"], "new_message", "{frame} after {heard:?}");
            heard.push(frame["data"]["content"].as_str().expect("a text").to_owned());
        }
        heard
    }
}

/// What `/health` says: its status and body.
pub(crate) async fn health(address: SocketAddr) -> (u16, Value) {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, asking).await.expect("an answer in time").expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).expect("JSON"))
}

/// Waits until `/health` says this word.
pub(crate) async fn until_health_is(address: SocketAddr, word: &str) -> Value {
    let began = Instant::now();
    loop {
        let (status, body) = health(address).await;
        if body["status"] == word {
            assert_eq!(status, if word == "unavailable" { 503 } else { 200 });
            return body;
        }
        assert!(began.elapsed() < PATIENCE, "still {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a backend answers to somebody who comes from outside.
pub(crate) async fn ask(backends: &Backends, name: BackendName, question: &str) -> Value {
    let subject = Subject::Backend(name.as_str().to_owned());
    backends.control().ask(&subject, question).await.unwrap_or_else(|problem| panic!("{question}: {problem:?}"))
}

/// The contents of the messages that a user has sent, in their order, as SQL shows them.
pub(crate) async fn stored(backends: &Backends, sender: &str) -> Vec<String> {
    let query = format!(
        r#"SELECT m.content FROM "Message" m JOIN chatwright.position p ON p.message = m.id
        WHERE m."senderId" = '{sender}' ORDER BY m."createdAt", p.sequence"#
    );
    let rows = ask(backends, BackendName::Postgresql, &query).await;
    let content = |row: &Value| row["content"].as_str().expect("a text").to_owned();
    rows.as_array().expect("rows").iter().map(content).collect()
}

/// The events of the topic as a plain consumer reads them, once there is one of this content: each with `messageId`, `content`, `dedupeId`.
pub(crate) async fn events_until(backends: &Backends, content: &str) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let subject = Subject::Backend("kafka".to_owned());
        let answer = backends.control().ask(&subject, "records chat-events").await;
        let records = answer.as_ref().ok().and_then(Value::as_array).cloned().unwrap_or_default();
        let values = records.iter().filter_map(|record| record["value"].as_str());
        let events: Vec<Value> = values.map(|value| serde_json::from_str(value).expect("JSON")).collect();
        if events.iter().any(|event| event["content"] == content) {
            return events;
        }
        assert!(began.elapsed() < PATIENCE, "no event of {content}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
