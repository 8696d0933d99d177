//! Arguments of events and acknowledgements: JSON in which bytes may stand anywhere.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{DecodeError, EncodeError};

const PLACEHOLDER: &str = "_placeholder";
const NUMBER: &str = "num";

/// One argument. JSON without bytes is always one [`Arg::Json`]; the other shapes stand only on the way to bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// JSON without bytes.
    Json(Value),
    /// Bytes, sent as an attachment.
    Binary(Bytes),
    /// An array with bytes somewhere below it.
    Array(Vec<Arg>),
    /// An object with bytes somewhere below it, in the order written.
    Object(Vec<(String, Arg)>),
}

impl Arg {
    /// The JSON, if there are no bytes in it.
    #[must_use]
    pub fn as_json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Binary(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The JSON, if there are no bytes in it.
    #[must_use]
    pub fn into_json(self) -> Option<Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Binary(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The bytes, if it is bytes.
    #[must_use]
    pub fn as_binary(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            Self::Json(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The field of this name, if it is an object with bytes below it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, arg)| arg),
            Self::Json(_) | Self::Binary(_) | Self::Array(_) => None,
        }
    }

    /// An array; plain JSON when nothing in it holds bytes.
    #[must_use]
    pub fn array(items: Vec<Self>) -> Self {
        if items.iter().all(|item| matches!(item, Self::Json(_))) {
            return Self::Json(Value::Array(items.into_iter().filter_map(Self::into_json).collect()));
        }
        Self::Array(items)
    }

    /// An object; plain JSON when nothing in it holds bytes.
    #[must_use]
    pub fn object(fields: Vec<(String, Self)>) -> Self {
        if fields.iter().all(|(_, arg)| matches!(arg, Self::Json(_))) {
            let json = |(name, arg): (String, Self)| arg.into_json().map(|value| (name, value));
            return Self::Json(Value::Object(fields.into_iter().filter_map(json).collect()));
        }
        Self::Object(fields)
    }

    /// Whether bytes stand anywhere in it. Never true for JSON: constructors keep that.
    pub(super) fn holds_binary(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Binary(_) => true,
            Self::Array(items) => items.iter().any(Self::holds_binary),
            Self::Object(fields) => fields.iter().any(|(_, arg)| arg.holds_binary()),
        }
    }

    /// The JSON to write, with each run of bytes moved to `attachments` and a placeholder in its place.
    pub(super) fn extract(&self, attachments: &mut Vec<Bytes>) -> Result<Value, EncodeError> {
        Ok(match self {
            Self::Json(value) if has_placeholder(value) => return Err(EncodeError::LooksLikePlaceholder),
            Self::Json(value) => value.clone(),
            Self::Binary(bytes) => {
                attachments.push(bytes.clone());
                json!({PLACEHOLDER: true, NUMBER: attachments.len() - 1})
            }
            Self::Array(items) => {
                Value::Array(items.iter().map(|item| item.extract(attachments)).collect::<Result<_, _>>()?)
            }
            Self::Object(fields) => {
                let mut map = Map::with_capacity(fields.len());
                for (name, arg) in fields {
                    map.insert(name.clone(), arg.extract(attachments)?);
                }
                if is_placeholder(&map) {
                    return Err(EncodeError::LooksLikePlaceholder);
                }
                Value::Object(map)
            }
        })
    }

    /// The reverse: each placeholder becomes its attachment (shared, not copied).
    pub(super) fn restore(value: Value, attachments: &[Bytes]) -> Result<Self, DecodeError> {
        if !has_placeholder(&value) {
            return Ok(Self::Json(value));
        }
        match value {
            Value::Object(map) if is_placeholder(&map) => {
                let number = map.get(NUMBER).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
                let bytes = number.and_then(|number| attachments.get(number));
                bytes.cloned().map(Self::Binary).ok_or(DecodeError::IllegalPlaceholder)
            }
            Value::Object(map) => {
                let field = |(name, value)| Ok((name, Self::restore(value, attachments)?));
                map.into_iter().map(field).collect::<Result<_, _>>().map(Self::object)
            }
            Value::Array(items) => items
                .into_iter()
                .map(|item| Self::restore(item, attachments))
                .collect::<Result<_, _>>()
                .map(Self::array),
            scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(Self::Json(scalar)),
        }
    }
}

impl From<Value> for Arg {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl From<Bytes> for Arg {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

fn is_placeholder(map: &Map<String, Value>) -> bool {
    map.get(PLACEHOLDER) == Some(&Value::Bool(true))
}

fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::Object(map) => is_placeholder(map) || map.values().any(has_placeholder),
        Value::Array(items) => items.iter().any(has_placeholder),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
