//! How one log line looks: JSON for collectors, text for people. One line, of bounded length, whatever is in its
//! fields. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use tracing::{Level, Metadata};

use super::fields::{Entry, Fields};
use crate::api::text;

/// Longest line, in bytes, of which no field is cut.
pub const LONGEST: usize = 8192;

/// The key of the sentence.
pub const MESSAGE: &str = "message";

/// The key for how many lines of its kind were left out before.
const LEFT_OUT: &str = "left_out";

/// The object that lines for people begin with.
const OBJECT: [&str; 2] = ["namespace", "rotatedtoken"];

/// Everything that is said in one line.
pub struct Line<'a> {
    pub at: Timestamp,
    pub metadata: &'a Metadata<'a>,
    /// Of the spans around it.
    pub around: &'a Fields,
    /// Its own.
    pub own: &'a Fields,
    pub left_out: u64,
}

impl Line<'_> {
    /// One JSON object; docs/logs.md has its keys.
    #[must_use]
    pub fn json(&self) -> String {
        let whole = self.json_with(usize::MAX);
        if whole.len() <= LONGEST { whole } else { self.json_with(text::LOGGED) }
    }

    /// The same with texts of at most so many bytes.
    fn json_with(&self, most: usize) -> String {
        let mut fields = self.around.clone();
        fields.extend(self.own.clone());
        let message = fields.get(MESSAGE).and_then(Value::as_str).unwrap_or_default().to_owned();
        let first = [
            ("timestamp", self.time()),
            ("level", self.metadata.level().to_string()),
            ("target", self.metadata.target().to_owned()),
            (MESSAGE, message),
        ];
        let is_first = |key: &str| first.iter().any(|(known, _)| *known == key) || key == LEFT_OUT;
        let mut line = String::from("{");
        for (key, value) in &first {
            add(&mut line, key, &Value::from(value.as_str()), most);
        }
        for Entry { key, value, .. } in fields.iter().filter(|entry| !is_first(entry.key)) {
            add(&mut line, key, value, most);
        }
        if self.left_out > 0 {
            add(&mut line, LEFT_OUT, &self.left_out.into(), most);
        }
        line.push('}');
        line
    }

    /// Time, level, object, sentence, fields. Of the spans only the object is shown.
    #[must_use]
    pub fn text(&self, colour: bool) -> String {
        let object: Vec<&str> = OBJECT.iter().filter_map(|key| self.around.get(key).and_then(Value::as_str)).collect();
        let mut said = String::new();
        if !object.is_empty() {
            said.push_str(&object.join("/"));
            said.push_str(": ");
        }
        said.push_str(self.own.get(MESSAGE).and_then(Value::as_str).unwrap_or_default());
        for Entry { key, value, is_quoted } in self.own.iter().filter(|entry| entry.key != MESSAGE) {
            // Writing into a string cannot fail.
            let _ = match value {
                Value::String(value) if *is_quoted => write!(said, " {key}={value:?}"),
                Value::String(value) => write!(said, " {key}={value}"),
                value => write!(said, " {key}={value}"),
            };
        }
        let mut line = format!("{} {} {}", dim(&self.time(), colour), self.level(colour), text::line(&said, LONGEST));
        if self.left_out > 0 {
            let _ = write!(line, " ({} similar lines were omitted before)", self.left_out);
        }
        line
    }

    fn time(&self) -> String {
        format!("{:.6}", self.at)
    }

    fn level(&self, colour: bool) -> String {
        let level = *self.metadata.level();
        let code = match level {
            Level::ERROR => 31,
            Level::WARN => 33,
            Level::INFO => 32,
            Level::DEBUG => 34,
            Level::TRACE => 35,
        };
        if colour { format!("\u{1b}[{code}m{level:>5}\u{1b}[0m") } else { format!("{level:>5}") }
    }
}

fn dim(text: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn add(line: &mut String, key: &str, value: &Value, most: usize) {
    if !line.ends_with('{') {
        line.push(',');
    }
    // Writing into a string cannot fail.
    let _ = match value {
        // JSON escapes only some of the characters that do something to a terminal.
        Value::String(value) => write!(line, "{}:{}", Value::from(key), Value::from(text::line(value, most))),
        value => write!(line, "{}:{value}", Value::from(key)),
    };
}
