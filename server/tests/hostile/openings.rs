//! Attacks on the way in: heads, handshakes, addresses and proofs of identity.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    Arena,
    raw::{Raw, frame, http, opening, request, status},
    support::Client,
};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_heads_are_refused_at_once() {
    let arena = Arena::open().await;
    let long = "x".repeat(1 << 20);
    let longer = "x".repeat(20 << 20);
    let many: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
    for head in [
        opening(WEBSOCKET, &[("X-Long", &long)]),
        opening(WEBSOCKET, &[("X-Long", &longer)]),
        opening(WEBSOCKET, &[("Sec-WebSocket-Key", &long)]),
        opening(&format!("{WEBSOCKET}&x={long}"), &[]),
        opening(WEBSOCKET, &[]).replace("\r\n\r\n", &format!("\r\n{many}\r\n")),
    ] {
        let began = Instant::now();
        let status = status(arena.address, &head).await;
        assert!(matches!(status, 0 | 400 | 414 | 431), "{status} for {} bytes", head.len());
        assert!(began.elapsed() < Duration::from_secs(2), "{:?} for {} bytes", began.elapsed(), head.len());
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_heads_that_trickle_are_closed_and_others_served() {
    let arena = Arena::open().await;
    let mut slow = Vec::new();
    for _ in 0..500 {
        slow.push(TcpStream::connect(arena.address).await.unwrap());
    }
    for byte in b"GET /health HTT" {
        for stream in &mut slow {
            let _ = stream.write_all(&[*byte]).await;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(status(arena.address, request("GET", "/health", &[], "")).await, 200);
    arena.close().await; // the streams are still held here: it was the server that closed
    drop(slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openings_that_are_not_as_the_rfc_says_are_refused() {
    let arena = Arena::open().await;
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (changed, expected) in [
        (vec![("Sec-WebSocket-Key", "")], 400),
        (vec![("Sec-WebSocket-Key", "c2hvcnQ=")], 400),
        (vec![("Sec-WebSocket-Key", key), ("Sec-WebSocket-Key", key)], 400),
        (vec![("Sec-WebSocket-Version", "8")], 426),
        (vec![("Sec-WebSocket-Version", "0")], 426),
        (vec![("Sec-WebSocket-Version", "13,8")], 426),
        (vec![("Upgrade", "")], 400),
        (vec![("Connection", "close")], 400),
        (vec![("Origin", "https://a.example\u{1}")], 400),
        (vec![("Origin", "https://a.example"), ("Origin", "https://b.example")], 403),
    ] {
        let changed: Vec<(&str, &str)> = changed.into_iter().chain([("X-End", "y")]).collect();
        let answer = http(arena.address, opening(WEBSOCKET, &changed)).await.expect("an answer");
        assert_eq!(answer.status, expected, "{changed:?}");
        assert_eq!(
            expected == 426,
            answer.head.to_lowercase().contains("sec-websocket-version: 13"),
            "{}",
            answer.head
        );
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let head = opening(WEBSOCKET, &[]).replacen("GET", method, 1);
        assert_eq!(status(arena.address, &head).await, 400, "{method}");
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_are_no_engine_io_are_refused_with_its_codes() {
    let arena = Arena::open().await;
    for (query, code) in [
        ("", "0"),
        ("?transport=polling", "5"),
        ("?EIO=2&transport=polling", "5"),
        ("?EIO=3&transport=polling", "5"),
        ("?EIO=5&transport=polling", "5"),
        ("?EIO=&transport=polling", "5"),
        ("?EIO=4&EIO=4&transport=polling", "3"),
        ("?EIO=4", "0"),
        ("?EIO=4&transport=grpc", "0"),
        ("?EIO=4&transport=__proto__", "0"),
        ("?EIO=4&transport=polling&transport=websocket", "3"),
        ("?EIO=4&transport=websocket", "3"),
    ] {
        let answer =
            http(arena.address, request("GET", &format!("/socket.io/{query}"), &[], "")).await.expect("an answer");
        let told =
            answer.body.contains(&format!("\"code\":{code}")) || answer.body.contains(&format!("\"code\":\"{code}\""));
        assert!(answer.status == 400 && told, "{query}: {} {}", answer.status, answer.body);
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_addresses_reach_nothing_and_odd_requests_break_nothing() {
    let arena = Arena::open().await;
    for path in [
        "/socket.io-admin/?EIO=4&transport=polling",
        "/socket.io/../metrics",
        "//socket.io/?EIO=4&transport=polling",
        "/%2e%2e/socket.io",
        "/socket.io%2f?EIO=4&transport=polling",
        "/SOCKET.IO/?EIO=4&transport=polling",
        "/socket.io/x/?EIO=4&transport=polling",
        "/api/chat/..%2f..%2fmetrics",
        "/..%5c..%5cmetrics",
    ] {
        assert_eq!(status(arena.address, request("GET", path, &[], "")).await, 404, "{path}");
    }
    let health = |line: &str, more: &str| format!("{line}\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    for (bytes, expected) in [
        (health("GET http://evil.example/health HTTP/1.1", ""), &[200, 400][..]),
        (health("GET /health?x=%0d%0aSet-Cookie:a=b HTTP/1.1", ""), &[200]),
        (health("GET /health HTTP/1.1", "X-Forwarded-For: 10.0.0.1\r\nHost: y\r\n"), &[200, 400]),
        (health("GET /health HTTP/9.9", ""), &[0, 400, 505]),
        (health("GET /hea lth HTTP/1.1", ""), &[0, 400]),
        (health("PRI * HTTP/2.0", ""), &[0, 400]),
        (health("CONNECT evil.example:443 HTTP/1.1", ""), &[400, 404, 405]),
        (health("GET * HTTP/1.1", ""), &[0, 400, 404]),
        (
            health("GET /health HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n",
            &[200, 400],
        ),
        (health("GET /health HTTP/1.1", "Content-Length: 5\r\nContent-Length: 6\r\n"), &[0, 400]),
        (health("GET /health HTTP/1.1", "X: a\u{0}b\r\n"), &[0, 400]),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(), &[0, 400]),
    ] {
        let answer = http(arena.address, &bytes).await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        assert!(expected.contains(&status), "{status} for {bytes:?}");
        assert!(!answer.is_some_and(|answer| answer.head.to_lowercase().contains("set-cookie")), "{bytes:?}");
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_handshakes_that_are_abandoned_leave_nothing() {
    let arena = Arena::open().await;
    for _ in 0..20 {
        let handshakes = (0..50).map(|number| async move {
            let mut stream = TcpStream::connect(arena.address).await.unwrap();
            stream.write_all(opening(WEBSOCKET, &[]).as_bytes()).await.unwrap();
            if number % 2 == 0 {
                let _ = status(arena.address, request("GET", POLLING, &[], "")).await; // a session that nobody polls
            }
        });
        futures_util::future::join_all(handshakes).await;
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_of_identity_of_any_shape_are_refused_without_a_word_too_many() {
    let arena = Arena::open().await;
    let deep = format!("{}{}", "[".repeat(40_000), "]".repeat(40_000));
    let long = json!({"token": "x".repeat(90_000)}).to_string();
    for auth in [
        "\"x\"",
        "[1]",
        "7",
        "null",
        "{}",
        "{\"token\":{\"$ne\":null}}",
        "{\"token\":[]}",
        &deep,
        &long,
        "{\"token\":\"\\u0000\"}",
    ] {
        let mut raw = Raw::open(arena.address, WEBSOCKET).await;
        raw.send(&frame(0x81, format!("40{auth}").as_bytes())).await;
        let answer = loop {
            match raw.frame().await {
                Some((1, text)) if text.starts_with(b"0") || text == b"2" => {}
                other => break other,
            }
        };
        match answer {
            Some((1, text)) => {
                let text = String::from_utf8(text).unwrap();
                assert!(text.starts_with("44{\"message\":\"Authentication error"), "{text}");
            }
            Some((8, _)) | None => {}
            Some(other) => panic!("{other:?}"),
        }
        raw.ended().await; // and nobody may stay without an identity
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sixth_connection_of_a_user_is_refused_however_many_come_at_once() {
    let arena = Arena::open().await;
    let tokens: Vec<_> =
        (0..60).map(|_| json!({"token": super::support::server::token("mallory", Duration::from_secs(600))})).collect();
    let tries = tokens.into_iter().map(|auth| Client::try_connect(arena.address, auth));
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    drop(outcomes);
    arena.close().await;
}
