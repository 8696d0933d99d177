//! One session's conversation as a state machine: a client's Engine.IO packets in, what they ask for out. No IO, no clock, no random
//! numbers, so the same packets always lead to the same steps.
//!
//! A client stands outside of the one namespace, or inside. Outside it may only ask to be let in; what breaks the protocol ends the
//! session (Socket.IO v5, and where its text is silent, the official server).

use bytes::Bytes;
use chatwright_protocol::{
    dialects::AppPacket,
    engine_io::FromClient,
    socket_io::{Arg, Body, Decoder, Limits, MAIN_NAMESPACE, Packet},
};
use serde_json::{Map, Value, json};

/// Attempts to enter that may fail, with a bad token or at a namespace that nobody has. The official client tries once and gives up.
const REFUSALS_MAX: u32 = 32;

/// What a packet asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// The heartbeat is answered.
    Pong,
    /// To be let in, with these credentials.
    Enter(Map<String, Value>),
    /// To be let into a namespace that nobody has.
    EnterElsewhere(String),
    /// To do something, and to say how that went if there is an id.
    Event { packet: AppPacket, ack: Option<u64> },
    /// To be let out of the namespace.
    Leave,
    /// Whatever it says, for an application that sees to namespaces itself.
    Said(Packet),
    /// To end the session.
    Close,
    /// The protocol is broken.
    Broken(&'static str),
}

/// The state.
#[derive(Debug)]
pub(super) struct Talk {
    decoder: Decoder,
    /// Packets are handed on as they are.
    is_raw: bool,
    is_inside: bool,
    refusals: u32,
}

impl Talk {
    pub(super) fn new(limits: Limits) -> Self {
        Self { decoder: Decoder::new(limits), is_raw: false, is_inside: false, refusals: 0 }
    }

    /// With an application that sees to namespaces itself.
    pub(super) fn raw(limits: Limits) -> Self {
        Self { is_raw: true, ..Self::new(limits) }
    }

    /// A text packet.
    pub(super) fn text(&mut self, text: &str) -> Step {
        match FromClient::read(text) {
            Ok(FromClient::Text(text)) if counts_none(text) => Step::Broken("a binary packet without attachments"),
            Ok(FromClient::Text(text)) => match self.decoder.text(text) {
                Ok(Some(packet)) => self.packet(packet),
                Ok(None) => Step::Nothing, // its attachments follow
                Err(_) => Step::Broken("malformed packet"),
            },
            Ok(FromClient::Pong) => Step::Pong,
            Ok(FromClient::Close) => Step::Close,
            Ok(FromClient::Ping(_)) => Step::Broken("ping from a client"),
            Ok(FromClient::Ignored | FromClient::Upgrade) => Step::Nothing,
            Err(_) => Step::Broken("malformed Engine.IO packet"),
        }
    }

    /// A binary packet.
    pub(super) fn binary(&mut self, bytes: Bytes) -> Step {
        match self.decoder.binary(bytes) {
            Ok(Some(packet)) => self.packet(packet),
            Ok(None) => Step::Nothing,
            Err(_) => Step::Broken("malformed attachment"),
        }
    }

    /// The client was let in.
    pub(super) fn entered(&mut self) {
        self.is_inside = true;
    }

    /// The client is out again, because it was asked to go.
    pub(super) fn left(&mut self) {
        self.is_inside = false;
    }

    /// The client was not let in. `false`: it may not try again.
    pub(super) fn refused(&mut self) -> bool {
        self.refusals += 1;
        self.refusals < REFUSALS_MAX
    }

    fn packet(&mut self, packet: Packet) -> Step {
        if self.is_raw {
            return Step::Said(packet);
        }
        let is_main = packet.namespace == MAIN_NAMESPACE;
        match packet.body {
            Body::Connect(_) if !is_main => Step::EnterElsewhere(packet.namespace),
            Body::Connect(_) if self.is_inside => Step::Broken("a second CONNECT"),
            Body::Connect(auth) => Step::Enter(auth.unwrap_or_default()),
            Body::ConnectError { .. } => Step::Broken("CONNECT_ERROR from a client"),
            Body::Disconnect | Body::Event { .. } | Body::Ack { .. } if !(is_main && self.is_inside) => {
                Step::Broken("a packet for a namespace that was not entered")
            }
            Body::Disconnect => {
                self.is_inside = false;
                Step::Leave
            }
            Body::Ack { .. } => Step::Nothing, // nobody here asks a client for an acknowledgement
            Body::Event { name, args, id } => {
                let args = args.into_iter().map(|arg| without_bytes(arg, &mut 0)).collect();
                Step::Event { packet: AppPacket::Event { name, args }, ack: id }
            }
        }
    }
}

/// Whether it is a binary packet that announces no attachments: nobody needs one, and the official server takes none.
fn counts_none(text: &str) -> bool {
    let count = text.strip_prefix(['5', '6']).and_then(|rest| rest.split_once('-')).map(|(count, _)| count);
    count.is_some_and(|count| !count.is_empty() && count.bytes().all(|digit| digit == b'0'))
}

