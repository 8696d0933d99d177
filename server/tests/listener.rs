//! The accept loop over loopback: peers that stop reading, trickle, dawdle or come in hordes cost a bounded time and leave nothing behind.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use chatwright_server::{
    listener::{ConnectionHandle, CutReason, Listener, ListenerLimits, Serving, StallRules, TimedBody},
    metrics::Metrics,
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn limits() -> ListenerLimits {
    ListenerLimits {
        stall: StallRules { write_deadline: Duration::from_millis(400), bytes_per_second_min: 64 * 1024 },
        head_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        send_buffer_bytes: 16 * 1024,
        ..ListenerLimits::default()
    }
}

/// The handles that the service saw, one per request.
type Seen = Arc<Mutex<Vec<ConnectionHandle>>>;

/// `GET /endless` streams for ever, `POST /count` counts its body, `/echo` upgrades and echoes, anything else says `hello`.
fn start(limits: ListenerLimits) -> (Serving, Seen, Metrics) {
    let seen = Seen::default();
    let handles = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<TimedBody>| {
        let handle = request.extensions().get::<ConnectionHandle>().expect("each request carries its connection");
        handles.lock().expect("no panic under the lock").push(handle.clone());
        answer(request)
    });
    let metrics = Metrics::new();
    let listener = Listener::open("test", SocketAddr::from(([127, 0, 0, 1], 0)), limits).expect("a free port");
    (listener.serve(service, metrics.clone()), seen, metrics)
}

async fn answer(request: Request<TimedBody>) -> Result<Response<Body>, Infallible> {
    let body = match request.uri().path() {
        "/endless" => {
            let chunk = Bytes::from_static(&[b'x'; 8192]);
            let frames = futures_util::stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(chunk.clone())));
            Body::new(StreamBody::new(frames))
        }
        "/count" => match request.into_body().collect().await {
            Ok(body) => Body::from(body.to_bytes().len().to_string()),
            Err(error) => Body::from(error.to_string()),
        },
        "/echo" => {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.expect("an upgrade");
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
            let switching = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
            return Ok(switching.body(Body::empty()).expect("a response"));
        }
        _ => Body::from("hello"),
    };
    Ok(Response::new(body))
}

async fn dial(serving: &Serving) -> TcpStream {
    TcpStream::connect(serving.address()).await.expect("it listens")
}

/// A peer with a small receive buffer, so that its window closes soon.
async fn dial_with_small_window(serving: &Serving) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(serving.address()).await.expect("it listens")
}

async fn ask(peer: &mut TcpStream, head: &str) {
    peer.write_all(head.replace('\n', "\r\n").as_bytes()).await.expect("the peer is still there");
}

/// Everything up to the end of the connection.
async fn rest(peer: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, peer.read_to_end(&mut bytes)).await.expect("the connection ends in bounded time");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn first(seen: &Seen) -> ConnectionHandle {
    seen.lock().expect("no panic under the lock").first().expect("one request was seen").clone()
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_cut_in_time_and_leaves_nothing() {
    let (serving, seen, metrics) = start(limits());
    let mut peer = dial_with_small_window(&serving).await;
    ask(&mut peer, "GET /endless HTTP/1.1\nHost: x\n\n").await;
    until("the request arrives", || !seen.lock().expect("no panic").is_empty()).await;
    let began = Instant::now();
    until("the connection is gone", || serving.connections() == 0).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "not before its deadline: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(3), "soon after its deadline: {:?}", began.elapsed());
    assert_eq!(first(&seen).cut_reason(), Some(CutReason::StoppedReading));
    assert!(!first(&seen).is_open());
    assert!(metrics.render().contains("connections_cut_total{listener=\"test\",reason=\"stopped reading\"} 1"));
    drop(peer);
}

#[tokio::test]
async fn a_peer_that_reads_a_trickle_is_cut_although_it_makes_progress() {
    let (serving, seen, _) = start(limits());
    let mut peer = dial_with_small_window(&serving).await;
    ask(&mut peer, "GET /endless HTTP/1.1\nHost: x\n\n").await;
    let trickle = async {
        let mut few = [0; 1024];
        while let Ok(Ok(read)) = timeout(PATIENCE, peer.read(&mut few)).await
            && read > 0
        {
            tokio::time::sleep(Duration::from_millis(100)).await; // at most 10 KiB/s; 64 are wanted
        }
    };
    timeout(PATIENCE, trickle).await.expect("the trickle ends in bounded time");
    until("the connection is gone", || serving.connections() == 0).await;
    let reason = first(&seen).cut_reason();
    assert!(matches!(reason, Some(CutReason::ReadsTooSlowly | CutReason::StoppedReading)), "{reason:?}");
}

#[tokio::test]
async fn a_peer_that_reads_well_is_served_far_beyond_the_deadline() {
    let (serving, _, _) = start(limits());
    let mut peer = dial(&serving).await;
    ask(&mut peer, "GET /endless HTTP/1.1\nHost: x\n\n").await;
    let mut buffer = vec![0; 256 * 1024];
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        assert!(peer.read(&mut buffer).await.expect("nobody cuts a good reader") > 0);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_cut_reaches_an_upgraded_stream_that_waits_for_bytes() {
    let (serving, seen, _) = start(limits());
    let mut peer = dial(&serving).await;
    ask(&mut peer, "GET /echo HTTP/1.1\nHost: x\nConnection: upgrade\nUpgrade: echo\n\n").await;
    let mut head = [0; 512];
    let read = peer.read(&mut head).await.expect("an answer");
    assert!(head[..read].starts_with(b"HTTP/1.1 101"));
    peer.write_all(b"ping").await.expect("open");
    let read = peer.read(&mut head).await.expect("an echo");
    assert_eq!(&head[..read], b"ping");
    let handle = first(&seen);
    assert!(handle.bytes_in() > 4 && handle.bytes_out() > 4 && handle.blocked_for().is_none());
    handle.cut(CutReason::Expired);
    handle.cut(CutReason::Flooding);
    assert!(matches!(timeout(PATIENCE, peer.read(&mut head)).await.expect("at once"), Ok(0) | Err(_)));
    until("the stream is dropped", || serving.connections() == 0).await;
    assert_eq!(handle.cut_reason(), Some(CutReason::Expired));
}

#[tokio::test]
async fn a_head_that_never_ends_and_an_idle_connection_are_closed_in_time() {
    let (serving, _, _) = start(limits());
    let mut slow = dial(&serving).await;
    ask(&mut slow, "GET / HTTP/1.1\nHost:").await;
    let mut idle = dial(&serving).await;
    ask(&mut idle, "GET / HTTP/1.1\nHost: x\n\n").await;
    let began = Instant::now();
    let (slow, idle) = (rest(&mut slow).await, rest(&mut idle).await);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!slow.contains("hello"), "{slow}");
    assert!(idle.ends_with("hello"), "{idle}");
}

#[tokio::test]
async fn a_body_that_trickles_ends_in_an_error_of_the_service() {
    let (serving, _, _) = start(limits());
    let mut peer = dial(&serving).await;
    ask(&mut peer, "POST /count HTTP/1.1\nHost: x\nContent-Length: 1000\nConnection: close\n\n").await;
    let (mut read, mut write) = peer.split();
    let trickle = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = trickle => {}
        ended = timeout(PATIENCE, read.read_to_end(&mut bytes)) => { let _ = ended.expect("in bounded time"); }
    }
    assert!(String::from_utf8_lossy(&bytes).contains("took too long"), "{}", String::from_utf8_lossy(&bytes));
}

