//! What a request to the engine's path asks for, or why it is refused: pure, in the order of the official server's checks.
//!
//! Codes and words of refusals are the official server's (`engine.io/lib/server.ts`); the protocol's text asks for status 400 only.

use std::borrow::Cow;

use chatwright_protocol::engine_io::EIO;
use http::{Method, StatusCode};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// A new session, read by polls.
    OpenPolling,
    /// A new session on a WebSocket.
    OpenWebSocket,
    /// What waits for a session.
    Poll(Cow<'a, str>),
    /// To take what a session's client says.
    Post(Cow<'a, str>),
    /// To move a session to a WebSocket.
    Upgrade(Cow<'a, str>),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    UnknownTransport,
    UnknownSession,
    HandshakeMethod,
    BadRequest,
    Version,
    /// There are as many sessions as allowed, or they come too fast, or the server stops.
    Full,
}

impl Refused {
    /// Status, code and message.
    pub(super) fn words(self) -> (StatusCode, u8, &'static str) {
        match self {
            Self::UnknownTransport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Self::UnknownSession => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Self::HandshakeMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Self::Version => (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, 4, "Server is full"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Polling,
    WebSocket,
}

/// Reads a request's method and query. `upgrades`: it asks to become a WebSocket.
pub(super) fn read<'a>(method: &Method, query: &'a str, upgrades: bool) -> Result<Ask<'a>, Refused> {
    let transport = match value(query, "transport")?.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        Some(_) | None => return Err(Refused::UnknownTransport),
    };
    let session = value(query, "sid")?;
    if session.is_none() && method != Method::GET {
        return Err(Refused::HandshakeMethod);
    }
    if transport == Transport::WebSocket && !(upgrades && method == Method::GET) {
        return Err(Refused::BadRequest);
    }
    if value(query, "EIO")?.as_deref() != Some(EIO) {
        return Err(Refused::Version);
    }
    match (transport, session) {
        (Transport::Polling, None) => Ok(Ask::OpenPolling),
        (Transport::WebSocket, None) => Ok(Ask::OpenWebSocket),
        (Transport::WebSocket, Some(sid)) => Ok(Ask::Upgrade(sid)),
        (Transport::Polling, Some(sid)) if method == Method::GET => Ok(Ask::Poll(sid)),
        (Transport::Polling, Some(sid)) if method == Method::POST => Ok(Ask::Post(sid)),
        (Transport::Polling, Some(_)) => Err(Refused::BadRequest),
    }
}

/// The value of a parameter. Twice the same parameter contradicts itself: a proxy in front may have looked at the other one.
fn value<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Refused> {
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => value.map(decoded).transpose(),
        (_, Some(_)) => Err(Refused::BadRequest),
    }
}

/// What a value says, percent-encoded or not.
fn decoded(value: &str) -> Result<Cow<'_, str>, Refused> {
    if !value.contains('%') {
        return Ok(Cow::Borrowed(value));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let [first, behind @ ..] = rest {
        rest = behind;
        let byte = if *first == b'%' {
            let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            let digits = digits.and_then(|digits| str::from_utf8(digits).ok()).ok_or(Refused::BadRequest)?;
            rest = &rest[2..];
            u8::from_str_radix(digits, 16).map_err(|_| Refused::BadRequest)?
        } else {
            *first
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Refused::BadRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_whatever_stands_beside() {
        let get = |query, upgrades| read(&Method::GET, query, upgrades);
        assert_eq!(get("EIO=4&transport=polling&t=abc&b64=1", false), Ok(Ask::OpenPolling));
        assert_eq!(get("transport=websocket&EIO=4", true), Ok(Ask::OpenWebSocket));
        assert_eq!(get("EIO=4&transport=polling&sid=a-b", true), Ok(Ask::Poll("a-b".into())));
        assert_eq!(get("EIO=4&transport=websocket&sid=a", true), Ok(Ask::Upgrade("a".into())));
        assert_eq!(get("EIO=%34&transport=%70olling&sid=%61%2D", false), Ok(Ask::Poll("a-".into())));
        assert_eq!(get("EIO=4&transport=polling&x=%zz", false), Ok(Ask::OpenPolling));
        assert_eq!(read(&Method::POST, "EIO=4&transport=polling&sid=a", false), Ok(Ask::Post("a".into())));
    }

    #[test]
    fn each_mistake_has_its_code() {
        for (method, query, upgrades, refused) in [
            (Method::GET, "", false, Refused::UnknownTransport),
            (Method::GET, "EIO=4&transport=grpc", false, Refused::UnknownTransport),
            (Method::GET, "EIO=4&transport=__proto__", false, Refused::UnknownTransport),
            (Method::POST, "EIO=4&transport=polling", false, Refused::HandshakeMethod),
            (Method::GET, "EIO=4&transport=websocket", false, Refused::BadRequest),
            (Method::POST, "EIO=4&transport=websocket&sid=a", true, Refused::BadRequest),
            (Method::PUT, "EIO=4&transport=polling&sid=a", false, Refused::BadRequest),
            (Method::GET, "EIO=4&EIO=4&transport=polling", false, Refused::BadRequest),
            (Method::GET, "EIO=4&transport=polling&sid=a&sid=b", false, Refused::BadRequest),
            (Method::GET, "transport=polling", false, Refused::Version),
            (Method::GET, "EIO=&transport=polling", false, Refused::Version),
            (Method::GET, "EIO=04&transport=polling", false, Refused::Version),
            (Method::GET, "EIO=4&transport=polling&sid=%f", false, Refused::BadRequest),
            (Method::GET, "EIO=4&transport=polling&sid=%ff", false, Refused::BadRequest),
        ] {
            assert_eq!(read(&method, query, upgrades), Err(refused), "{method} {query}");
        }
    }
}
