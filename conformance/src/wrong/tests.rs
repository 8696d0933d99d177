//! Wrong servers over real sockets: the small server with and without a misbehaviour, and the proxy before it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    frames::{CLOSE, PING, PONG, RawFrame, TEXT},
    *,
};
use crate::tokens::User;

const PATIENCE: Duration = Duration::from_secs(5);

/// A client by hand: raw HTTP and raw frames.
pub(super) struct Client {
    stream: TcpStream,
    address: String,
}

impl Client {
    pub(super) async fn dial(target: &Target) -> Self {
        let address = Address::parse(target.instance(1).expect("one").main()).expect("an address").authority();
        Self { stream: TcpStream::connect(&address).await.expect("it listens"), address }
    }

    /// Asks and reads status, head and body.
    pub(super) async fn ask(target: &Target, request: &str, headers: &str, body: &str) -> (u16, String, String) {
        let mut client = Self::dial(target).await;
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            client.address
        );
        client.stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, client.stream.read_to_end(&mut answer))
            .await
            .expect("in time")
            .expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, head.to_lowercase(), body.to_owned())
    }

    pub(super) async fn websocket(target: &Target, query: &str) -> Self {
        let mut client = Self::dial(target).await;
        let key = STANDARD.encode([7; 16]);
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
            client.address
        );
        client.stream.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.stream.read_u8().await.expect("a head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        client
    }

    /// A WebSocket past its CONNECT, in a room.
    pub(super) async fn joined(target: &Target, user: &str, room: &str) -> Self {
        let mut client = Self::websocket(target, "").await;
        assert!(client.packet().await.starts_with("0{"));
        client.say(&format!("40{{\"token\":\"{}\"}}", token(target, user))).await;
        assert!(client.packet().await.starts_with("40{"));
        client.say(&format!("42[\"join_room\",{{\"roomId\":\"{room}\"}}]")).await;
        assert!(client.packet().await.starts_with("42[\"message_history\""));
        assert!(client.packet().await.starts_with("42[\"room_users\""));
        client
    }

    pub(super) async fn frame(&mut self, frame: RawFrame) {
        self.stream.write_all(&frame.encode()).await.expect("sent");
    }

    pub(super) async fn say(&mut self, packet: &str) {
        self.frame(RawFrame::new(TEXT, packet, true)).await;
    }

    pub(super) async fn send(&mut self, room: &str, text: &str) {
        self.say(&format!("42[\"send_message\",{{\"roomId\":\"{room}\",\"message\":\"{text}\"}}]")).await;
    }

    pub(super) async fn next(&mut self) -> Option<RawFrame> {
        tokio::time::timeout(PATIENCE, RawFrame::read(&mut self.stream)).await.expect("in time").ok().flatten()
    }

    /// The connection ends without another word than pings.
    pub(super) async fn is_cut_off(&mut self) {
        loop {
            match self.next().await {
                None => return,
                Some(frame) if frame.payload == b"2" => {}
                Some(frame) => panic!("not cut, but {frame:?}"),
            }
        }
    }

    /// The next packet that is no ping; pings are answered.
    pub(super) async fn packet(&mut self) -> String {
        loop {
            let frame = self.next().await.expect("a frame");
            assert_eq!(frame.opcode, TEXT, "{frame:?}");
            let text = String::from_utf8(frame.payload).expect("text");
            if text != "2" {
                return text;
            }
            self.say("3").await;
        }
    }

    /// The text of the next message of a room.
    pub(super) async fn message(&mut self) -> String {
        let packet = self.packet().await;
        let event: serde_json::Value =
            serde_json::from_str(packet.strip_prefix("42").expect("an event")).expect("json");
        assert_eq!(event[0], "new_message", "{packet}");
        event[1]["message"].as_str().expect("text").to_owned()
    }

    pub(super) async fn is_silent(&mut self, wall: Duration) -> bool {
        loop {
            match tokio::time::timeout(wall, RawFrame::read(&mut self.stream)).await {
                Err(_) => return true,
                Ok(Ok(Some(frame))) if frame.payload == b"2" => self.say("3").await,
                Ok(_) => return false,
            }
        }
    }
}

pub(super) fn token(target: &Target, user: &str) -> String {
    target.tokens.as_ref().expect("it verifies").valid(&User { id: user.to_owned(), name: user.to_uppercase() })
}

pub(super) async fn small(misbehaviour: Misbehaviour) -> Target {
    server::start(misbehaviour).await.expect("it starts")
}

/// Opens a polling session and enters the namespace; returns its id.
pub(super) async fn polling(target: &Target, user: &str) -> String {
    let (status, _, body) = Client::ask(target, "GET /socket.io/?EIO=4&transport=polling", "", "").await;
    assert_eq!(status, 200);
    let open: serde_json::Value = serde_json::from_str(body.strip_prefix('0').expect("an open packet")).expect("json");
    let sid = open["sid"].as_str().expect("an id").to_owned();
    post(target, &sid, &format!("40{{\"token\":\"{}\"}}", token(target, user))).await;
    assert!(poll(target, &sid).await.starts_with("40{"));
    sid
}

