//! What goes over the wire, as data: JSON that may also hold bytes, because Socket.IO carries attachments inside its arguments.

use std::fmt;

use serde_json::{Number, Value as Json};

/// A piece of data. Objects keep the order of their fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// Bytes: an attachment, a binary message.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Datum>),
    /// An object.
    Object(Vec<(String, Datum)>),
}

impl Datum {
    /// An object from its fields.
    pub fn object<const N: usize>(fields: [(&str, Datum); N]) -> Self {
        Self::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    /// A field of an object.
    pub fn field(&self, name: &str) -> Option<&Datum> {
        match self {
            Self::Object(fields) => fields.iter().find(|(k, _)| k == name).map(|(_, v)| v),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one without a fraction and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(number) = self { number.as_u64() } else { None }
    }

    /// The bytes, if it is such.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// What stands for it inside a longer text: a string as it is, everything else as JSON.
    pub fn to_plain(&self) -> String {
        self.as_text().map_or_else(|| self.to_string(), ToOwned::to_owned)
    }

    /// Equal as JSON values: `1` and `1.0` are the same number, the order of fields does not count.
    pub fn same(&self, other: &Datum) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b || (a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64())),
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, value)| other.field(name).is_some_and(|o| value.same(o)))
            }
            (a, b) => a == b,
        }
    }

    /// Names every field of every object inside anew.
    pub fn rename_fields(&mut self, rename: &dyn Fn(&str) -> Option<String>) {
        match self {
            Self::Object(fields) => {
                for (name, value) in fields {
                    if let Some(new) = rename(name) {
                        *name = new;
                    }
                    value.rename_fields(rename);
                }
            }
            Self::List(items) => items.iter_mut().for_each(|item| item.rename_fields(rename)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Bytes(_) => {}
        }
    }

    /// As JSON; bytes become what `attach` says (a placeholder, or an error's text).
    pub fn to_json(&self, attach: &mut dyn FnMut(&[u8]) -> Json) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Number(n) => Json::Number(n.clone()),
            Self::Text(t) => Json::String(t.clone()),
            Self::Bytes(b) => attach(b),
            Self::List(items) => Json::Array(items.iter().map(|i| i.to_json(attach)).collect()),
            Self::Object(fields) => Json::Object(fields.iter().map(|(k, v)| (k.clone(), v.to_json(attach))).collect()),
        }
    }

    /// As JSON for a carrier that has no attachments: bytes become an array of numbers.
    pub fn to_plain_json(&self) -> Json {
        self.to_json(&mut |bytes| Json::Array(bytes.iter().map(|b| Json::from(*b)).collect()))
    }
}

impl From<Json> for Datum {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => Self::Number(n),
            Json::String(s) => Self::Text(s),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(fields) => Self::Object(fields.into_iter().map(|(k, v)| (k, Self::from(v))).collect()),
        }
    }
}

impl fmt::Display for Datum {
    /// In the case language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(t) => write!(f, "{}", Json::String(t.clone())),
            Self::Bytes(b) => write!(f, "hex({})", hex(b)),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{}: {value}", if i == 0 { "" } else { ", " }, Json::String(name.clone()))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The bytes that hex digits stand for; `None` if they are odd in number or not digits.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
}
