//! Lengths of time as users write them: Go's syntax plus days, `90d`, `12h`, `1h30m`, `1d12h`.
//!
//! Metav1's duration has no days, and rotation intervals are counted in days; a day here is 24 hours.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What the CRD schema accepts. At most 9999 days or 99999 hours, so that no sum overflows.
pub const PATTERN: &str = r"^([1-9][0-9]{0,3}d)?([0-9]{1,5}(\.[0-9]{1,3})?h)?([0-9]{1,7}(\.[0-9]{1,3})?m)?([0-9]{1,9}(\.[0-9]{1,3})?s)?([0-9]{1,9}ms)?$";

/// A length of time, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(Duration);

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write it like 90d, 12h or 1h30m (units d, h, m, s, ms, in this order)")]
pub struct ParseDurationError {
    text: String,
}

impl GoDuration {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The value for arithmetic.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDurationError { text: text.chars().take(64).collect() };
        if text.is_empty() || text.len() > 48 {
            return Err(error());
        }
        let mut total = Duration::ZERO;
        let mut last_unit = u64::MAX;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
            let (number, tail) = rest.split_at(digits);
            let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let unit_millis: u64 = match unit {
                "d" => 86_400_000,
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(error()),
            };
            if unit_millis >= last_unit {
                return Err(error());
            }
            last_unit = unit_millis;
            total = total.checked_add(scaled(number, unit_millis).ok_or_else(error)?).ok_or_else(error)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

/// `number` units of `unit_millis` milliseconds each; a fraction has at most three digits.
fn scaled(number: &str, unit_millis: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    let millis = whole.parse::<u64>().ok()?.checked_mul(unit_millis)?.checked_add(thousandths * unit_millis / 1000)?;
    Some(Duration::from_millis(millis))
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A rule and not a pattern: its message says how to write it.
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": 48,
            "x-kubernetes-validations": [{
                "rule": format!("self.matches('{}')", PATTERN.replace('\\', "\\\\")),
                "message": "write a duration like 90d, 12h or 1h30m (units d, h, m, s, ms, in this order)",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print_in_the_largest_units() {
        for (text, seconds, printed) in [
            ("90d", 7_776_000, "90d"),
            ("12h", 43_200, "12h"),
            ("1h30m", 5_400, "1h30m"),
            ("1d12h", 129_600, "1d12h"),
            ("36h", 129_600, "1d12h"),
            ("1.5h", 5_400, "1h30m"),
            ("0s", 0, "0s"),
            ("60s", 60, "1m"),
        ] {
            let parsed: GoDuration = text.parse().unwrap();
            assert_eq!((parsed.get().as_secs(), parsed.to_string().as_str()), (seconds, printed), "{text}");
        }
        assert_eq!("250ms".parse::<GoDuration>().unwrap().get(), Duration::from_millis(250));
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_a_hint() {
        for text in
            ["", "d", "5", "-1h", "1w", "1h1d", "1h1h", "1.2345h", ".5h", "1.h", "1h ", "99999999999999999999d", "é1h"]
        {
            let error = text.parse::<GoDuration>().unwrap_err().to_string();
            assert!(error.contains("write it like 90d"), "{text}: {error}");
        }
    }
}
