//! The request by which a consumer uses a token.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// One request.
#[derive(Clone, Debug)]
pub struct Use {
    pub method: Method,
    /// After the prefix of the API, with its query.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Use {
    /// A token in a header of its own.
    pub(super) fn header(path: &str, name: &'static str, value: &str) -> Self {
        let headers = vec![(name, value.to_owned())];
        Self { method: Method::GET, path: path.to_owned(), headers, body: String::new() }
    }

    pub(super) fn bearer(path: &str, token: &str) -> Self {
        Self::header(path, "authorization", &format!("Bearer {token}"))
    }

    /// A token that is the password of an OAuth 2.0 client.
    pub(super) fn client_credentials(path: &str, client: &str, secret: &str) -> Self {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let shown = BASE64_STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret)));
        let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
        let headers = vec![("authorization", format!("Basic {shown}")), form];
        Self { method: Method::POST, path: path.to_owned(), headers, body: "grant_type=client_credentials".to_owned() }
    }

    /// A token in a parameter of the query.
    pub(super) fn query(path: &str, name: &str, token: &str) -> Self {
        let path = format!("{path}?{name}={}", utf8_percent_encode(token, NON_ALPHANUMERIC));
        Self { method: Method::GET, path, headers: Vec::new(), body: String::new() }
    }
}
