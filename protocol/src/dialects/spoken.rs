//! What a server says, written once for all who read it, straight from the structs: a tree of values in between would cost a message more
//! than all else that is done for it.

use serde::Serialize;
use serde_json::Value;

use super::AppPacket;

/// Room for a message of usual length: a longer one makes its text grow.
const USUAL_BYTES: usize = 384;

/// A Socket.IO event with its one argument, or a JSON text frame of a raw WebSocket dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The event's name; `None`: a frame.
    name: Option<&'static str>,
    json: String,
}

impl Spoken {
    /// A Socket.IO event with one argument.
    #[must_use]
    pub fn event(name: &'static str, arg: &impl Serialize) -> Self {
        Self { name: Some(name), json: written(arg) }
    }

    /// A JSON text frame.
    #[must_use]
    pub fn frame(frame: &impl Serialize) -> Self {
        Self { name: None, json: written(frame) }
    }

    /// The same frame with something else in it.
    pub(super) fn with(&self, json: String) -> Self {
        Self { name: self.name, json }
    }

    /// The event's name; `None`: it is a frame.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The argument, or the frame.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The same as a client takes it apart.
    #[must_use]
    pub fn packet(&self) -> AppPacket {
        let json: Value = serde_json::from_str(&self.json).expect("what was written as JSON is JSON");
        match self.name {
            Some(name) => AppPacket::event(name, json),
            None => AppPacket::Json(json),
        }
    }
}

fn written(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, value).expect("plain structs of strings and numbers always serialise");
    String::from_utf8(json).expect("JSON is UTF-8")
}
