//! What an answer means, and what it says. Pure: status, headers and body in, meaning and values out.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;
use serde_json_path::JsonPath;

pub use super::body::{Body, wipe};
use crate::{
    api::provider::http::{HttpMeaning, HttpTimeFormat},
    core::schedule,
    providers::http::{
        recipe::{AnswerRules, Case, Expectation, Granted, Time},
        send::throttle::MAX_PAUSE,
    },
    secret_value::{SecretValue, TokenSet},
};

/// Longest wait that a provider is believed.
const MAX_RETRY_AFTER: Duration = MAX_PAUSE;

/// An answer as it came.
pub struct Received {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

/// What a status means, where a recipe says nothing else.
#[must_use]
pub fn usual(status: StatusCode) -> HttpMeaning {
    match status.as_u16() {
        200..=299 => HttpMeaning::Success,
        401 => HttpMeaning::Unauthorized,
        404 | 410 => HttpMeaning::Gone,
        409 => HttpMeaning::Duplicate,
        429 => HttpMeaning::RateLimited,
        408 | 500..=599 => HttpMeaning::Unavailable,
        _ => HttpMeaning::Refused,
    }
}

/// Whether a 403 says when to come back: then it is about a limit, and not about the credential or a token, whatever 403 means else.
#[must_use]
pub fn asks_to_wait(received: &Received) -> bool {
    let Received { status, headers, .. } = received;
    let is_used_up = ["x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| value.as_bytes().trim_ascii() == b"0"));
    let now = Timestamp::now();
    let is_told = back_at_work(headers, now).is_some() || (is_used_up && retry_after(headers, now).is_some());
    *status == StatusCode::FORBIDDEN && is_told
}

/// What an answer means, and how that is known.
#[derive(Clone, Copy, Debug)]
pub struct Meant<'a> {
    pub meaning: HttpMeaning,
    /// The recipe says it of this answer; else it is what the status usually means.
    pub is_said: bool,
    /// The status alone says it, whatever the body is.
    pub is_by_status: bool,
    /// What a person can do, where the recipe knows better.
    pub remedy: Option<&'a str>,
    /// What it was recognized by in its body: a word of the recipe, so it can be told.
    pub word: Option<&'a str>,
    /// What the body of a success lacks.
    pub lacks: Option<&'a JsonPath>,
}

/// What an answer means.
#[must_use]
pub fn meaning<'a>(answer: &'a AnswerRules, received: &Received) -> Meant<'a> {
    let status = received.status;
    let body = received.body.json().unwrap_or(&Value::Null);
    if let Some((case, word)) = answer.cases.iter().find_map(|case| Some((case, fits(case, status, body)?))) {
        let remedy = case.remedy.as_deref();
        let (is_by_status, word) = (case.body.is_none(), word.and_then(Value::as_str));
        return Meant { meaning: case.meaning, is_said: true, is_by_status, remedy, word, lacks: None };
    }
    if asks_to_wait(received) {
        let meaning = HttpMeaning::RateLimited;
        return Meant { meaning, is_said: false, is_by_status: true, remedy: None, word: None, lacks: None };
    }
    let said = answer.statuses.get(&status.as_u16()).copied();
    let by_status = said.unwrap_or_else(|| usual(status));
    let is_said = said.is_some() || status.is_success();
    let meant = Meant { meaning: by_status, is_said, is_by_status: true, remedy: None, word: None, lacks: None };
    let unmet = answer.expect.iter().find(|expectation| !is_met(expectation, body));
    match unmet.filter(|_| by_status == HttpMeaning::Success) {
        None => meant,
        Some(unmet) => Meant { meaning: unmet.otherwise, lacks: Some(&unmet.path), is_by_status: false, ..meant },
    }
}

/// Whether a case fits an answer, and which of its values the body has.
fn fits<'a>(case: &'a Case, status: StatusCode, body: &Value) -> Option<Option<&'a Value>> {
    if case.status.is_some_and(|wanted| wanted != status.as_u16()) {
        return None;
    }
    match &case.body {
        None => Some(None),
        Some((path, one_of)) => found_of(path, one_of, body).map(Some),
    }
}

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

/// Whether an answer to a token that was tried is about something else: the provider, its address, or the operator's own credential.
/// What a recipe says of an answer itself is about the token.
#[must_use]
pub fn says_nothing_of_the_token(shows_credential: bool, status: StatusCode, meant: Meant<'_>) -> bool {
    match meant.meaning {
        HttpMeaning::Success => false,
        HttpMeaning::Unavailable
        | HttpMeaning::RateLimited
        | HttpMeaning::QuotaExceeded
        | HttpMeaning::AccountSuspended
        | HttpMeaning::Duplicate => true,
        // Gateways say this when nothing is behind them.
        HttpMeaning::Gone => !meant.is_said,
        // The credential was shown: whatever a recipe says of 401 and 403, only a body can speak of the token.
        HttpMeaning::Unauthorized | HttpMeaning::Refused if shows_credential => {
            !meant.is_said || (meant.is_by_status && matches!(status.as_u16(), 401 | 403))
        }
        HttpMeaning::Unauthorized | HttpMeaning::Refused => false,
    }
}

