//! What an answer means. Pure: status, headers and body in, meaning out.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use serde_json_path::JsonPath;

pub use super::body::Body;
use super::{
    content::{found_of, is_met},
    wait::{back_at_work, retry_after},
};
use crate::{
    api::provider::http::HttpMeaning,
    providers::http::recipe::operation::{AnswerRules, Case},
};

/// An answer as it came.
pub struct Received {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Received {
    /// What a body is that is not JSON, and what that says.
    #[must_use]
    pub fn not_json(&self) -> &'static str {
        let kind = self.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_html = kind.to_ascii_lowercase().starts_with(b"text/html");
        match &self.body {
            Body::Empty => "the answer is empty, not JSON",
            Body::Json(_) => "the answer is JSON",
            Body::Other if is_html => "the answer is an HTML page, not JSON: probably of a login page or a proxy",
            Body::Other => "the answer is not JSON",
        }
    }
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

/// Whether a 403 says when to come back: then it is about a limit, and not about the credential or a token, whatever
/// 403 means else.
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
    /// What it was recognized by in its body: a word of the recipe, so it can be shown.
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
        Some(unmet) => Meant { meaning: unmet.default, lacks: Some(&unmet.path), is_by_status: false, ..meant },
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

/// Whether an answer to a token that was tried is about something else: the provider, its address, or the operator's
/// own credential. What a recipe says of an answer itself is about the token.
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
