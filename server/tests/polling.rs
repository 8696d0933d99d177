//! Long-polling and the move to a WebSocket: the same conversation, the same bounds.

mod support;

use std::{net::SocketAddr, time::Duration};

use chatwright_server::{
    Config,
    transport::{EngineKind, EngineRules},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::{Client, Got, PATIENCE, server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// One HTTP request on a connection of its own; status and body.
async fn http(address: SocketAddr, method: &str, query: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// A session over polling.
struct Poller {
    address: SocketAddr,
    sid: String,
}

impl Poller {
    async fn connect(address: SocketAddr, user: &str) -> Self {
        let (status, open) = http(address, "GET", "", "").await;
        assert_eq!(status, 200, "{open}");
        let open: Value = serde_json::from_str(&open[1..]).expect("JSON");
        let poller = Self { address, sid: format!("&sid={}", open["sid"].as_str().expect("a sid")) };
        let auth = json!({"token": server::token(user, Duration::from_secs(60))});
        poller.post(&format!("40{auth}")).await;
        let answer = poller.poll().await;
        assert!(answer[0].starts_with("40{"), "{answer:?}");
        poller
    }

    async fn post(&self, packets: &str) {
        assert_eq!(http(self.address, "POST", &self.sid, packets).await, (200, "ok".to_owned()));
    }

    /// The packets of one poll; pings are answered and not shown.
    async fn poll(&self) -> Vec<String> {
        loop {
            let (status, body) = http(self.address, "GET", &self.sid, "").await;
            assert_eq!(status, 200, "{body}");
            let packets: Vec<String> =
                body.split('\u{1e}').filter(|packet| *packet != "2").map(str::to_owned).collect();
            if packets.len() < body.split('\u{1e}').count() {
                self.post("3").await;
            }
            if !packets.is_empty() {
                return packets;
            }
        }
    }

    /// Polls until this many packets have come.
    async fn packets(&self, count: usize) -> Vec<String> {
        let mut packets = Vec::new();
        while packets.len() < count {
            packets.extend(self.poll().await);
        }
        packets
    }
}

/// The next event if it is `user_left`; else it is a message.
async fn left_or_message(client: &mut Client) -> Option<Value> {
    let got = client.next().await;
    match got {
        Got::Event(name, data) if name == "user_left" => Some(data),
        Got::Event(ref name, _) if name == "new_message" => None,
        Got::Event(..) | Got::Ack(..) | Got::Disconnected | Got::End => panic!("unexpected {got:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_and_a_websocket_talk_to_each_other_in_order() {
    let server = server::alone().await;
    let poller = Poller::connect(server.address, "poller").await;
    let join = r#"42["join_room",{"roomId":"room"}]"#;
    let say = |text: &str| format!(r#"42["send_message",{{"roomId":"room","message":"{text}"}}]"#);
    poller.post(&[join.to_owned(), say("1"), say("2"), say("3")].join("\u{1e}")).await;
    let packets = poller.packets(5).await;
    assert!(packets[0].starts_with(r#"42["message_history""#), "{packets:?}");
    let mut alice = Client::connect(server.address, "alice").await;
    let (history, users) = alice.join("room").await;
    let texts: Vec<&Value> = history.as_array().expect("an array").iter().map(|message| &message["message"]).collect();
    assert_eq!(texts, ["1", "2", "3"]);
    assert_eq!(users, json!(["alice", "poller"]));
    alice.emit("send_message", json!({"roomId": "room", "message": "hello poller"})).await;
    let packets = poller.packets(2).await;
    assert!(packets[0].starts_with(r#"42["user_joined""#) && packets[1].contains("hello poller"), "{packets:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_who_does_not_poll_is_cut_off_and_its_session_is_over() {
    let engine = EngineRules { frames_waiting_max: 20, ..EngineRules::default() };
    let server = server::with(Config { engine, ..server::config() }).await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let lazy = Poller::connect(server.address, "lazy").await;
    lazy.post(r#"42["join_room",{"roomId":"room"}]"#).await;
    alice.event("user_joined").await;
    let left = loop {
        alice.emit("send_message", json!({"roomId": "room", "message": "hi"})).await;
        if let Some(left) = left_or_message(&mut alice).await {
            break left;
        }
    };
    assert_eq!(left["userId"], "lazy");
    for _ in 0..100 {
        if http(server.address, "POST", &lazy.sid, "3").await.0 == 400 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the session is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_who_does_not_take_an_answer_is_gone_in_time_and_misses_nothing_in_silence() {
    if server::engine_kind() != EngineKind::Lean {
        return; // the other engine knows nothing of answers that were not taken
    }
    let mut config = server::config();
    config.connections.stall.write_deadline = Duration::from_millis(500);
    config.connections.send_buffer_bytes = 16 * 1024;
    let server = server::with(config).await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let lazy = Poller::connect(server.address, "lazy").await;
    lazy.post(r#"42["join_room",{"roomId":"room"}]"#).await;
    alice.event("user_joined").await;
    for _ in 0..200 {
        alice.emit("send_message", json!({"roomId": "room", "message": "x".repeat(4000)})).await;
        alice.event("new_message").await;
    }
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small one");
    let mut stream = socket.connect(server.address).await.expect("a connection");
    let request = format!("GET /socket.io/?EIO=4&transport=polling{} HTTP/1.1\r\nHost: test\r\n\r\n", lazy.sid);
    stream.write_all(request.as_bytes()).await.expect("written");
    let left = timeout(PATIENCE, alice.event("user_left")).await.expect("long before the heartbeat");
    assert_eq!(left["userId"], "lazy");
    assert_eq!(http(server.address, "GET", &lazy.sid, "").await.0, 400);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_behind_what_ends_the_session_is_answered() {
    let server = server::alone().await;
    for round in 0..5 {
        let poller = Poller::connect(server.address, &format!("poller-{round}")).await;
        let busy = r#"42["join_room",{"roomId":"room"}]"#;
        let packets = [&[busy; 1000][..], &["2", "2"]].concat(); // a server pings, a client does not
        poller.post(&packets.join("\u{1e}")).await;
        // It waits for the events before it, behind which the session ends.
        let (status, body) =
            timeout(PATIENCE, http(server.address, "POST", &poller.sid, busy)).await.expect("an answer");
        assert_eq!(status, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_session_goes_on_and_is_cut_at_its_websocket() {
    let engine = EngineRules { frames_waiting_bytes_max: 64 * 1024, ..EngineRules::default() };
    let mut config = Config { engine, ..server::config() };
    config.connections.send_buffer_bytes = 16 * 1024;
    let server = server::with(config).await;
    let mut alice = Client::in_room(server.address, "alice", "room").await;
    let mover = Poller::connect(server.address, "mover").await;
    mover.post(r#"42["join_room",{"roomId":"room"}]"#).await;
    alice.event("user_joined").await;
    mover.packets(2).await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket{}", server.address, mover.sid);
    let (mut socket, _) = connect_async(url).await.expect("an upgrade");
    socket.send(Message::text("2probe")).await.expect("sent");
    assert_eq!(socket.next().await.expect("a frame").expect("a frame"), Message::text("3probe"));
    socket.send(Message::text("5")).await.expect("sent");
    socket.send(Message::text(r#"42["send_message",{"roomId":"room","message":"moved"}]"#)).await.expect("sent");
    assert_eq!(alice.event("new_message").await["message"], "moved");
    let echo = loop {
        let frame = socket.next().await.expect("a frame").expect("a frame");
        if frame.to_text().is_ok_and(|text| text.starts_with("42")) {
            break frame;
        }
    };
    assert!(echo.to_text().expect("text").contains("moved"));
    // From here on it does not read.
    let text = "x".repeat(4000);
    let left = loop {
        alice.emit("send_message", json!({"roomId": "room", "message": text})).await;
        if let Some(left) = left_or_message(&mut alice).await {
            break left;
        }
    };
    assert_eq!(left["userId"], "mover");
    for _ in 0..100 {
        if server.server.tcp_connections() == 1 {
            drop(socket);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the upgraded socket is still open");
}
