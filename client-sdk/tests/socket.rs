//! The Socket.IO client at its edges, against a server that does exactly what the test says.
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever was not expected is wrong")]

#[path = "support/scripted.rs"]
mod scripted;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chatwright_client_sdk::{
    AckError, Auth, Client, Config, ConnectError, Direction, DisconnectReason, EmitError, Reconnection, Socket,
    SocketEvent, Tap,
};
use chatwright_protocol::{engine_io::Frame, socket_io::Arg};
use futures_util::SinkExt;
use scripted::{quick, serve};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(10);
const HOUR_MS: u64 = 3_600_000;

async fn next(socket: &mut Socket) -> SocketEvent {
    timeout(PATIENCE, socket.next()).await.expect("in time").expect("not closed")
}

async fn opened(config: Config) -> Socket {
    Socket::open(config, Auth::None).await.expect("the script lets it in")
}

async fn lost(socket: &mut Socket) -> DisconnectReason {
    match next(socket).await {
        SocketEvent::Disconnected { reason, reconnecting: true } => reason,
        other => panic!("expected a loss, got {other:?}"),
    }
}

async fn returned(socket: &mut Socket) {
    match next(socket).await {
        SocketEvent::Connected { sid } => assert_eq!(sid, "public"),
        other => panic!("expected a return, got {other:?}"),
    }
}

#[tokio::test]
async fn each_way_of_not_connecting_has_its_own_error() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        listener.local_addr().expect("bound")
    };
    let refused = Client::connect(Config::new(format!("http://{nobody}"))).await;
    assert!(matches!(&refused, Err(ConnectError::Unreachable { address, .. }) if *address == nobody.to_string()));

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let mut config = Config::new(format!("http://{}", silent.local_addr().expect("bound")));
    config.connect_timeout = Duration::from_millis(50);
    assert!(matches!(Client::connect(config).await, Err(ConnectError::Timeout(_))));

    let url = serve(async |_, mut peer| peer.says("4hello").await).await;
    assert!(matches!(Client::connect(Config::new(url)).await, Err(ConnectError::Protocol(_))));

    let url = serve(async |_, mut peer| {
        peer.says(r#"0{"sid":"s","upgrades":[],"pingInterval":1000,"pingTimeout":1000,"maxPayload":1}"#).await;
        peer.hears().await;
    })
    .await;
    let gone = Socket::open(Config::new(url), Auth::None).await;
    assert!(matches!(gone, Err(ConnectError::Lost(DisconnectReason::TransportClose))), "{gone:?}");
}