#[tokio::test]
async fn heads_with_too_many_bytes_or_lines_are_refused_at_once() {
    let (serving, _, _) = start(limits());
    let long = format!("GET / HTTP/1.1\nHost: x\nX-Long: {}\n\n", "x".repeat(1024 * 1024));
    let many = format!("GET / HTTP/1.1\nHost: x\n{}\n", "X-A: b\n".repeat(10_000));
    for head in [long, many] {
        let mut peer = dial(&serving).await;
        let began = Instant::now();
        let _ = peer.write_all(head.replace('\n', "\r\n").as_bytes()).await; // the server may close before all is written
        let mut status = [0; 12];
        match timeout(PATIENCE, peer.read_exact(&mut status)).await.expect("in bounded time") {
            Ok(_) => assert!(matches!(&status[9..], b"431" | b"400"), "{}", String::from_utf8_lossy(&status)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_told_so_and_a_place_that_is_given_back_is_used() {
    let (serving, _, _) = start(ListenerLimits { connections_max: 2, head_timeout: PATIENCE, ..limits() });
    let (first, second) = (dial(&serving).await, dial(&serving).await);
    until("both are in", || serving.connections() == 2).await;
    let mut third = dial(&serving).await;
    assert!(rest(&mut third).await.starts_with("HTTP/1.1 503 "));
    drop(first);
    until("one left", || serving.connections() == 1).await;
    let mut fourth = dial(&serving).await;
    ask(&mut fourth, "GET / HTTP/1.1\nHost: x\nConnection: close\n\n").await;
    assert!(rest(&mut fourth).await.ends_with("hello"));
    drop(second);
}

#[tokio::test]
async fn a_stop_lets_answers_finish_frees_the_port_and_cuts_who_does_not_go() {
    let (serving, seen, _) = start(ListenerLimits { head_timeout: PATIENCE, ..limits() });
    let address = serving.address();
    let mut idle = dial(&serving).await;
    ask(&mut idle, "GET / HTTP/1.1\nHost: x\n\n").await;
    let mut stubborn = dial(&serving).await;
    ask(&mut stubborn, "GET /echo HTTP/1.1\nHost: x\nConnection: upgrade\nUpgrade: echo\n\n").await;
    until("both are served", || seen.lock().expect("no panic").len() == 2).await;
    let began = Instant::now();
    let cut = timeout(PATIENCE, serving.stop(Duration::from_millis(300), Duration::from_millis(500)))
        .await
        .expect("a stop ends");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(cut, 1, "the idle one went by itself, the upgraded one had to be cut");
    assert!(rest(&mut idle).await.ends_with("hello"));
    assert!(rest(&mut stubborn).await.starts_with("HTTP/1.1 101"));
    Listener::open("again", address, limits()).expect("the port is free");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address() {
    let (serving, _, _) = start(limits());
    let error = Listener::open("second", serving.address(), limits()).expect_err("taken");
    assert!(error.to_string().contains(&serving.address().to_string()), "{error}");
}
