//! Bytes as an attacker sends them: HTTP by hand, and WebSocket frames that no library would make.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::support::{PATIENCE, server};

/// An answer to a request made by hand.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends bytes and reads the answer up to the end of the connection; `None` if it ended without an answer.
pub(crate) async fn http(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request.as_ref()).await; // the server may have seen enough
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection ends in bounded time");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The status alone; 0 if the connection ended without an answer.
pub(crate) async fn status(address: SocketAddr, request: impl AsRef<[u8]>) -> u16 {
    http(address, request).await.map_or(0, |answer| answer.status)
}

/// A request that asks for the end of the connection behind its answer.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

/// Below this path a session polls.
pub(crate) fn poll_path(sid: &str) -> String {
    format!("/socket.io/?EIO=4&transport=polling&sid={sid}")
}

/// A new polling session's id.
pub(crate) async fn session(address: SocketAddr) -> String {
    let answer = http(address, request("GET", "/socket.io/?EIO=4&transport=polling", &[], "")).await.unwrap();
    let open: Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// A polling session of a verified user.
pub(crate) async fn session_of(address: SocketAddr, user: &str) -> String {
    let sid = session(address).await;
    let connect = format!("40{}", json!({"token": server::token(user, Duration::from_secs(600))}));
    assert_eq!(status(address, request("POST", &poll_path(&sid), &[], &connect)).await, 200);
    sid
}

/// The head of a WebSocket opening with these lines changed (empty: left out).
pub(crate) fn opening(target: &str, changed: &[(&str, &str)]) -> String {
    let usual = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let kept = usual.into_iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let mut text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n");
    for (name, value) in kept.chain(changed.iter().copied().filter(|(_, value)| !value.is_empty())) {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n"
}

/// One frame: its first byte, its payload, masked as a client must.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => bytes.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]); // a mask of zeros changes nothing
    bytes.extend(payload);
    bytes
}

/// A WebSocket whose every byte is under control.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Raw {
    /// A TCP connection on which the server said 101 to this opening.
    pub(crate) async fn open(address: SocketAddr, target: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(opening(target, &[]).as_bytes()).await.unwrap();
        let mut raw = Self { stream, unread: Vec::new() };
        while !raw.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(raw.fill().await, "no answer to the opening");
        }
        let end = raw.unread.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head: Vec<u8> = raw.unread.drain(..end).collect();
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        raw
    }

    /// A verified user in the main namespace.
    pub(crate) async fn of(address: SocketAddr, user: &str) -> Self {
        let mut raw = Self::open(address, "/socket.io/?EIO=4&transport=websocket").await;
        let connect = format!("40{}", json!({"token": server::token(user, Duration::from_secs(600))}));
        raw.send(&frame(0x81, connect.as_bytes())).await;
        while !raw.frame().await.expect("an answer to CONNECT").1.starts_with(b"40") {}
        raw
    }

    /// Writes bytes; `false` if the server is gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame's opcode and payload; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, start, end)) = self.whole() {
                let payload = self.unread[start..end].to_vec();
                self.unread.drain(..end);
                return Some((opcode, payload));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads to the end of the connection; the code of a close frame, if one came.
    pub(crate) async fn ended(mut self) -> Option<u16> {
        let mut code = None;
        while let Some((opcode, payload)) = self.frame().await {
            if opcode == 8 {
                code = payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
            }
        }
        code
    }

    fn whole(&self) -> Option<(u8, usize, usize)> {
        let (first, second) = (*self.unread.first()?, *self.unread.get(1)?);
        let (start, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes(*self.unread.get(2..4)?.first_chunk()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(*self.unread.get(2..10)?.first_chunk()?)).unwrap()),
            length => (2, usize::from(length)),
        };
        (self.unread.len() >= start + length).then_some((first & 0x0F, start, start + length))
    }

    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer))
            .await
            .expect("something comes, or the end, in bounded time");
        match read {
            Ok(0) | Err(_) => false,
            Ok(bytes) => {
                self.unread.extend_from_slice(&buffer[..bytes]);
                true
            }
        }
    }
}
