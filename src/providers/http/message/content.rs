//! What an answer says: values, times and permissions, each at a place that a recipe names.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::{
    api::provider::http::HttpTimeFormat,
    core::schedule,
    providers::http::recipe::{
        operation::{Expectation, Time},
        token::{Granted, List},
    },
    secret_value::{SecretValue, TokenSet},
};

/// What an answer says that a token may do, one by one.
#[must_use]
pub fn granted(wanted: &Granted, body: &Value) -> Vec<Value> {
    let found = wanted.path.query(body);
    if !wanted.with_spaces {
        return found.iter().map(|value| (*value).clone()).collect();
    }
    let texts = found.iter().filter_map(|value| value.as_str());
    texts.flat_map(str::split_whitespace).map(Value::from).collect()
}

/// Whether a body says what it should.
#[must_use]
pub fn is_met(expectation: &Expectation, body: &Value) -> bool {
    found_of(&expectation.path, &expectation.one_of, body).is_some()
}

/// The first of some values that a body has at a path.
pub(super) fn found_of<'a>(path: &JsonPath, one_of: &'a [Value], body: &Value) -> Option<&'a Value> {
    path.query(body).iter().find_map(|found| one_of.iter().find(|wanted| same(wanted, found)))
}

/// `1` and `1.0` are the same number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// One text or number at a path, as text; `None` if there is none, or it is empty.
#[must_use]
pub fn scalar(path: &JsonPath, body: &Value) -> Option<String> {
    match path.query(body).first()? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The values of a token set.
///
/// # Errors
/// The name of a value that is not in the answer.
pub fn values(paths: &BTreeMap<String, JsonPath>, body: &Value) -> Result<TokenSet, String> {
    let found = paths.iter().map(|(name, path)| {
        let value = scalar(path, body).ok_or_else(|| name.clone())?;
        Ok((name.clone(), SecretValue::new(value)))
    });
    Ok(TokenSet::new(found.collect::<Result<_, String>>()?))
}

/// Something that cannot be read as what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A time in an answer: `Ok(None)` if there is none (absent, null, empty, or zero where times are numbers).
///
/// # Errors
/// What is there cannot be read as a time of that format.
pub fn time(wanted: &Time, body: &Value, now: Timestamp) -> Result<Option<Timestamp>, Unreadable> {
    match (said(wanted, body, now), wanted.default) {
        (Ok(Some(at)), _) => Ok(Some(at)),
        (_, Some(otherwise)) => Ok(Some(schedule::after(now, otherwise))),
        (found, None) => found,
    }
}

fn said(wanted: &Time, body: &Value, now: Timestamp) -> Result<Option<Timestamp>, Unreadable> {
    let Some(found) = wanted.path.query(body).first() else { return Ok(None) };
    let text = match found {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Unreadable),
    };
    let number = || {
        // Some APIs give fractions.
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
        whole.parse::<i64>().map_err(|_| Unreadable)
    };
    let at = match wanted.format {
        HttpTimeFormat::Rfc3339 => text.parse::<Timestamp>().map_err(|_| Unreadable)?,
        HttpTimeFormat::Date => {
            let date: Date = text.parse().map_err(|_| Unreadable)?;
            date.to_zoned(TimeZone::UTC).map_err(|_| Unreadable)?.timestamp()
        }
        HttpTimeFormat::UnixSeconds => match number()? {
            0 => return Ok(None),
            seconds => Timestamp::from_second(seconds).map_err(|_| Unreadable)?,
        },
        HttpTimeFormat::UnixMillis => match number()? {
            0 => return Ok(None),
            millis => Timestamp::from_millisecond(millis).map_err(|_| Unreadable)?,
        },
        HttpTimeFormat::SecondsFromNow => match number()? {
            0 => return Ok(None),
            seconds => now.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| Unreadable)?,
        },
    };
    Ok(Some(at))
}

impl List {
    /// Whether a token that is listed says that it is alive.
    #[must_use]
    pub fn is_alive(&self, item: &Value) -> bool {
        self.alive.iter().all(|expectation| is_met(expectation, item))
    }

    /// The name of a token that is listed.
    #[must_use]
    pub fn name_of(&self, item: &Value) -> Option<String> {
        let text = scalar(&self.name, item)?;
        match &self.name_ends_before {
            None => Some(text),
            Some(end) => text.split_once(end.as_str()).map(|(name, _)| name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let read = |format, value: Value| {
            let wanted = Time { path: JsonPath::parse("$.at").unwrap(), format, default: None };
            time(&wanted, &json!({"at": value}), now).map(|at| at.map(|at| at.to_string()))
        };
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(read(HttpTimeFormat::Rfc3339, json!("2026-11-22T10:00:00+02:00")), some("2026-11-22T08:00:00Z"));
        assert_eq!(read(HttpTimeFormat::Date, json!("2026-11-23")), some("2026-11-23T00:00:00Z"));
        assert_eq!(read(HttpTimeFormat::UnixSeconds, json!(1_795_342_148)), some("2026-11-22T10:09:08Z"));
        assert_eq!(read(HttpTimeFormat::UnixMillis, json!("1795342148765")), some("2026-11-22T10:09:08.765Z"));
        assert_eq!(read(HttpTimeFormat::SecondsFromNow, json!(60)), some("2026-11-22T10:01:00Z"));
        assert_eq!(read(HttpTimeFormat::UnixSeconds, json!(0)), Ok(None));
        assert_eq!(read(HttpTimeFormat::Rfc3339, Value::Null), Ok(None));
        assert_eq!(read(HttpTimeFormat::Rfc3339, json!("tomorrow")), Err(Unreadable));
        assert_eq!(read(HttpTimeFormat::SecondsFromNow, json!(i64::MAX)), Err(Unreadable));
        assert_eq!(read(HttpTimeFormat::Date, json!({"day": 1})), Err(Unreadable));
        let day = Some(std::time::Duration::from_secs(86_400));
        let wanted = Time { path: JsonPath::parse("$.at").unwrap(), format: HttpTimeFormat::Rfc3339, default: day };
        for (body, at) in [
            (json!({"at": "2026-11-22T11:00:00Z"}), "2026-11-22T11:00:00Z"),
            (json!({"at": "22.11.2026 11:00"}), "2026-11-23T10:00:00Z"),
            (json!({}), "2026-11-23T10:00:00Z"),
        ] {
            assert_eq!(time(&wanted, &body, now).unwrap().unwrap().to_string(), at, "{body}");
        }
    }
}
