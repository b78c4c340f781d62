//! JSON that is counted while it is read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep JSON may be.
const MAX_DEPTH: usize = 64;

/// What an item of an array takes, which has grown to twice its size.
const ITEM: usize = 2 * size_of::<Value>();

/// What fields of an object take: a node of a tree has room for eleven, and holds five of a large object at least.
pub(super) const FIELDS: (usize, usize, usize) = (640, 11, 5);

/// What a text takes beside its bytes.
const TEXT: usize = 24;

/// Reads JSON, and how much of `memory` is left then; `None` if it takes more.
pub(super) fn read(bytes: &[u8], memory: usize) -> (Result<Value, serde_json::Error>, Option<usize>) {
    let mut left = Some(memory);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Counted { left: &mut left, depth: MAX_DEPTH }.deserialize(&mut reader);
    (read.and_then(|value| reader.end().map(|()| value)), left)
}

/// Reads JSON and counts what it takes; `left` is `None` when that was too much.
struct Counted<'a> {
    left: &'a mut Option<usize>,
    depth: usize,
}

impl Counted<'_> {
    fn take<E: Error>(&mut self, takes: usize) -> Result<(), E> {
        *self.left = self.left.and_then(|left| left.checked_sub(takes));
        self.left.map(drop).ok_or_else(|| E::custom("it takes too much"))
    }

    fn text<E: Error>(&mut self, text: &str) -> Result<String, E> {
        self.take(TEXT + text.len())?;
        Ok(text.to_owned())
    }

    const fn within(&mut self) -> Counted<'_> {
        Counted { left: self.left, depth: self.depth - 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Value, E> {
        self.text(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        if self.depth == 0 {
            self.take(usize::MAX)?;
        }
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self.within())? {
            self.take(ITEM)?;
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        if self.depth == 0 {
            self.take(usize::MAX)?;
        }
        let mut read = Map::new();
        while let Some(Name(name)) = fields.next_key()? {
            let (node, room, least) = FIELDS;
            let is_full = read.is_empty() || (read.len() >= room && (read.len() - room).is_multiple_of(least));
            self.take(TEXT + name.len() + if is_full { node } else { 0 })?;
            let value = fields.next_value_seed(self.within())?;
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

/// The name of a field.
#[derive(serde::Deserialize)]
struct Name(String);