/// Attachments become the placeholders again that stood for them: no dialect here takes any, so its decoder refuses them as values of the
/// wrong type.
fn without_bytes(arg: Arg, seen: &mut usize) -> Value {
    match arg {
        Arg::Json(value) => value,
        Arg::Binary(_) => {
            *seen += 1;
            json!({"_placeholder": true, "num": *seen - 1})
        }
        Arg::Array(items) => items.into_iter().map(|item| without_bytes(item, seen)).collect(),
        Arg::Object(fields) => {
            let field = |(name, arg)| (name, without_bytes(arg, seen));
            Value::Object(fields.into_iter().map(field).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside() -> Talk {
        Talk::new(Limits::default())
    }

    fn inside() -> Talk {
        let mut talk = outside();
        assert_eq!(talk.text("40"), Step::Enter(Map::new()));
        talk.entered();
        talk
    }

    #[test]
    fn outside_only_the_way_in_is_open() {
        for text in ["42[\"x\"]", "430[]", "41", "42/nowhere,[\"x\"]"] {
            assert!(matches!(outside().text(text), Step::Broken(_)), "{text}");
        }
        assert_eq!(outside().text("40/nowhere,"), Step::EnterElsewhere("/nowhere".to_owned()));
        let Step::Enter(auth) = outside().text("40{\"token\":\"t\"}") else { panic!("a way in") };
        assert_eq!(auth["token"], "t");
    }

    #[test]
    fn inside_events_are_taken_in_and_the_door_is_shut_behind_the_client() {
        let mut talk = inside();
        let event = AppPacket::Event { name: "x".to_owned(), args: vec![json!(1)] };
        assert_eq!(talk.text("4212[\"x\",1]"), Step::Event { packet: event, ack: Some(12) });
        assert_eq!(talk.text("430[]"), Step::Nothing);
        assert_eq!(talk.text("41"), Step::Leave);
        assert!(matches!(talk.text("42[\"x\"]"), Step::Broken(_)));
    }

    #[test]
    fn what_breaks_the_protocol_is_a_reason_to_end() {
        for text in ["450-[\"x\"]", "460-7[]", "4500-[\"x\"]"] {
            assert!(matches!(inside().text(text), Step::Broken(_)), "{text}");
        }
        assert!(matches!(inside().text("42[\"0-\"]"), Step::Event { .. }));
        for text in
            ["40", "44{\"message\":\"no\"}", "42{}", "42", "42[]", "42[null]", "42[\"connect\"]", "2", "7", "", "4"]
        {
            assert!(matches!(inside().text(text), Step::Broken(_)), "{text}");
        }
        assert!(matches!(inside().binary(Bytes::from_static(b"x")), Step::Broken(_)));
    }

    #[test]
    fn an_attachment_is_waited_for_and_stays_a_placeholder() {
        let mut talk = inside();
        assert_eq!(talk.text("451-[\"x\",{\"a\":{\"_placeholder\":true,\"num\":0}}]"), Step::Nothing);
        let args = vec![json!({"a": {"_placeholder": true, "num": 0}})];
        let packet = AppPacket::Event { name: "x".to_owned(), args };
        assert_eq!(talk.binary(Bytes::from_static(b"x")), Step::Event { packet, ack: None });
        assert_eq!(talk.text("451-[\"x\",{\"_placeholder\":true,\"num\":0}]"), Step::Nothing);
        assert!(matches!(talk.text("42[\"x\"]"), Step::Broken(_)));
    }

    #[test]
    fn whoever_is_refused_again_and_again_may_not_go_on() {
        let mut talk = outside();
        let tries = (1..).take_while(|_| talk.refused()).count();
        assert_eq!(tries, 31);
    }

    proptest::proptest! {
        /// Whatever a client says, in whatever order: no panic, nobody enters unasked, and outside no event is taken.
        #[test]
        fn nothing_that_a_client_says_gets_an_event_past_the_door(
            said in proptest::collection::vec("[0-6b]{0,2}[0-9]{0,2}-?(/[a-z]{0,3},)?[0-9]{0,2}(\\[(\"[a-z]\")?(,\\{\"_placeholder\":true,\"num\":[0-2]\\})?\\]|\\{\\}|)", 0..12),
        ) {
            let mut talk = outside();
            let mut is_inside = false;
            for text in said {
                let step = if let Some(bytes) = text.strip_prefix('b') {
                    talk.binary(Bytes::copy_from_slice(bytes.as_bytes()))
                } else {
                    talk.text(&text)
                };
                match step {
                    Step::Enter(_) => {
                        proptest::prop_assert!(!is_inside, "entered twice by {}", text);
                        talk.entered();
                        is_inside = true;
                    }
                    Step::Event { .. } => proptest::prop_assert!(is_inside, "taken from outside: {}", text),
                    Step::Leave => {
                        proptest::prop_assert!(is_inside, "left from outside: {}", text);
                        is_inside = false;
                    }
                    Step::Nothing | Step::Pong | Step::EnterElsewhere(_) => {}
                    Step::Close | Step::Broken(_) | Step::Said(_) => break,
                }
            }
        }
    }
}
