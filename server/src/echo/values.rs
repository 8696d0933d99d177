//! Arguments as the ecosystem's engine reads and writes them: any number, JSON with bytes anywhere.

use std::fmt;

use bytes::Bytes;
use chatwright_protocol::socket_io::Arg;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap as _, SerializeSeq as _, SerializeTuple as _},
};
use serde_json::{Number, Value};

/// All arguments, written.
pub(super) struct Args<'a>(pub(super) &'a [Arg]);

impl Serialize for Args<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for arg in self.0 {
            tuple.serialize_element(&One(arg))?;
        }
        tuple.end()
    }
}

struct One<'a>(&'a Arg);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Arg::Json(value) => value.serialize(serializer),
            Arg::Binary(bytes) => serializer.serialize_bytes(bytes),
            Arg::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(&One(item))?;
                }
                seq.end()
            }
            Arg::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, field) in fields {
                    map.serialize_entry(name, &One(field))?;
                }
                map.end()
            }
        }
    }
}

/// All arguments, read.
pub(super) struct Everything(pub(super) Vec<Arg>);

impl<'de> Deserialize<'de> for Everything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A tuple is how the engine knows that all arguments are wanted; of how many, JSON does not ask.
        deserializer.deserialize_tuple(usize::MAX, All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Everything;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Everything, A::Error> {
        let mut args = Vec::new();
        while let Some(Any(arg)) = seq.next_element()? {
            args.push(arg);
        }
        Ok(Everything(args))
    }
}

struct Any(Arg);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

fn json<E>(value: impl Into<Value>) -> Result<Any, E> {
    Ok(Any(Arg::Json(value.into())))
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON or bytes")
    }

    fn visit_unit<E: Error>(self) -> Result<Any, E> {
        json(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Any, E> {
        json(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Any, E> {
        json(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Any, E> {
        json(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Any, E> {
        json(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Any, E> {
        json(value)
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Any, E> {
        Ok(Any(Arg::Binary(Bytes::copy_from_slice(value))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(Any(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Any(Arg::array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, Any(field))) = map.next_entry::<String, Any>()? {
            fields.push((name, field));
        }
        Ok(Any(Arg::object(fields)))
    }
}
