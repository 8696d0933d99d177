//! Socket.IO v5 packets as text and attachments, strictly read. Pure.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::datum::Datum;

/// More attachments than this in one packet is a mistake or an attack.
const ATTACHMENTS_MAX: usize = 64;

/// A packet from the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SocketPacket {
    Connect { nsp: String, payload: Datum },
    ConnectError { nsp: String, payload: Datum },
    Disconnect { nsp: String },
    Event { nsp: String, name: String, args: Vec<Datum>, ack: Option<u64> },
    Ack { nsp: String, id: u64, args: Vec<Datum> },
}

/// What an actor sends: an event or an acknowledgement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Emitted<'a> {
    Event { name: &'a str, args: &'a [Datum], ack: Option<u64> },
    Ack { id: u64, args: &'a [Datum] },
}

/// The text of a packet behind Engine.IO's `4`, and its attachments.
pub(crate) fn encode(nsp: &str, what: &Emitted) -> (String, Vec<Vec<u8>>) {
    let mut attachments = Vec::new();
    let mut attach = |bytes: &[u8]| {
        attachments.push(bytes.to_vec());
        serde_json::json!({"_placeholder": true, "num": attachments.len() - 1})
    };
    let (plain, binary, id, name, args) = match what {
        Emitted::Event { name, args, ack } => ('2', '5', *ack, Some(*name), *args),
        Emitted::Ack { id, args } => ('3', '6', Some(*id), None, *args),
    };
    let mut items: Vec<Json> = name.into_iter().map(Json::from).collect();
    items.extend(args.iter().map(|arg| arg.to_json(&mut attach)));
    let json = Json::Array(items);
    let kind = if attachments.is_empty() { plain.to_string() } else { format!("{binary}{}-", attachments.len()) };
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    (format!("{kind}{}{id}{json}", nsp_part(nsp)), attachments)
}

/// `/x,` or nothing for the main namespace.
pub(crate) fn nsp_part(nsp: &str) -> String {
    if nsp == "/" { String::new() } else { format!("{nsp},") }
}

/// Reads the server's packets in order.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// A binary packet whose attachments are still coming.
    pending: Option<Pending>,
    connected: BTreeSet<String>,
    /// What is read comes from a client.
    of_client: bool,
}

#[derive(Debug)]
struct Pending {
    head: Head,
    attachments: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Head {
    kind: char,
    wanted: usize,
    nsp: String,
    id: Option<u64>,
    payload: Option<Json>,
}

impl Decoder {
    /// For what a client sends.
    pub(crate) fn of_client() -> Self {
        Self { of_client: true, ..Self::default() }
    }

    /// Takes the text of an Engine.IO message, without its `4`. `None`: attachments are still to come.
    ///
    /// # Errors
    /// How the server broke the protocol.
    pub(crate) fn text(&mut self, text: &str) -> Result<Option<SocketPacket>, String> {
        if let Some(pending) = &self.pending {
            let (has, wants) = (pending.attachments.len(), pending.head.wanted);
            return Err(format!("a text packet after {has} of {wants} attachments: `{text}`"));
        }
        let head = head(text).map_err(|why| format!("{why}: `{text}`"))?;
        if head.wanted > 0 {
            self.pending = Some(Pending { head, attachments: Vec::new() });
            return Ok(None);
        }
        self.packet(head, &[]).map(Some).map_err(|why| format!("{why}: `{text}`"))
    }

    /// Takes a binary Engine.IO message.
    ///
    /// # Errors
    /// How the server broke the protocol.
    pub(crate) fn binary(&mut self, bytes: Vec<u8>) -> Result<Option<SocketPacket>, String> {
        let Some(mut pending) = self.pending.take() else {
            return Err("a binary message that belongs to no packet".to_owned());
        };
        pending.attachments.push(bytes);
        if pending.attachments.len() < pending.head.wanted {
            self.pending = Some(pending);
            return Ok(None);
        }
        self.packet(pending.head, &pending.attachments).map(Some)
    }

