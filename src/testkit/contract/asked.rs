//! A request as a contract reads it, and its answer.

use std::collections::BTreeMap;

use axum::body::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

/// A request.
pub struct Asked {
    pub method: Method,
    /// Decoded, without the empty ones.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub(super) fn new(method: Method, uri: &http::Uri, headers: HeaderMap, body: Bytes) -> Self {
        let url = Url::parse("http://x").and_then(|base| base.join(&uri.to_string())).ok();
        let segments = url.iter().flat_map(|url| url.path_segments().into_iter().flatten());
        let decoded = segments
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned());
        let path = decoded.collect();
        let query = url.iter().flat_map(|url| url.query_pairs().into_owned().collect::<Vec<_>>()).collect();
        Self { method, path, query, headers, body }
    }

    /// The path, for matching: `["projects", "12", "access_tokens"]`.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The body, if it says that it is JSON and is.
    pub fn json(&self) -> Value {
        let is_json = self.header("content-type").starts_with("application/json");
        is_json.then(|| serde_json::from_slice(&self.body).ok()).flatten().unwrap_or_default()
    }

    /// The body, if it says that it is a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        let is_form = self.header("content-type") == "application/x-www-form-urlencoded";
        let pairs = form_urlencoded::parse(if is_form { &self.body } else { b"" });
        pairs.into_owned().collect()
    }

    /// The number of the page that is asked for, and what is on it.
    pub fn page<T>(&self, parameter: &str, first: usize, size: usize, all: Vec<T>) -> Vec<T> {
        let number = self.query.get(parameter).and_then(|text| text.parse().ok()).unwrap_or(first);
        all.into_iter().skip(number.saturating_sub(first) * size).take(size).collect()
    }
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Option<Value>,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, body: None }
    }

    pub fn refused(status: u16) -> Self {
        Self::json(status, json!({"message": "refused"}))
    }
}
