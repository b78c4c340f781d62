//! How providers say that they were asked too often.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};

use super::{Fault, store::Store};

/// The headers of an answer with 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `Retry-After` in seconds.
    RetryAfter,
    /// `Retry-After` as an HTTP date.
    RetryAfterDate,
    /// `X-Retry-After`, a Unix time: Docker Hub.
    XRetryAfter,
    /// `X-Rate-Limit-Limit`, `-Remaining` and `-Reset`, a Unix time, with every answer: Okta.
    XRateLimit,
    /// The same with a limit of zero: too many calls at the same time, and the reset is a guess.
    Concurrency,
    /// `RateLimit-Limit`, `-Remaining` and `-Reset`, a Unix time, with every answer: GitLab.
    RateLimit,
    /// The same in seconds from now, as drafts of the IETF say.
    RateLimitSeconds,
    /// Nothing: the quota of a plan.
    Silent,
}

/// How much may be asked.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Calls of every kind that are answered in one window.
    pub calls: usize,
    /// From the first call to the reset; without it nothing but [`Store::reset_quota`] ends it.
    pub window: Option<Duration>,
    pub dialect: Dialect,
}

/// What the quota has to do with an answer.
pub(super) struct Spent {
    pub(super) is_too_much: bool,
    pub(super) headers: Vec<(&'static str, String)>,
}

type Headers = Vec<(&'static str, String)>;

impl Dialect {
    pub const ALL: [Self; 8] = [
        Self::RetryAfter,
        Self::RetryAfterDate,
        Self::XRetryAfter,
        Self::XRateLimit,
        Self::Concurrency,
        Self::RateLimit,
        Self::RateLimitSeconds,
        Self::Silent,
    ];

    /// A refusal of one call, which asks to wait that long.
    pub fn refusal(self, wait: Duration) -> Fault {
        Fault::Status(429, self.headers(1, 0, Timestamp::now() + wait))
    }

    /// Times are rounded up: who keeps to them does not come too early.
    fn headers(self, limit: usize, remaining: usize, reset: Timestamp) -> Headers {
        let whole = reset.as_second() + i64::from(reset.subsec_nanosecond() > 0);
        let wait = u128::try_from(reset.duration_since(Timestamp::now()).as_millis()).unwrap_or_default();
        let (unix, seconds) = (whole.to_string(), wait.div_ceil(1_000).to_string());
        let three = |names: [&'static str; 3], limit: usize, reset: String| {
            names.into_iter().zip([limit.to_string(), remaining.to_string(), reset]).collect()
        };
        const X_RATE_LIMIT: [&str; 3] = ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"];
        const RATE_LIMIT: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
        match self {
            Self::RetryAfter => vec![("retry-after", seconds)],
            Self::RetryAfterDate => {
                let at = Timestamp::from_second(whole).unwrap_or(reset);
                let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
                date.map(|date| ("retry-after", date)).into_iter().collect()
            }
            Self::XRetryAfter => vec![("x-retry-after", unix)],
            Self::XRateLimit => three(X_RATE_LIMIT, limit, unix),
            Self::Concurrency => three(X_RATE_LIMIT, 0, unix),
            Self::RateLimit => three(RATE_LIMIT, limit, unix),
            Self::RateLimitSeconds => three(RATE_LIMIT, limit, seconds),
            Self::Silent => Vec::new(),
        }
    }

    fn is_on_every_answer(self) -> bool {
        matches!(self, Self::XRateLimit | Self::RateLimit | Self::RateLimitSeconds)
    }
}

/// What was asked since the last reset.
#[derive(Debug, Default)]
pub(super) struct Meter {
    calls: usize,
    reset: Option<Timestamp>,
}

impl Store {
    /// Begins a new window.
    pub fn reset_quota(&mut self) {
        self.meter = Meter::default();
    }

    /// Counts a call.
    pub(super) fn spend(&mut self) -> Spent {
        let Some(Quota { calls, window, dialect }) = self.behaviour.quota.clone() else {
            return Spent { is_too_much: false, headers: Vec::new() };
        };
        let now = Timestamp::now();
        if window.is_some() && self.meter.reset.is_some_and(|at| at <= now) {
            self.reset_quota();
        }
        let reset = *self.meter.reset.get_or_insert(now + window.unwrap_or(Duration::from_secs(3_600)));
        self.meter.calls += 1;
        let is_too_much = self.meter.calls > calls;
        let is_told = is_too_much || dialect.is_on_every_answer();
        let left = calls.saturating_sub(self.meter.calls);
        Spent { is_too_much, headers: if is_told { dialect.headers(calls, left, reset) } else { Vec::new() } }
    }
}