    fn packet(&mut self, head: Head, attachments: &[Vec<u8>]) -> Result<SocketPacket, String> {
        let Head { kind, nsp, id, payload, .. } = head;
        if matches!(kind, '1' | '2' | '3' | '5' | '6') && !self.of_client && !self.connected.contains(&nsp) {
            return Err(format!("a packet for the namespace {nsp} before CONNECT was answered there"));
        }
        match (kind, payload) {
            ('0', Some(payload @ Json::Object(_))) => {
                self.connected.insert(nsp.clone());
                Ok(SocketPacket::Connect { nsp, payload: payload.into() })
            }
            ('0', None) if self.of_client => Ok(SocketPacket::Connect { nsp, payload: Datum::Null }),
            ('0', _) if self.of_client => Err("CONNECT with a payload that is no object".to_owned()),
            ('4', _) if self.of_client => Err("CONNECT_ERROR from a client".to_owned()),
            ('0', _) => Err("CONNECT without an object that holds `sid`".to_owned()),
            ('1', None) => {
                self.connected.remove(&nsp);
                Ok(SocketPacket::Disconnect { nsp })
            }
            ('1', Some(_)) => Err("DISCONNECT with a payload".to_owned()),
            ('4', Some(payload @ (Json::Object(_) | Json::String(_)))) => {
                Ok(SocketPacket::ConnectError { nsp, payload: payload.into() })
            }
            ('4', _) => Err("CONNECT_ERROR without an object".to_owned()),
            (_, Some(Json::Array(items))) => items_packet(kind, nsp, id, items, attachments),
            (_, _) => Err("an event or acknowledgement whose payload is no array".to_owned()),
        }
    }
}

fn items_packet(
    kind: char,
    nsp: String,
    id: Option<u64>,
    items: Vec<Json>,
    attachments: &[Vec<u8>],
) -> Result<SocketPacket, String> {
    let mut items = items.into_iter().map(|item| filled(item, attachments)).collect::<Result<Vec<_>, _>>()?.into_iter();
    if matches!(kind, '3' | '6') {
        let id = id.ok_or("an acknowledgement without an id")?;
        return Ok(SocketPacket::Ack { nsp, id, args: items.collect() });
    }
    match items.next() {
        Some(Datum::Text(name)) => Ok(SocketPacket::Event { nsp, name, args: items.collect(), ack: id }),
        Some(Datum::Number(name)) => {
            Ok(SocketPacket::Event { nsp, name: name.to_string(), args: items.collect(), ack: id })
        }
        Some(_) | None => Err("an event without a name".to_owned()),
    }
}

/// Puts the attachments where their placeholders stand.
fn filled(item: Json, attachments: &[Vec<u8>]) -> Result<Datum, String> {
    match item {
        Json::Object(fields) if fields.get("_placeholder") == Some(&Json::Bool(true)) && !attachments.is_empty() => {
            fields
                .get("num")
                .and_then(Json::as_u64)
                .and_then(|num| attachments.get(usize::try_from(num).ok()?))
                .map(|bytes| Datum::Bytes(bytes.clone()))
                .ok_or_else(|| "a placeholder without its attachment".to_owned())
        }
        Json::Object(fields) => fields
            .into_iter()
            .map(|(k, v)| Ok((k, filled(v, attachments)?)))
            .collect::<Result<_, String>>()
            .map(Datum::Object),
        Json::Array(items) => {
            items.into_iter().map(|i| filled(i, attachments)).collect::<Result<_, _>>().map(Datum::List)
        }
        plain @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => Ok(Datum::from(plain)),
    }
}

fn head(text: &str) -> Result<Head, String> {
    let mut rest = text;
    let kind = rest.chars().next().filter(|c| ('0'..='6').contains(c)).ok_or("no packet type from 0 to 6")?;
    rest = &rest[1..];
    let mut wanted = 0;
    if matches!(kind, '5' | '6') {
        let (count, after) = rest.split_once('-').ok_or("a binary packet without its number of attachments")?;
        wanted = count.parse().map_err(|_| "a number of attachments that is no number")?;
        if wanted > ATTACHMENTS_MAX {
            return Err(format!("more than {ATTACHMENTS_MAX} attachments"));
        }
        rest = after;
    }
    let mut nsp = "/".to_owned();
    if rest.starts_with('/') {
        let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
        name.clone_into(&mut nsp);
        rest = after;
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let id =
        if digits == 0 { None } else { Some(rest[..digits].parse().map_err(|_| "an acknowledgement id beyond 2^64")?) };
    rest = &rest[digits..];
    let payload = if rest.is_empty() {
        None
    } else {
        Some(serde_json::from_str(rest).map_err(|e| format!("a payload that is no JSON ({e})"))?)
    };
    Ok(Head { kind, wanted, nsp, id, payload })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn connected() -> Decoder {
        let mut decoder = Decoder::default();
        decoder.text("0{\"sid\":\"a\"}").expect("connects");
        decoder.text("0/x,{\"sid\":\"b\"}").expect("connects");
        decoder
    }

    #[test]
    fn packets_of_the_protocol_text_are_read() {
        let mut decoder = connected();
        let event = decoder.text("2/x,13[\"foo\",{\"a\":1}]").expect("an event");
        assert_eq!(
            event,
            Some(SocketPacket::Event {
                nsp: "/x".into(),
                name: "foo".into(),
                args: vec![Datum::object([("a", Datum::Number(1.into()))])],
                ack: Some(13)
            })
        );
        assert_eq!(decoder.text("51-[\"b\",{\"_placeholder\":true,\"num\":0}]"), Ok(None));
        assert_eq!(
            decoder.binary(vec![1, 2]),
            Ok(Some(SocketPacket::Event {
                nsp: "/".into(),
                name: "b".into(),
                args: vec![Datum::Bytes(vec![1, 2])],
                ack: None
            }))
        );
        assert_eq!(decoder.text("1/x,"), Ok(Some(SocketPacket::Disconnect { nsp: "/x".into() })));
        assert!(decoder.text("2/x,[\"late\"]").is_err(), "the namespace is closed");
    }

    #[test]
    fn what_a_server_may_not_send_is_an_error() {
        for bad in [
            "",
            "7[]",
            "2",
            "2{}",
            "2[]",
            "2[{}]",
            "3[]",
            "0",
            "0[]",
            "1{}",
            "4",
            "5[\"a\"]",
            "51-[\"a\",",
            "2[\"a\"]x",
            "2/y,[\"a\"]",
        ] {
            assert!(connected().text(bad).is_err(), "{bad} should be refused");
        }
        assert!(connected().binary(vec![1]).is_err(), "no header came before");
        let mut decoder = connected();
        decoder.text("51-[\"a\",{\"_placeholder\":true,\"num\":3}]").expect("the header");
        assert!(decoder.binary(vec![1]).is_err(), "the placeholder is out of range");
    }

    fn datum() -> impl Strategy<Value = Datum> {
        let leaf = prop_oneof![
            Just(Datum::Null),
            any::<bool>().prop_map(Datum::Bool),
            any::<i64>().prop_map(|n| Datum::Number(n.into())),
            ".{0,8}".prop_map(Datum::Text),
            prop::collection::vec(any::<u8>(), 0..8).prop_map(Datum::Bytes),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Datum::List),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|m| Datum::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(name in "[a-z]{1,6}", args in prop::collection::vec(datum(), 0..4), ack in prop::option::of(any::<u64>())) {
            let (text, attachments) = encode("/x", &Emitted::Event { name: &name, args: &args, ack });
            let mut decoder = connected();
            let mut got = decoder.text(&text).expect("well-formed");
            for attachment in attachments {
                got = decoder.binary(attachment).expect("well-formed");
            }
            prop_assert_eq!(got, Some(SocketPacket::Event { nsp: "/x".into(), name, args, ack }));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,60}") {
            let _ = connected().text(&text);
        }
    }
}
