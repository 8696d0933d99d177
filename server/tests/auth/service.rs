//! Tokens verified by an auth service over HTTP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use chatwright_server::auth::{
    AuthError, ClaimNames, Verifier as _,
    service::{ServiceRules, ServiceVerifier},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{NOW_MS, NOW_S, TIMEOUT, alice, claims, clock, token, with};

/// A service that answers every connection's requests with `answer`, after reading each head; counts connections.
async fn http_stub(
    answer: &'static str,
    delay: Duration,
) -> (SocketAddr, Arc<AtomicUsize>, Arc<tokio::sync::Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Mutex::new(String::new())));
    let (counted, kept) = (Arc::clone(&connections), Arc::clone(&heads));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Relaxed);
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(read) = stream.read(&mut buffer).await
                    && read > 0
                {
                    seen.extend_from_slice(&buffer[..read]);
                    if seen.ends_with(b"\r\n\r\n") {
                        kept.lock().await.push_str(&String::from_utf8_lossy(&seen));
                        seen.clear();
                        tokio::time::sleep(delay).await;
                        let _ = stream.write_all(answer.replace('\n', "\r\n").as_bytes()).await;
                    }
                }
            });
        }
    });
    (address, connections, heads)
}

fn service(address: SocketAddr) -> ServiceVerifier {
    let base = format!("http://{address}/base/").parse().expect("an address");
    ServiceVerifier::new(ServiceRules { base, names: ClaimNames::default(), timeout: TIMEOUT }, clock())
        .expect("usable")
}

const AGREES: &str = "HTTP/1.1 200 OK\nx-user-payload: {\"userId\":\"u-1\",\"username\":\"alice\",\"email\":\"alice@example.test\"}\ncontent-length: 2\n\n{}";

#[tokio::test]
async fn the_service_is_asked_with_the_bearer_token_and_its_header_names_the_user() {
    let (address, connections, heads) = http_stub(AGREES, Duration::ZERO).await;
    let verifier = service(address);
    for _ in 0..5 {
        assert_eq!(verifier.verify("opaque-token").await, Ok(alice(None)));
    }
    assert_eq!(connections.load(Relaxed), 1, "one connection is used again");
    let heads = heads.lock().await.to_lowercase();
    assert!(heads.starts_with("get /base/api/v1/auth/verify-user http/1.1\r\n"), "{heads}");
    assert!(heads.contains("\r\nauthorization: bearer opaque-token\r\n"), "{heads}");
}

#[tokio::test]
async fn a_token_that_the_service_accepts_ends_when_it_says_so_itself() {
    let (address, ..) = http_stub(AGREES, Duration::ZERO).await;
    assert_eq!(service(address).verify(&token(&claims())).await, Ok(alice(Some(NOW_MS + 60_000))));
    let over = token(&with("exp", json!(NOW_S - 1)));
    assert_eq!(service(address).verify(&over).await, Err(AuthError::Expired));
}

#[tokio::test]
async fn answers_without_a_usable_user_are_refusals_and_failures_are_unavailability() {
    use AuthError::{Invalid, Unavailable};
    for (answer, expected) in [
        ("HTTP/1.1 401 No\ncontent-length: 0\n\n", Invalid),
        ("HTTP/1.1 403 No\ncontent-length: 0\n\n", Invalid),
        ("HTTP/1.1 200 OK\ncontent-length: 0\n\n", Invalid),
        ("HTTP/1.1 200 OK\nx-user-payload: {}\ncontent-length: 0\n\n", Invalid),
        ("HTTP/1.1 200 OK\nx-user-payload: [\"u-1\"]\ncontent-length: 0\n\n", Invalid),
        ("HTTP/1.1 200 OK\nx-user-payload: {\"userId\":\ncontent-length: 0\n\n", Invalid),
        ("HTTP/1.1 200 OK\ncontent-length: 31\n\n{\"userId\":\"u-1\",\"username\":\"a\"}", Invalid),
        ("HTTP/1.1 302 Found\nlocation: /elsewhere\ncontent-length: 0\n\n", Unavailable),
        ("HTTP/1.1 404 Not Found\ncontent-length: 0\n\n", Unavailable),
        ("HTTP/1.1 429 Slow\ncontent-length: 0\n\n", Unavailable),
        ("HTTP/1.1 500 Oops\ncontent-length: 0\n\n", Unavailable),
        ("gibberish\n\n", Unavailable),
    ] {
        let (address, ..) = http_stub(answer, Duration::ZERO).await;
        assert_eq!(service(address).verify("opaque").await, Err(expected), "{answer}");
    }
}

#[tokio::test]
async fn an_oversize_user_header_is_refused_and_an_endless_body_ends_with_the_time() {
    let long = format!(
        "HTTP/1.1 200 OK\nx-user-payload: {{\"userId\":\"u-1\",\"x\":\"{}\"}}\ncontent-length: 0\n\n",
        "x".repeat(9000)
    );
    let (address, ..) = http_stub(Box::leak(long.into_boxed_str()), Duration::ZERO).await;
    assert_eq!(service(address).verify("opaque").await, Err(AuthError::Invalid));
    let endless = format!("HTTP/1.1 200 OK\nx-a: {}\n", "x".repeat(100_000));
    let (address, ..) = http_stub(Box::leak(endless.into_boxed_str()), Duration::ZERO).await;
    assert_eq!(service(address).verify("opaque").await, Err(AuthError::Unavailable));
}

#[tokio::test]
async fn a_service_that_is_silent_slow_or_gone_is_unavailable_in_time() {
    let (silent, ..) = http_stub("", Duration::from_secs(60)).await;
    let (slow, ..) = http_stub(AGREES, TIMEOUT * 3).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    for address in [silent, slow, gone] {
        let verifier = service(address);
        let began = Instant::now();
        // Far more questions than may be in flight: those who wait for a place wait no longer than the others.
        let questions = (0..200).map(|_| verifier.verify("opaque"));
        for verdict in futures_util::future::join_all(questions).await {
            assert_eq!(verdict, Err(AuthError::Unavailable));
        }
        assert!(began.elapsed() < TIMEOUT * 5, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_not_even_asked_about() {
    let (address, connections, _) = http_stub(AGREES, Duration::ZERO).await;
    for token in ["a\r\nx-user-payload: {}", "a\0b", "a\nb"] {
        assert_eq!(service(address).verify(token).await, Err(AuthError::Invalid));
    }
    assert_eq!(connections.load(Relaxed), 0);
}

#[test]
fn only_plain_http_addresses_without_credentials_are_taken() {
    for base in ["https://auth", "auth:3000", "http://user:pass@auth", "ftp://auth", "/auth"] {
        let rules = ServiceRules { base: base.parse().expect("a URI"), names: ClaimNames::default(), timeout: TIMEOUT };
        assert!(ServiceVerifier::new(rules, clock()).is_err(), "{base}");
    }
}