#[tokio::test]
async fn a_handshake_that_http_refuses_says_status_and_body() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.expect("a request") > 0);
            let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\nconnection: close\r\n\r\nno way!";
            stream.write_all(answer.as_bytes()).await.expect("the client waits");
        }
    });
    for transports in [chatwright_client_sdk::Transports::WebSocket, chatwright_client_sdk::Transports::Polling] {
        let outcome = Client::connect(Config { transports, ..Config::new(&url) }).await;
        match outcome {
            Err(ConnectError::Handshake { status: 403, body }) => assert_eq!(body, "no way!"),
            other => panic!("{transports:?}: expected 403, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_packet_ends_the_connection_as_a_parse_error_and_the_client_returns() {
    let url = serve(async |number, mut peer| {
        peer.opens(HOUR_MS, HOUR_MS).await;
        peer.says(["42{}", "x", "42[\"a\"]"][number.min(2)]).await;
        peer.hears().await;
    })
    .await;
    let mut socket = opened(quick(&url)).await;
    for _ in 0..2 {
        assert_eq!(lost(&mut socket).await, DisconnectReason::ParseError);
        returned(&mut socket).await;
    }
    assert!(matches!(next(&mut socket).await, SocketEvent::Event { name, .. } if name == "a"));
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_its_own_clocks() {
    let url = serve(async |_, mut peer| {
        peer.opens(60, 40).await;
        peer.says("2").await;
        assert_eq!(peer.hears().await.as_deref(), Some("3"));
        while peer.hears().await.is_some() {}
    })
    .await;
    let mut socket = opened(quick(&url)).await;
    assert_eq!(lost(&mut socket).await, DisconnectReason::PingTimeout);
}

#[tokio::test]
async fn a_reader_that_is_slow_loses_nothing_and_is_not_taken_for_a_dead_server() {
    const EVENTS: u32 = 5000;
    let url = serve(async |_, mut peer| {
        peer.opens(50, 50).await;
        for number in 0..EVENTS {
            peer.says(&format!(r#"42["n",{number}]"#)).await;
        }
        loop {
            peer.says("2").await;
            if peer.hears().await.is_none() {
                return;
            }
        }
    })
    .await;
    let mut socket = opened(Config { events_max: 4, ..quick(&url) }).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    for number in 0..EVENTS {
        match next(&mut socket).await {
            SocketEvent::Event { args, .. } => assert_eq!(args, [Arg::from(json!(number))]),
            other => panic!("expected event {number}, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_makes_emitting_wait() {
    let url = serve(async |_, mut peer| {
        peer.opens(HOUR_MS, HOUR_MS).await;
        std::future::pending().await
    })
    .await;
    let socket = opened(Config { send_queue_max: 8, ..quick(&url) }).await;
    let big = vec![Arg::from(json!("x".repeat(1_000_000)))];
    let endless = async {
        for number in 0.. {
            socket.emitter().emit("big", big.clone()).await.expect("online");
            assert!(number < 100, "a hundred megabytes went nowhere");
        }
    };
    assert!(timeout(Duration::from_secs(2), endless).await.is_err(), "it waits");
}

#[tokio::test]
async fn the_queue_of_what_is_emitted_offline_is_bounded_and_sent_in_order_on_return() {
    let (say, mut heard) = mpsc::unbounded_channel();
    let url = serve(move |number, mut peer| {
        let say = say.clone();
        async move {
            peer.opens(HOUR_MS, HOUR_MS).await;
            while number > 0
                && let Some(text) = peer.hears().await
            {
                say.send(text).expect("the test listens");
            }
        }
    })
    .await;
    let mut config = Config { send_queue_max: 3, ..quick(&url) };
    let delay = Duration::from_millis(300);
    config.reconnection = Some(Reconnection { delay_min: delay, delay_max: delay, ..Reconnection::default() });
    let mut socket = opened(config).await;
    assert_eq!(lost(&mut socket).await, DisconnectReason::TransportClose);
    for number in 0..3 {
        socket.emitter().emit("n", vec![json!(number).into()]).await.expect("there is room");
    }
    assert_eq!(socket.emitter().emit("n", vec![]).await, Err(EmitError::QueueFull));
    let tracked = socket.emitter().emit_tracked("now", vec![]);
    assert!(timeout(Duration::from_millis(20), tracked).await.is_err(), "no place for it either, but it would wait");
    returned(&mut socket).await;
    for number in 0..3 {
        assert_eq!(heard.recv().await, Some(format!(r#"42["n",{number}]"#)));
    }
}

#[tokio::test]
async fn what_must_not_wait_for_a_connection_is_not_sent_without_one() {
    let url = serve(async |number, mut peer| {
        if number == 0 {
            peer.opens(HOUR_MS, HOUR_MS).await;
        }
    })
    .await;
    let mut config = quick(&url);
    config.reconnection = Some(Reconnection { attempts_max: Some(2), ..config.reconnection.expect("quick has one") });
    let mut socket = opened(config).await;
    assert_eq!(lost(&mut socket).await, DisconnectReason::TransportClose);
    let tracked = socket.emitter().emit_tracked("x", vec![]).await.expect("there is room");
    match next(&mut socket).await {
        SocketEvent::Acknowledged { id, result } => assert_eq!((id, result), (tracked, Err(AckError::NotSent))),
        other => panic!("expected not sent, got {other:?}"),
    }
    assert!(matches!(next(&mut socket).await, SocketEvent::GaveUp { attempts: 2 }));
}

#[tokio::test]
async fn acknowledgements_end_with_the_connection_that_they_belong_to() {
    let (say, mut heard) = mpsc::unbounded_channel();
    let url = serve(move |number, mut peer| {
        let say = say.clone();
        async move {
            peer.opens(HOUR_MS, HOUR_MS).await;
            if number == 0 {
                peer.says(r#"427["question"]"#).await;
                assert_eq!(peer.hears().await.as_deref(), Some(r#"420["ask"]"#));
                return;
            }
            while let Some(text) = peer.hears().await {
                say.send(text).expect("the test listens");
            }
        }
    })
    .await;
    let mut socket = opened(quick(&url)).await;
    let respond = match next(&mut socket).await {
        SocketEvent::Event { respond: Some(respond), .. } => respond,
        other => panic!("expected a question, got {other:?}"),
    };
    assert_eq!(socket.emitter().emit_with_ack("ask", vec![], PATIENCE).await, Err(AckError::Disconnected));
    assert_eq!(lost(&mut socket).await, DisconnectReason::TransportClose);
    returned(&mut socket).await;
    respond.send(vec![]).await.expect("it is dropped, which is no error");
    socket.emitter().emit("fence", vec![]).await.expect("online");
    assert_eq!(heard.recv().await.as_deref(), Some(r#"42["fence"]"#), "the answer to the old question is not sent");
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_before_it_is_queued() {
    let url = serve(async |_, mut peer| {
        peer.opens(HOUR_MS, HOUR_MS).await;
        while peer.hears().await.is_some() {}
    })
    .await;
    let socket = opened(Config { message_bytes_max: 100, ..quick(&url) }).await;
    assert!(matches!(socket.emitter().emit("disconnect", vec![]).await, Err(EmitError::Malformed(_))));
    let long = vec![Arg::from(json!("x".repeat(100)))];
    assert!(matches!(socket.emitter().emit("x", long).await, Err(EmitError::TooLarge { max: 100, .. })));
}

#[tokio::test]
async fn raw_packets_go_out_as_they_are_and_a_tap_sees_both_directions() {
    let url = serve(async |_, mut peer| {
        peer.opens(HOUR_MS, HOUR_MS).await;
        assert_eq!(peer.hears().await.as_deref(), Some("42[\"made by hand\"]"));
        peer.stream.send(Message::text("42[\"seen\"]")).await.expect("the client is there");
        peer.hears().await;
    })
    .await;
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let lines = Arc::clone(&log);
    let tap = Tap::new(move |direction, frame| {
        let arrow = if direction == Direction::Sent { '>' } else { '<' };
        if let Frame::Text(text) = frame {
            lines.lock().expect("nobody panics with it").push(format!("{arrow}{text}"));
        }
    });
    let client = Client::connect(Config { tap: Some(tap), ..quick(&url) }).await.expect("a session");
    let mut socket = client.namespace("/", Auth::None).await.expect("let in");
    client.send_raw(Frame::Text("42[\"made by hand\"]".to_owned()));
    assert!(matches!(next(&mut socket).await, SocketEvent::Event { name, .. } if name == "seen"));
    let seen = log.lock().expect("nobody panics with it").clone();
    assert!(seen[0].starts_with("<0{"), "{seen:?}");
    assert_eq!(seen[1..], [">40", "<40{\"sid\":\"public\"}", ">42[\"made by hand\"]", "<42[\"seen\"]"]);
}

#[tokio::test]
async fn a_client_connects_from_the_address_it_is_told() {
    let (say, mut heard) = mpsc::unbounded_channel();
    let url = serve(move |_, mut peer| {
        let say = say.clone();
        async move {
            say.send(peer.address.ip().to_string()).expect("the test listens");
            peer.opens(HOUR_MS, HOUR_MS).await;
        }
    })
    .await;
    let local = "127.0.0.77".parse().expect("an address");
    drop(opened(Config { local_address: Some(local), ..quick(&url) }).await);
    assert_eq!(heard.recv().await.as_deref(), Some("127.0.0.77"));
}

#[tokio::test]
async fn the_connection_ends_in_good_order_with_its_last_handle() {
    let (say, mut heard) = mpsc::unbounded_channel();
    let url = serve(move |_, mut peer| {
        let say = say.clone();
        async move {
            peer.opens(HOUR_MS, HOUR_MS).await;
            while let Some(text) = peer.hears().await {
                say.send(text).expect("the test listens");
            }
            say.send("end".to_owned()).expect("the test listens");
        }
    })
    .await;
    let socket = opened(quick(&url)).await;
    socket.emitter().emit("last words", vec![]).await.expect("online");
    drop(socket);
    for expected in [r#"42["last words"]"#, "41", "end"] {
        assert_eq!(heard.recv().await.as_deref(), Some(expected));
    }
}