pub(super) async fn post(target: &Target, sid: &str, body: &str) -> String {
    let (status, _, answer) =
        Client::ask(target, &format!("POST /socket.io/?EIO=4&transport=polling&sid={sid}"), "", body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

pub(super) async fn poll(target: &Target, sid: &str) -> String {
    let (status, _, body) =
        Client::ask(target, &format!("GET /socket.io/?EIO=4&transport=polling&sid={sid}"), "", "").await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test]
async fn the_small_server_without_a_misbehaviour_carries_a_conversation() {
    let target = small(Misbehaviour::None).await;
    let mut alice = Client::joined(&target, "alice", "r").await;
    let mut bob = Client::joined(&target, "bob", "r").await;
    assert!(alice.packet().await.starts_with("42[\"user_joined\""));
    alice.send("r", "hi").await;
    assert_eq!((alice.message().await, bob.message().await), ("hi".to_owned(), "hi".to_owned()));
    bob.say("427[\"typing\",{\"roomId\":\"r\",\"isTyping\":true}]").await;
    assert_eq!(bob.packet().await, "437[{\"ok\":true}]");
    assert!(alice.packet().await.starts_with("42[\"user_typing\""));
    let bearer = format!("Authorization: Bearer {}\r\n", token(&target, "alice"));
    let (status, _, body) = Client::ask(&target, "GET /api/chat/r/history?limit=5", &bearer, "").await;
    assert!(status == 200 && body.contains("\"message\":\"hi\""), "{body}");
    drop(bob);
    assert!(alice.packet().await.starts_with("42[\"user_left\""));
}

#[tokio::test]
async fn the_small_server_moves_from_polling_to_a_websocket() {
    let target = small(Misbehaviour::None).await;
    let sid = polling(&target, "alice").await;
    let mut socket = Client::websocket(&target, &format!("&sid={sid}")).await;
    socket.say("2probe").await;
    assert_eq!(socket.packet().await, "3probe");
    assert_eq!(poll(&target, &sid).await, "6");
    socket.say("5").await;
    socket.say("42[\"join_room\",{\"roomId\":\"r\"}]").await;
    assert!(socket.packet().await.starts_with("42[\"message_history\""));
    let (status, _, _) =
        Client::ask(&target, &format!("GET /socket.io/?EIO=4&transport=polling&sid={sid}"), "", "").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_small_server_refuses_bad_tokens_and_bad_frames() {
    let target = small(Misbehaviour::None).await;
    let mut client = Client::websocket(&target, "").await;
    client.packet().await;
    client.say("40{\"token\":\"nonsense\"}").await;
    assert!(client.packet().await.starts_with("44{"));
    let mut unmasked = Client::joined(&target, "bob", "r").await;
    unmasked.frame(RawFrame::new(TEXT, "42[\"typing\",{}]", false)).await;
    let end = unmasked.next().await.expect("a close frame");
    assert_eq!((end.opcode, &end.payload[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
}

#[tokio::test]
async fn each_misbehaviour_of_frames_is_seen_on_the_wire() {
    let target = small(Misbehaviour::UnmaskedAccepted).await;
    let mut client = Client::joined(&target, "bob", "r").await;
    client.frame(RawFrame::new(TEXT, "421[\"leave_room\",{\"roomId\":\"r\"}]", false)).await;
    assert_eq!(client.packet().await, "431[{\"ok\":true}]");

    let target = small(Misbehaviour::MasksItsFrames).await;
    let mut client = Client::websocket(&target, "").await;
    assert!(client.next().await.expect("open").masked);

    let target = small(Misbehaviour::PongEmpty).await;
    let mut client = Client::joined(&target, "bob", "r").await;
    client.frame(RawFrame::new(PING, "are you there", true)).await;
    let pong = client.next().await.expect("a pong");
    assert_eq!((pong.opcode, pong.payload.len()), (PONG, 0));

    let target = small(Misbehaviour::CloseNotEchoed).await;
    let mut client = Client::joined(&target, "bob", "r").await;
    client.frame(RawFrame::close(Some(1000), "", true)).await;
    client.is_cut_off().await;
}

#[tokio::test]
async fn each_misbehaviour_of_sessions_is_seen_on_the_wire() {
    let target = small(Misbehaviour::UnknownSidAccepted).await;
    assert_eq!(poll(&target, "nobody").await, "6");

    let target = small(Misbehaviour::ProbeUnanswered).await;
    let sid = polling(&target, "alice").await;
    let mut socket = Client::websocket(&target, &format!("&sid={sid}")).await;
    socket.say("2probe").await;
    assert!(socket.is_silent(Duration::from_millis(300)).await);

    let target = small(Misbehaviour::UpgradeRepeats).await;
    let sid = polling(&target, "alice").await;
    post(&target, &sid, "42[\"join_room\",{\"roomId\":\"r\"}]").await;
    let polled = poll(&target, &sid).await;
    let mut socket = Client::websocket(&target, &format!("&sid={sid}")).await;
    socket.say("2probe").await;
    assert_eq!(socket.packet().await, "3probe");
    socket.say("5").await;
    let again = socket.packet().await;
    assert!(again.starts_with("42[\"message_history\"") && polled.contains(&again), "{again}");

    let target = small(Misbehaviour::TimesOutEarly).await;
    let mut client = Client::joined(&target, "bob", "r").await;
    let end = loop {
        match client.next().await {
            Some(frame) if frame.payload == b"2" => client.say("3").await,
            other => break other,
        }
    };
    assert_eq!(end.expect("a close frame").opcode, CLOSE);
}

#[tokio::test]
async fn silence_is_ended_by_the_small_server_unless_that_is_its_defect() {
    let ends = |misbehaviour| async move {
        let target = small(misbehaviour).await;
        let mut client = Client::joined(&target, "bob", "r").await;
        let end = async { while client.next().await.is_some_and(|frame| frame.opcode != CLOSE) {} };
        tokio::time::timeout(Duration::from_millis(2500), end).await.is_ok()
    };
    let (right, kept, unasked) =
        tokio::join!(ends(Misbehaviour::None), ends(Misbehaviour::NeverTimesOut), ends(Misbehaviour::NoPings));
    assert!(right && !kept && !unasked);
}
