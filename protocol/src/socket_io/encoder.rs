//! Packet -> text and attachments.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Arg, Body, EncodeError, MAIN_NAMESPACE, Packet, RESERVED_EVENTS};

/// A packet as the layer below carries it: one text message, then the attachments in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The packet's text.
    pub text: String,
    /// Its attachments.
    pub attachments: Vec<Bytes>,
}

impl Packet {
    /// The packet as text and attachments.
    ///
    /// # Errors
    /// [`EncodeError`] when the event's name is reserved, the namespace is no name, or JSON beside an attachment could be taken for one.
    pub fn encode(&self) -> Result<Encoded, EncodeError> {
        check_namespace(&self.namespace)?;
        let (text, attachments) = match &self.body {
            Body::Connect(payload) => (plain('0', &self.namespace, None, payload.as_ref()), Vec::new()),
            Body::Disconnect => (plain('1', &self.namespace, None, None::<&Value>), Vec::new()),
            Body::Event { name, args, id } => {
                if RESERVED_EVENTS.contains(&name.as_str()) {
                    return Err(EncodeError::ReservedEvent(name.clone()));
                }
                with_args(['2', '5'], &self.namespace, *id, Some(name), args)?
            }
            Body::Ack { id, args } => with_args(['3', '6'], &self.namespace, Some(*id), None, args)?,
            Body::ConnectError { message, data } => {
                let mut payload = Map::new();
                payload.insert("message".to_owned(), Value::from(message.as_str()));
                if let Some(data) = data {
                    payload.insert("data".to_owned(), data.clone());
                }
                (plain('4', &self.namespace, None, Some(&payload)), Vec::new())
            }
        };
        Ok(Encoded { text, attachments })
    }
}

fn check_namespace(namespace: &str) -> Result<(), EncodeError> {
    if namespace.starts_with('/') && !namespace.contains(',') {
        Ok(())
    } else {
        Err(EncodeError::MalformedNamespace(namespace.to_owned()))
    }
}

fn plain<T: Serialize>(digit: char, namespace: &str, id: Option<u64>, payload: Option<T>) -> String {
    let mut text = String::from(digit);
    push_header(&mut text, namespace, id);
    if let Some(payload) = payload {
        push_json(&mut text, &payload);
    }
    text
}

fn with_args(
    [text_digit, binary_digit]: [char; 2],
    namespace: &str,
    id: Option<u64>,
    name: Option<&String>,
    args: &[Arg],
) -> Result<(String, Vec<Bytes>), EncodeError> {
    let mut attachments = Vec::new();
    if !args.iter().any(Arg::holds_binary) {
        let json = Sequence { name, args };
        return Ok((plain(text_digit, namespace, id, Some(json)), attachments));
    }
    let name = name.map(|name| Ok(Value::from(name.as_str())));
    let args = args.iter().map(|arg| arg.extract(&mut attachments));
    let payload = name.into_iter().chain(args).collect::<Result<Vec<Value>, _>>()?;
    let mut text = format!("{binary_digit}{}-", attachments.len());
    push_header(&mut text, namespace, id);
    push_json(&mut text, &payload);
    Ok((text, attachments))
}

fn push_header(text: &mut String, namespace: &str, id: Option<u64>) {
    if namespace != MAIN_NAMESPACE {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = id {
        text.push_str(&id.to_string());
    }
}

fn push_json<T: Serialize>(text: &mut String, payload: &T) {
    text.push_str(&serde_json::to_string(payload).expect("JSON values always serialise"));
}

/// `[name, arg, ...]` without copying the arguments first.
struct Sequence<'a> {
    name: Option<&'a String>,
    args: &'a [Arg],
}

impl Serialize for Sequence<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut sequence = serializer.serialize_seq(None)?;
        if let Some(name) = self.name {
            sequence.serialize_element(name)?;
        }
        for value in self.args.iter().filter_map(Arg::as_json) {
            sequence.serialize_element(value)?;
        }
        sequence.end()
    }
}
