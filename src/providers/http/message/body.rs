//! The body of an answer: JSON, read within what it may cost in memory.
//!
//! Seven bytes of JSON, `{"":0},`, take a hundred times their length once they are read. So a body has a limit of its own for what it takes in
//! memory, it is counted while it is read, and all bodies that are held at the same time have one together: a provider that answers
//! absurdly gets an error, and nobody else feels it.

use std::{fmt, sync::Arc};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use zeroize::{Zeroize, Zeroizing};

use super::code::{self, RequestSecrets};
use crate::connect::Purpose;

/// How deep JSON may be.
const MAX_DEPTH: usize = 64;

/// What an item of an array takes, which has grown to twice its size.
const ITEM: usize = 2 * size_of::<Value>();

/// What fields of an object take: a node of a tree has room for eleven, and holds five of a large object at least.
const FIELDS: (usize, usize, usize) = (640, 11, 5);

/// What a text takes beside its bytes.
const TEXT: usize = 24;

/// What all bodies that are held at the same time may take, as JSON.
const HELD: usize = 24 << 20;

/// What all bodies may take while they arrive, as far as they are large.
const ARRIVING: usize = 16 << 20;

/// A body no longer than this arrives without asking whether there is room, so that no answer to a create waits for those of others, and is
/// read where it arrives.
pub const SMALL: usize = 64 << 10;

/// What one body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// As it comes.
    pub bytes: usize,
    /// As JSON that was read.
    pub memory: usize,
}

impl Limits {
    /// By what a call is for. What a token is tried with is whatever call the API has; the others answer with one object.
    #[must_use]
    pub const fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Create | Purpose::Revoke | Purpose::Authorize | Purpose::Discover => {
                Self { bytes: SMALL, memory: 1 << 20 }
            }
            Purpose::Verify | Purpose::Check => Self { bytes: 256 << 10, memory: 2 << 20 },
            Purpose::List => Self { bytes: 1 << 20, memory: 12 << 20 },
        }
    }
}

/// Something that takes more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch;

/// The body, where it is JSON.
pub enum Body {
    Empty,
    Json(Secretive),
    /// Something else; it is not told.
    Other,
}

/// JSON that may hold a token: not printed, and overwritten when it is dropped.
pub struct Secretive {
    value: Value,
    /// How long it was.
    length: usize,
    /// The code in it that can be shown.
    code: Option<String>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Drop for Secretive {
    fn drop(&mut self) {
        wipe(&mut self.value);
    }
}

/// Overwrites every text in it.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Body {
    /// Reads a body, which is overwritten, as that of a small answer. What takes too much is no JSON.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::read(Zeroizing::new(bytes), Limits::of(Purpose::Create).memory).map_or(Self::Other, |(body, _)| body)
    }

    /// Reads a body, and says what it takes.
    fn read(bytes: Zeroizing<Vec<u8>>, memory: usize) -> Result<(Self, usize), TooMuch> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok((Self::Empty, 0));
        }
        let mut left = Some(memory);
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let read = Counted { left: &mut left, depth: MAX_DEPTH }.deserialize(&mut reader);
        let read = read.and_then(|value| reader.end().map(|()| value));
        match (read, left) {
            (_, None) => Err(TooMuch),
            (Ok(value), Some(left)) => {
                Ok((Self::Json(Secretive { value, length: bytes.len(), code: None, _room: None }), memory - left))
            }
            (Err(_), Some(_)) => Ok((Self::Other, 0)),
        }
    }

    /// The JSON, if it is some.
    #[must_use]
    pub const fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(Secretive { value, .. }) => Some(value),
            Self::Empty | Self::Other => None,
        }
    }

    /// Keeps the code in it that can be shown.
    pub(in crate::providers::http) fn keep_code(&mut self, shown: &RequestSecrets) {
        if let Self::Json(json) = self {
            json.code = code::code(&json.value, shown);
        }
    }

    /// The code in it that can be shown.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Json(json) => json.code.as_deref(),
            Self::Empty | Self::Other => None,
        }
    }

    /// How long its JSON was.
    #[must_use]
    pub const fn length(&self) -> usize {
        match self {
            Self::Json(Secretive { length, .. }) => *length,
            Self::Empty | Self::Other => 0,
        }
    }
}

