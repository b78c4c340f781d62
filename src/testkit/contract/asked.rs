//! A request as a contract reads it, and its answer.

use std::collections::BTreeMap;

use axum::body::Bytes;
use base64::{Engine, prelude::BASE64_STANDARD};
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

    /// A parameter of the query, or nothing.
    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
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

    /// The parts of a `multipart/form-data` body that are texts.
    pub fn multipart(&self) -> BTreeMap<String, String> {
        let Some(boundary) = self.header("content-type").strip_prefix("multipart/form-data; boundary=") else {
            return BTreeMap::new();
        };
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let boundary = format!("--{boundary}");
        let parts = text.split(&boundary).filter_map(|part| {
            let (head, content) = part.split_once("\r\n\r\n")?;
            let name = head.split_once("name=\"")?.1.split_once('"')?.0;
            Some((name.to_owned(), content.strip_suffix("\r\n")?.to_owned()))
        });
        parts.collect()
    }

    /// User name and password of HTTP Basic authentication, decoded as OAuth 2.0 says (RFC 6749, section 2.3.1).
    pub fn basic(&self) -> Option<(String, String)> {
        let shown = BASE64_STANDARD.decode(self.header("authorization").strip_prefix("Basic ")?).ok()?;
        let shown = String::from_utf8(shown).ok()?;
        let (name, password) = shown.split_once(':')?;
        let decoded = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned());
        Some((decoded(name)?, decoded(password)?))
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
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, body: None, headers: Vec::new() }
    }

    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn refused(status: u16) -> Self {
        Self::json(status, json!({"message": "refused"}))
    }
}
