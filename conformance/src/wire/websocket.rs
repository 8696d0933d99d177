//! The WebSocket handshake of a client, and the loop that reads what the server sends.

use std::collections::VecDeque;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedWriteHalf},
};

use super::{Answer, Dial, Frame, dial, frame::CLOSE};

/// RFC 6455 1.3.
pub(super) const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The longest head of an answer that is read.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The longest body of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// What came of a handshake.
pub(crate) enum Handshake {
    /// Accepted: the stream, and the bytes behind the answer's head.
    Accepted(TcpStream, Vec<u8>, Answer),
    /// Another status.
    Refused(Answer),
}

/// Asks for a WebSocket at this path.
///
/// # Errors
/// No connection, no HTTP, or an accepted handshake that RFC 6455 forbids.
pub(crate) async fn handshake(
    to: &Dial,
    path: &str,
    headers: &[(String, String)],
    rng: &mut ChaCha8Rng,
) -> Result<Handshake, String> {
    let mut stream = dial(to).await?;
    let key = STANDARD.encode(rng.random::<[u8; 16]>());
    stream
        .write_all(request(to, path, headers, &key).as_bytes())
        .await
        .map_err(|e| format!("the handshake was not taken: {e}"))?;
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if read.len() > HEAD_BYTES_MAX {
            return Err(format!("the head of the answer is longer than {HEAD_BYTES_MAX} bytes"));
        }
        let count = stream.read_buf(&mut read).await.map_err(|e| format!("no answer to the handshake: {e}"))?;
        if count == 0 {
            return Err("the connection was closed without an answer to the handshake".to_owned());
        }
    };
    let rest = read.split_off(head_end);
    let mut answer = parse_head(&String::from_utf8_lossy(&read))?;
    if answer.status != 101 {
        answer.body = refusal_body(&mut stream, rest, &answer).await;
        return Ok(Handshake::Refused(answer));
    }
    check(&answer, &key, headers)?;
    Ok(Handshake::Accepted(stream, rest, answer))
}

fn request(to: &Dial, path: &str, headers: &[(String, String)], key: &str) -> String {
    let own = [
        ("Host", to.address.authority()),
        ("Upgrade", "websocket".to_owned()),
        ("Connection", "Upgrade".to_owned()),
        ("Sec-WebSocket-Key", key.to_owned()),
        ("Sec-WebSocket-Version", "13".to_owned()),
    ];
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in
        own.iter().filter(|(name, _)| !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)))
    {
        text += &format!("{name}: {value}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n"
}

fn parse_head(head: &str) -> Result<Answer, String> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| format!("the answer to the handshake is not HTTP/1.1: `{first}`"))?;
    let headers = lines
        .filter(|line| !line.is_empty())
        .map(|line| match line.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
            None => Err(format!("a header line without a colon: `{line}`")),
        })
        .collect::<Result<_, _>>()?;
    Ok(Answer { status, headers, body: Vec::new() })
}

/// As much of a refusal's body as `Content-Length` says, or as comes before the connection ends.
async fn refusal_body(stream: &mut TcpStream, mut body: Vec<u8>, answer: &Answer) -> Vec<u8> {
    let wanted = answer.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0).min(REFUSAL_BYTES_MAX);
    while body.len() < wanted {
        match stream.read_buf(&mut body).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    body
}

/// RFC 6455 4.1: what a client must check. A case that sends a key of its own checks `Accept` itself.
fn check(answer: &Answer, key: &str, asked: &[(String, String)]) -> Result<(), String> {
    let is = |name: &str, word: &str| {
        answer.header(name).is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    if !is("upgrade", "websocket") || !is("connection", "upgrade") {
        return Err("101 without `Upgrade: websocket` and `Connection: Upgrade`".to_owned());
    }
    let asked_for = |name: &str| asked.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let wanted = STANDARD.encode(Sha1::digest(format!("{key}{ACCEPT_GUID}")));
    let accept = answer.header("sec-websocket-accept").unwrap_or_default();
    if !asked_for("sec-websocket-key") && accept != wanted {
        return Err(format!("Sec-WebSocket-Accept is `{accept}` and not `{wanted}`"));
    }
    for name in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        if let Some(value) = answer.header(name).filter(|_| !asked_for(name)) {
            return Err(format!("`{name}: {value}` was never asked for"));
        }
    }
    Ok(())
}

/// Answers to pings that wait while the case is in the middle of a frame or message; a server pings far less often than this.
const ANSWERS_WAITING_MAX: usize = 16;

