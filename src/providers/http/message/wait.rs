//! When to come back, as an answer says it, and the clock by which it says that.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;

/// Longest wait that a provider is believed: to ask once an hour does no harm, and a wrong unit must not stop rotations
/// for a day.
pub const LONGEST: Duration = Duration::from_secs(3_600);

/// When to come back, in the dialects that there are: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3),
/// `X-Retry-After` as seconds since 1970, `X-Rate-Limit-Reset` and `X-RateLimit-Reset` as either. Times of day count
/// against the answer's own `Date`, so that a wrong clock does not matter.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let others = ["x-retry-after", "x-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset"];
    wait(headers, now, &others)
}

/// When to come back to a server that does not work now (RFC 9110, section 10.2.3; for a revocation RFC 7009, section
/// 2.2.1). The headers about limits stand in every answer of some providers, and say nothing of that.
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
    Some(found.clamp(Duration::from_secs(1), LONGEST))
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
}
