//! Text and attachments -> packet, one connection's stream at a time.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    Arg, Body, DecodeError, Limits, Packet, RESERVED_EVENTS,
    header::{self, Header, Kind},
    json,
};

/// Reads the packets of one connection. At most one packet waits for attachments; its memory is bounded by [`Limits`].
///
/// After an error the stream means nothing any more: close the connection and drop the decoder.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    waiting: Option<Waiting>,
}

/// A packet whose attachments have not all come.
#[derive(Debug)]
struct Waiting {
    kind: Kind,
    namespace: String,
    id: Option<u64>,
    payload: Value,
    attachments: Vec<Bytes>,
    expected: usize,
    bytes: usize,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, waiting: None }
    }

    /// Reads a text message; the packet, unless attachments must follow.
    ///
    /// # Errors
    /// [`DecodeError`] when the text is no packet, is beyond the limits, or comes where an attachment is due.
    pub fn text(&mut self, text: &str) -> Result<Option<Packet>, DecodeError> {
        if let Some(waiting) = &self.waiting {
            return Err(DecodeError::MissingAttachments { missing: waiting.expected - waiting.attachments.len() });
        }
        if text.len() > self.limits.text_bytes_max {
            return Err(DecodeError::TooLarge { what: "bytes of text", max: self.limits.text_bytes_max });
        }
        let header = header::read(text, &self.limits)?;
        let payload = if header.json.is_empty() { None } else { Some(json::parse(header.json, &self.limits)?) };
        let Header { kind, attachments: expected, namespace, id, .. } = header;
        if expected == 0 {
            return assemble(kind, namespace.to_owned(), id, payload, &[]).map(Some);
        }
        let payload = payload.ok_or(DecodeError::UnexpectedPayload { expected: "an array" })?;
        let namespace = namespace.to_owned();
        self.waiting = Some(Waiting { kind, namespace, id, payload, attachments: Vec::new(), expected, bytes: 0 });
        Ok(None)
    }

    /// Reads an attachment; the packet, once all have come.
    ///
    /// # Errors
    /// [`DecodeError`] when none is due, the limits are exceeded, or the packet that it completes is malformed.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, DecodeError> {
        let waiting = self.waiting.as_mut().ok_or(DecodeError::UnexpectedAttachment)?;
        waiting.bytes += bytes.len();
        if waiting.bytes > self.limits.attachment_bytes_max {
            self.waiting = None;
            return Err(DecodeError::TooLarge { what: "bytes of attachments", max: self.limits.attachment_bytes_max });
        }
        waiting.attachments.push(bytes);
        if waiting.attachments.len() < waiting.expected {
            return Ok(None);
        }
        let whole = self.waiting.take().ok_or(DecodeError::UnexpectedAttachment)?;
        assemble(whole.kind, whole.namespace, whole.id, Some(whole.payload), &whole.attachments).map(Some)
    }

    /// Bytes held for a packet whose attachments have not all come.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }
}

fn assemble(
    kind: Kind,
    namespace: String,
    id: Option<u64>,
    payload: Option<Value>,
    attachments: &[Bytes],
) -> Result<Packet, DecodeError> {
    let binary = matches!(kind, Kind::BinaryEvent | Kind::BinaryAck);
    let body = match kind {
        Kind::Connect => Body::Connect(payload.map(object).transpose()?),
        Kind::Disconnect if payload.is_some() => return Err(DecodeError::UnexpectedPayload { expected: "none" }),
        Kind::Disconnect => Body::Disconnect,
        Kind::Event | Kind::BinaryEvent => event(array(payload)?, id, binary, attachments)?,
        Kind::Ack | Kind::BinaryAck => {
            Body::Ack { id: id.ok_or(DecodeError::AckId)?, args: args(array(payload)?, binary, attachments)? }
        }
        Kind::ConnectError => connect_error(payload)?,
    };
    Ok(Packet { namespace, body })
}

fn event(mut items: Vec<Value>, id: Option<u64>, binary: bool, attachments: &[Bytes]) -> Result<Body, DecodeError> {
    if items.is_empty() {
        return Err(DecodeError::UnexpectedPayload { expected: "an array with the event's name" });
    }
    let name = match items.remove(0) {
        Value::String(name) if RESERVED_EVENTS.contains(&name.as_str()) => return Err(DecodeError::ReservedEvent),
        Value::String(name) => name,
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(DecodeError::UnexpectedPayload { expected: "a name that is a string or a number" });
        }
    };
    Ok(Body::Event { name, args: args(items, binary, attachments)?, id })
}

fn args(items: Vec<Value>, binary: bool, attachments: &[Bytes]) -> Result<Vec<Arg>, DecodeError> {
    if !binary {
        return Ok(items.into_iter().map(Arg::Json).collect());
    }
    items.into_iter().map(|item| Arg::restore(item, attachments)).collect()
}

fn connect_error(payload: Option<Value>) -> Result<Body, DecodeError> {
    let expected = "a string, or an object with a message";
    match payload {
        Some(Value::String(message)) => Ok(Body::ConnectError { message, data: None }),
        Some(Value::Object(mut map)) => {
            let message = map.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok(Body::ConnectError { message, data: map.remove("data") })
        }
        None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            Err(DecodeError::UnexpectedPayload { expected })
        }
    }
}

fn object(payload: Value) -> Result<Map<String, Value>, DecodeError> {
    match payload {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(DecodeError::UnexpectedPayload { expected: "an object" })
        }
    }
}

fn array(payload: Option<Value>) -> Result<Vec<Value>, DecodeError> {
    match payload {
        Some(Value::Array(items)) => Ok(items),
        None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            Err(DecodeError::UnexpectedPayload { expected: "an array" })
        }
    }
}