/// The sending half of a WebSocket; masks with keys from the run's seed.
pub(crate) struct FrameWriter {
    half: OwnedWriteHalf,
    /// Makes the keys of a client's masks; a server has none.
    keys: Option<ChaCha8Rng>,
    has_closed: bool,
    /// What the case has written by hand of a frame that is not whole yet.
    unfinished: Vec<u8>,
    /// The case has begun a message in fragments and not ended it: only control frames may come in between (RFC 6455, 5.4).
    in_fragments: bool,
    /// Answers to pings that would tear what the case is writing.
    answers: VecDeque<Frame>,
}

impl FrameWriter {
    pub(crate) fn new(half: OwnedWriteHalf, rng: ChaCha8Rng) -> Self {
        let (unfinished, answers) = (Vec::new(), VecDeque::new());
        Self { half, keys: Some(rng), has_closed: false, unfinished, in_fragments: false, answers }
    }

    /// The sending half of a server, which masks nothing.
    pub(crate) fn of_server(half: OwnedWriteHalf) -> Self {
        let (unfinished, answers) = (Vec::new(), VecDeque::new());
        Self { half, keys: None, has_closed: false, unfinished, in_fragments: false, answers }
    }

    pub(crate) fn key(&mut self) -> Option<[u8; 4]> {
        self.keys.as_mut().map(Rng::random)
    }

    /// A well-formed frame.
    pub(crate) async fn whole(&mut self, opcode: u8, payload: Vec<u8>) -> std::io::Result<()> {
        let frame = Frame::whole(opcode, self.key(), payload);
        self.frame(&frame).await
    }

    /// Any frame.
    pub(crate) async fn frame(&mut self, frame: &Frame) -> std::io::Result<()> {
        self.has_closed |= frame.opcode == CLOSE;
        if !frame.is_control() {
            self.in_fragments = !frame.fin;
        }
        self.write(&frame.encode()).await?;
        self.catch_up().await
    }

    /// The answer to a ping, as soon as it tears nothing that the case is writing.
    pub(crate) async fn answer(&mut self, opcode: u8, payload: Vec<u8>) -> std::io::Result<()> {
        let frame = Frame::whole(opcode, self.key(), payload);
        if self.answers.len() < ANSWERS_WAITING_MAX {
            self.answers.push_back(frame);
        }
        self.catch_up().await
    }

    async fn catch_up(&mut self) -> std::io::Result<()> {
        while self.unfinished.is_empty()
            && self.answers.front().is_some_and(|answer| answer.is_control() || !self.in_fragments)
            && let Some(answer) = self.answers.pop_front()
        {
            self.write(&answer.encode()).await?;
        }
        Ok(())
    }

    /// Answers a close frame, unless a close frame was sent before.
    pub(crate) async fn close_once(&mut self, payload: Vec<u8>) -> std::io::Result<()> {
        if self.has_closed { Ok(()) } else { self.whole(CLOSE, payload).await }
    }

    /// Ends the sending half of the connection.
    pub(crate) async fn end(&mut self) -> std::io::Result<()> {
        self.half.shutdown().await
    }

    /// Bytes as they are, which may be any part of a frame.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.unfinished.extend(bytes);
        while let Some(length) = whole_frame(&self.unfinished) {
            self.unfinished.drain(..length);
        }
        self.write(bytes).await?;
        self.catch_up().await
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.half.write_all(bytes).await?;
        self.half.flush().await
    }
}

/// The length of the frame that stands at the front, header included; `None` while a part of it is missing (RFC 6455, 5.2).
fn whole_frame(bytes: &[u8]) -> Option<usize> {
    let second = *bytes.get(1)?;
    let (extended, short) = match second & 0x7f {
        126 => (2, None),
        127 => (8, None),
        length => (0, Some(usize::from(length))),
    };
    let payload = match short {
        Some(length) => length,
        None => bytes.get(2..2 + extended)?.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte)),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let length = payload.checked_add(2 + extended + mask)?;
    (bytes.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::whole_frame;

    #[test]
    fn a_frame_written_by_hand_is_whole_with_its_last_byte() {
        let masked = [0x81, 0x86, 0, 0, 0, 0, b'4', b'0', b'/', b'n', b'o', b','];
        for end in 0..masked.len() {
            assert_eq!(whole_frame(&masked[..end]), None, "{end}");
        }
        assert_eq!(whole_frame(&masked), Some(12));
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        assert_eq!((whole_frame(&long[..259]), whole_frame(&long)), (None, Some(260)));
    }
}
