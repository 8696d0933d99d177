//! With a certificate clients are served over TLS: HTTP/1.1 and WebSockets on it, on both engines, however the bytes are cut.
#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall stop there")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use chatwright_server::{Config, StartError, config::TlsFiles, transport::EngineKind};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use support::{PATIENCE, server};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate of its own for `localhost`.
fn files(folder: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

/// A stream to the server whose certificate it trusts.
fn dial(address: SocketAddr, files: &TlsFiles, protocols: &[&str]) -> Stream {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(connection, stream)
}

/// The next text that is no ping; pings are answered.
fn text(socket: &mut WebSocket<Stream>) -> String {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) if text.as_str() == "2" => socket.send(Message::text("3")).unwrap(),
            Message::Text(text) => return text.as_str().to_owned(),
            other @ (Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_)) => {
                panic!("unexpected {other:?}")
            }
        }
    }
}

fn in_room(address: SocketAddr, files: &TlsFiles, user: &str) -> WebSocket<Stream> {
    let url = format!("wss://localhost:{}/socket.io/?EIO=4&transport=websocket", address.port());
    let (mut socket, _) = client(url, dial(address, files, &["http/1.1"])).unwrap();
    assert!(text(&mut socket).starts_with("0{"));
    let auth = json!({"token": server::token(user, Duration::from_secs(60))});
    socket.send(Message::text(format!("40{auth}"))).unwrap();
    assert!(text(&mut socket).starts_with("40{"));
    socket.send(Message::text(r#"42["join_room",{"roomId":"room"}]"#)).unwrap();
    while !text(&mut socket).starts_with("42[\"room_users\"") {}
    socket
}

async fn encrypted(engine_kind: EngineKind, files: &TlsFiles) -> server::Instance {
    server::with(Config { tls: Some(files.clone()), engine_kind, ..server::config() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_arrive_whole_and_in_order_over_tls_on_every_engine() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    for &engine in EngineKind::ALL {
        let server = encrypted(engine, &files).await;
        let (address, files) = (server.address, files.clone());
        let talk = move || {
            let mut alice = in_room(address, &files, "alice");
            for round in 0..200 {
                let said = format!("{round} {}", "x".repeat(4000));
                let event = json!(["send_message", {"roomId": "room", "message": said}]);
                alice.send(Message::text(format!("42{event}"))).unwrap();
            }
            for round in 0..200 {
                let packet = text(&mut alice);
                let event: Value = serde_json::from_str(packet.strip_prefix("42").unwrap()).unwrap();
                assert_eq!(event[0], "new_message", "{event}");
                assert_eq!(event[1]["message"], format!("{round} {}", "x".repeat(4000)));
            }
        };
        tokio::task::spawn_blocking(talk).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_is_answered_over_tls_and_nothing_is_answered_without() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let server = encrypted(server::engine_kind(), &files).await;
    let address = server.address;
    let ask = move || {
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut stream = dial(address, &files, &["h2", "http/1.1"]);
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap(); // an end without close_notify would be an error
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(stream.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));

        let mut plain = TcpStream::connect(address).unwrap();
        plain.set_read_timeout(Some(PATIENCE)).unwrap();
        plain.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer); // an alert, and the end
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    };
    tokio::task::spawn_blocking(ask).await.unwrap();
}

#[tokio::test]
async fn files_that_are_of_no_use_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(folder.path());
    let missing = folder.path().join("missing.pem");
    for (files, named) in [
        (TlsFiles { certificate: missing.clone(), ..good.clone() }, "missing.pem"),
        (TlsFiles { key: missing, ..good.clone() }, "missing.pem"),
        (TlsFiles { certificate: good.key.clone(), ..good }, "key.pem"),
    ] {
        let started = chatwright_server::Server::start(Config { tls: Some(files), ..server::config() }).await;
        let Err(problem @ StartError::Tls(_)) = started else { panic!("{named}: it started") };
        assert!(problem.to_string().contains(named), "{problem}");
    }
}
