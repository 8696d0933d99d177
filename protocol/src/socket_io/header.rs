//! `<type>[<attachments>-][<namespace>,][<id>]`: what stands before the JSON of a packet.

use super::{DecodeError, Limits, MAIN_NAMESPACE};

/// The type digits of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

/// A packet's header and the text that follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) kind: Kind,
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    pub(super) id: Option<u64>,
    pub(super) json: &'a str,
}

pub(super) fn read<'a>(text: &'a str, limits: &Limits) -> Result<Header<'a>, DecodeError> {
    let mut chars = text.chars();
    let kind = match chars.next().ok_or(DecodeError::Empty)? {
        '0' => Kind::Connect,
        '1' => Kind::Disconnect,
        '2' => Kind::Event,
        '3' => Kind::Ack,
        '4' => Kind::ConnectError,
        '5' => Kind::BinaryEvent,
        '6' => Kind::BinaryAck,
        other => return Err(DecodeError::UnknownType(other)),
    };
    let rest = chars.as_str();
    let (attachments, rest) = match kind {
        Kind::BinaryEvent | Kind::BinaryAck => read_attachments(rest, limits)?,
        Kind::Connect | Kind::Disconnect | Kind::Event | Kind::Ack | Kind::ConnectError => (0, rest),
    };
    let (namespace, rest) = read_namespace(rest, limits)?;
    let (id, json) = read_id(rest)?;
    Ok(Header { kind, attachments, namespace, id, json })
}

fn read_attachments<'a>(rest: &'a str, limits: &Limits) -> Result<(usize, &'a str), DecodeError> {
    let (digits, rest) = split_digits(rest);
    let rest = rest.strip_prefix('-').ok_or(DecodeError::AttachmentCount)?;
    if digits.is_empty() {
        return Err(DecodeError::AttachmentCount);
    }
    let too_many = DecodeError::TooLarge { what: "attachments", max: limits.attachments_max };
    match digits.parse::<usize>() {
        Ok(number) if number <= limits.attachments_max => Ok((number, rest)),
        Ok(_) | Err(_) => Err(too_many),
    }
}

fn read_namespace<'a>(rest: &'a str, limits: &Limits) -> Result<(&'a str, &'a str), DecodeError> {
    if !rest.starts_with('/') {
        return Ok((MAIN_NAMESPACE, rest));
    }
    let (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
    if namespace.len() > limits.namespace_bytes_max {
        return Err(DecodeError::TooLarge { what: "bytes of a namespace", max: limits.namespace_bytes_max });
    }
    Ok((namespace, rest))
}

fn read_id(rest: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let (digits, rest) = split_digits(rest);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    digits.parse().map(|id| (Some(id), rest)).map_err(|_| DecodeError::AckId)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}
