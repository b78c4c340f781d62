//! One call.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokenturn::testkit::contract::{ADMIN, ContractServer};

/// One client for all tests, since it is slow to make. It keeps no connections, which would end with the test that opened them.
pub fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client")
    });
    &CLIENT
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// A request.
pub struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Call {
    /// `GET /path`, where the path begins at the server's root.
    pub fn new(line: &str) -> Self {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let method = method.parse().expect("a method");
        Self { method, path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The operator's credential where most providers expect it.
    pub fn admin(self) -> Self {
        self.bearer(ADMIN)
    }

    /// HTTP Basic authentication as OAuth 2.0 says.
    pub fn basic(self, name: &str, password: &str) -> Self {
        let pair = format!("{}:{}", encoded(name), encoded(password));
        self.header("authorization", &format!("Basic {}", BASE64_STANDARD.encode(pair)))
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string();
        self.header("content-type", "application/json")
    }

    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.body = fields.join("&");
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    pub fn multipart(mut self, fields: &[(&str, &str)]) -> Self {
        let part = |(name, value): &(&str, &str)| {
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        self.body = fields.iter().map(part).chain(["--edge--\r\n".to_owned()]).collect();
        self.header("content-type", "multipart/form-data; boundary=edge")
    }

    /// The answer, if there was one.
    pub async fn try_send(self, server: &ContractServer) -> Result<Reply, reqwest::Error> {
        let origin = url::Url::parse(&server.url()).expect("a URL").origin().ascii_serialization();
        let request = client().request(self.method, format!("{origin}{}", self.path)).body(self.body);
        let request = self.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(Reply { status, headers, body })
    }

    pub async fn send(self, server: &ContractServer) -> Reply {
        self.try_send(server).await.expect("an answer")
    }
}

/// A value in a query or a form.
pub fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
