//! The body of an answer: JSON, read within what it may cost in memory.
//!
//! Seven bytes of JSON, `{"":0},`, take a hundred times their length once they are read. So a body has a limit of its
//! own for what it takes in memory, it is counted while it is read, and all bodies that are held at the same time have
//! one together: a provider that answers absurdly gets an error, and nobody else feels it.

mod counted;
mod room;

use serde_json::Value;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::OwnedSemaphorePermit,
};
use zeroize::{Zeroize, Zeroizing};

pub(in crate::providers::http) use self::room::Room;
use crate::connect::Purpose;

/// A body no longer than this arrives without asking whether there is room, so that no answer to a create waits for
/// those of others, and is read where it arrives.
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
    /// By what a call is for. What a token is tried with is whatever call the API has; the others answer with one
    /// object.
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
    /// Something else; it is not shown.
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
        match counted::read(&bytes, memory) {
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

    /// Keeps the code in it, which can be shown.
    pub(in crate::providers::http) fn keep_code(&mut self, code: Option<String>) {
        if let Self::Json(json) = self {
            json.code = code;
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

#[cfg(test)]
mod tests {
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
}