/// Does what takes milliseconds where the answer is large: other work of this thread goes on elsewhere meanwhile.
pub fn aside<T>(length: usize, work: impl FnOnce() -> T) -> T {
    let can_go_on = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    match length > SMALL && can_go_on {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

/// The room for all answers that are held at the same time.
#[derive(Clone)]
pub struct Room {
    held: Arc<Semaphore>,
    arriving: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let of = |bytes: usize| Arc::new(Semaphore::new(bytes >> 10));
        Self { held: of(HELD), arriving: of(ARRIVING) }
    }
}

impl Room {
    /// Waits until as many bytes more of a body that arrives can be held. What is small has room always.
    pub async fn arrive(&self, arrived: usize, more: usize) -> Option<OwnedSemaphorePermit> {
        let beyond = |length: usize| length.saturating_sub(SMALL).div_ceil(1 << 10);
        let wanted = beyond(arrived + more) - beyond(arrived);
        take(&self.arriving, wanted).await
    }

    /// Reads a body, which is overwritten, when there is room for what it can take.
    ///
    /// # Errors
    /// It takes more than it may.
    pub async fn read(&self, bytes: Zeroizing<Vec<u8>>, limits: Limits) -> Result<Body, TooMuch> {
        let most = limits.memory.min(bytes.len().saturating_mul(FIELDS.0));
        let mut room = take(&self.held, most.div_ceil(1 << 10)).await;
        let memory = limits.memory;
        // What is large takes milliseconds.
        let (mut body, takes) = match bytes.len() > SMALL {
            false => Body::read(bytes, memory)?,
            true => tokio::task::spawn_blocking(move || Body::read(bytes, memory)).await.unwrap_or(Err(TooMuch))?,
        };
        if let Body::Json(json) = &mut body {
            // It is known now: the rest is for others.
            json._room = room.as_mut().and_then(|room| room.split(takes.div_ceil(1 << 10).min(room.num_permits())));
        }
        Ok(body)
    }
}

async fn take(of: &Arc<Semaphore>, wanted: usize) -> Option<OwnedSemaphorePermit> {
    let wanted = u32::try_from(wanted).ok().filter(|wanted| *wanted > 0)?;
    // It is closed by nobody.
    of.clone().acquire_many_owned(wanted).await.ok()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str, memory: usize) -> Result<Option<Value>, TooMuch> {
        Body::read(Zeroizing::new(text.as_bytes().to_vec()), memory).map(|(body, _)| body.json().cloned())
    }

    #[test]
    fn json_is_read_as_it_is_everywhere() {
        for text in [
            r#"{"a": [1, -2, 3.5, 18446744073709551615, null, true, "x\n\u00e4"], "b": {"c": {}}, "a2": []}"#,
            r#"{"twice": 1, "twice": 2}"#,
            "7",
            r#""text""#,
        ] {
            let plain: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text, 1 << 20), Ok(Some(plain)), "{text}");
        }
        for text in ["", " \n", "<html>", "{", "[1] 2", "{\"a\": nope}"] {
            assert_eq!(read(text, 1 << 20), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_takes_too_much_is_not_read() {
        let many = |bit: &str, times: usize| format!("[{}{bit}]", format!("{bit},").repeat(times));
        // Ordinary answers, as long as they may be: a token with its permissions, a page of tokens.
        let item = r#"{"id": 123, "name": "tokenturn-a1b2c3", "created_at": "2026-11-22T10:00:00Z", "scopes": ["api", "read"]}"#;
        let small = Limits::of(Purpose::Create);
        let list = Limits::of(Purpose::List);
        assert!(read(&many(item, small.bytes / (item.len() + 1) - 1), small.memory).is_ok());
        assert!(read(&many(item, list.bytes / (item.len() + 1) - 1), list.memory).is_ok());
        // Absurd ones, as long as they may be.
        for bit in [r#"{"":0}"#, "[]", "0", r#""""#, "[[0]]"] {
            for limits in [small, list] {
                let text = many(bit, limits.bytes / (bit.len() + 1) - 1);
                assert_eq!(read(&text, limits.memory).err(), Some(TooMuch), "{bit}");
            }
        }
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&deep(64), 1 << 20).is_ok());
        assert_eq!(read(&deep(65), 1 << 20), Err(TooMuch));
        assert_eq!(read(&deep(60_000), 1 << 20), Err(TooMuch));
    }

    #[tokio::test]
    async fn answers_share_what_there_is_and_give_it_back() {
        let room = Room::default();
        let all = room.held.available_permits();
        let body = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let held = room.read(body(r#"{"token": "canary"}"#), Limits::of(Purpose::Create)).await.unwrap();
        assert_eq!(held.json(), Some(&json!({"token": "canary"})));
        assert_eq!(held.length(), 19);
        assert_eq!(room.held.available_permits(), all - 1, "what it takes, not what it could have taken");
        drop(held);
        assert_eq!(room.held.available_permits(), all);
        // Small ones never wait for room to arrive; of a large one only what is beyond counts.
        assert!(room.arrive(0, SMALL).await.is_none());
        assert_eq!(room.arrive(SMALL - 1, 2_048).await.unwrap().num_permits(), 2);
        let everything = room.arrive(SMALL, ARRIVING).await.unwrap();
        let more = tokio::time::timeout(std::time::Duration::from_millis(20), room.arrive(SMALL, 1_024));
        assert!(more.await.is_err(), "it waits");
        drop(everything);
        assert!(room.arrive(SMALL, 1_024).await.is_some());
        let large =
            room.read(body(&format!("[\"{}\"]", "x".repeat(500_000))), Limits::of(Purpose::List)).await.unwrap();
        assert!(large.json().is_some());
    }
}