/// Whether a body says what it should.
#[must_use]
pub fn is_met(expectation: &Expectation, body: &Value) -> bool {
    found_of(&expectation.path, &expectation.one_of, body).is_some()
}

/// The first of some values that a body has at a path.
fn found_of<'a>(path: &JsonPath, one_of: &'a [Value], body: &Value) -> Option<&'a Value> {
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
    match (said(wanted, body, now), wanted.otherwise) {
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

/// When to come back, in the dialects that there are: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3),
/// `X-Retry-After` as seconds since 1970, `X-Rate-Limit-Reset` and `X-RateLimit-Reset` as either. Times of day count against the
/// answer's own `Date`, so that a wrong clock does not matter.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let others = ["x-retry-after", "x-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset"];
    wait(headers, now, &others)
}

/// When to come back to a server that does not work now (RFC 9110, section 10.2.3; for a revocation RFC 7009, section 2.2.1). The headers
/// about limits stand in every answer of some providers, and say nothing of that.
#[must_use]
pub fn back_at_work(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    wait(headers, now, &[])
}

fn wait(headers: &HeaderMap, now: Timestamp, others: &[&str]) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let there = text(header::DATE.as_str()).and_then(http_date).unwrap_or(now);
    let until = |at: Timestamp| Duration::try_from(at.duration_since(there)).unwrap_or_default();
    let number = |text: &str| {
        let number: u64 = text.parse().ok()?;
        // A number so large is a time of day.
        Some(match number {
            1_000_000_000.. => until(Timestamp::from_second(i64::try_from(number).ok()?).ok()?),
            _ => Duration::from_secs(number),
        })
    };
    let standard =
        text(header::RETRY_AFTER.as_str()).and_then(|text| number(text).or_else(|| Some(until(http_date(text)?))));
    let found = standard.or_else(|| others.iter().find_map(|name| number(text(name)?)))?;
    Some(found.clamp(Duration::from_secs(1), MAX_RETRY_AFTER))
}

/// The clock of an answer.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(header::DATE)?.to_str().ok()?)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (http::HeaderName::try_from(*name).unwrap(), http::HeaderValue::try_from(*value).unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn every_dialect_of_retry_after_is_read() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let epoch = (now.as_second() + 90).to_string();
        for (pairs, seconds) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", "Sun, 22 Nov 2026 10:01:30 GMT")], Some(90)),
            (vec![("x-retry-after", epoch.as_str())], Some(90)),
            (vec![("x-rate-limit-reset", epoch.as_str())], Some(90)),
            (vec![("ratelimit-reset", "12")], Some(12)),
            (vec![("retry-after", "0")], Some(1)),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "soon"), ("x-ratelimit-reset", "5")], Some(5)),
            // Their clock is an hour ahead of ours.
            (vec![("x-rate-limit-reset", epoch.as_str()), ("date", "Sun, 22 Nov 2026 10:01:00 GMT")], Some(30)),
            (vec![("retry-after", "99999999")], Some(3_600)),
            (vec![], None),
        ] {
            let found = retry_after(&headers(&pairs), now).map(|wait| wait.as_secs());
            assert_eq!(found, seconds, "{pairs:?}");
            let is_standard = |(name, value): &(&str, &str)| *name == "retry-after" && *value != "soon";
            let of_standard = seconds.filter(|_| pairs.iter().any(is_standard));
            assert_eq!(back_at_work(&headers(&pairs), now).map(|wait| wait.as_secs()), of_standard, "{pairs:?}");
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let read = |format, value: Value| {
            let wanted = Time { path: JsonPath::parse("$.at").unwrap(), format, otherwise: None };
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
        let wanted = Time { path: JsonPath::parse("$.at").unwrap(), format: HttpTimeFormat::Rfc3339, otherwise: day };
        for (body, at) in [
            (json!({"at": "2026-11-22T11:00:00Z"}), "2026-11-22T11:00:00Z"),
            (json!({"at": "22.11.2026 11:00"}), "2026-11-23T10:00:00Z"),
            (json!({}), "2026-11-23T10:00:00Z"),
        ] {
            assert_eq!(time(&wanted, &body, now).unwrap().unwrap().to_string(), at, "{body}");
        }
    }
}
