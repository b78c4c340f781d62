//! The client credentials grant (RFC 6749, section 4.4): what is sent to a token endpoint, and what its answer means.
//! Pure but for the signature of an assertion.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{
    assertion::AssertionClaims,
    secret::{CredentialData, basic_value},
};
use crate::{
    api::provider::credential::OAuth2Method,
    providers::{
        Class, Error,
        http::{
            message::{
                answer::{self, Received},
                redirect,
                render::Rendered,
                wait,
            },
            recipe::credential::ClientCredentials,
        },
    },
};

/// What `client_assertion_type` says of a JWT (RFC 7523, section 2.2).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Key of a client's secret, where nothing else is said.
pub const CLIENT_SECRET: &str = "clientSecret";

/// Key of a private key, where nothing else is said.
pub const PRIVATE_KEY: &str = "privateKey";

/// An access token, and how long it lives, if the answer says so.
pub struct AccessToken {
    pub token: Zeroizing<String>,
    pub lifetime: Option<Duration>,
}

/// The request for a token.
///
/// # Errors
/// What is missing in the Secret, or cannot be used.
pub(in crate::providers::http) fn request(
    wanted: &ClientCredentials,
    data: &CredentialData,
    now: Timestamp,
) -> Result<Rendered, Error> {
    let ClientCredentials { token_url, settings } = wanted;
    let client = &settings.client;
    let client_id = data.client_id(client.client_id.as_deref(), client.client_id_key.as_deref())?;
    let secret = || data.text(client.secret_key.as_deref().unwrap_or(CLIENT_SECRET));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // Large enough that no copy of a secret is left behind by growing.
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(8 << 10));
    form.append_pair("grant_type", "client_credentials");
    if !settings.scopes.is_empty() {
        form.append_pair("scope", &settings.scopes.join(" "));
    }
    for (name, value) in [("audience", &settings.audience), ("resource", &settings.resource)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    match client.method {
        OAuth2Method::ClientSecretBasic => {
            let encoded =
                |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
            let value = basic_value(&encoded(&client_id), &encoded(secret()?)).map_err(|why| data.wrong(&why))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        OAuth2Method::ClientSecretPost => {
            form.append_pair("client_id", &client_id).append_pair("client_secret", secret()?);
        }
        OAuth2Method::PrivateKeyJwt => {
            let audience = client.assertion_audience.as_deref().unwrap_or(token_url.as_str());
            let claims = AssertionClaims { client_id: &client_id, audience, key_id: client.key_id.as_deref(), now };
            let key = client.private_key_key.as_deref().unwrap_or(PRIVATE_KEY);
            let assertion = data.signed(key, client.algorithm.unwrap_or_default(), &claims)?;
            form.append_pair("client_id", &client_id);
            form.append_pair("client_assertion_type", JWT_BEARER).append_pair("client_assertion", &assertion);
        }
        OAuth2Method::TlsClientAuth => {
            form.append_pair("client_id", &client_id);
        }
    }
    let body = Some(Zeroizing::new(form.finish().into_bytes()));
    Ok(Rendered { method: Method::POST, url: token_url.clone(), headers, body })
}

/// Reads the answer of a token endpoint (RFC 6749, section 5). Nothing of its body is reported but an error code that is
/// known.
///
/// # Errors
/// What the answer means, in words that follow the server's name.
pub fn read(received: &Received, secret: &str, now: Timestamp) -> Result<AccessToken, Error> {
    let status = received.status;
    if !status.is_success() {
        return Err(refusal(received, secret, now));
    }
    let unusable = |what: &str| Error::new(Class::Invalid, format!("it answers success, but {what}; check tokenUrl"));
    let body = received.body.json().ok_or_else(|| unusable(received.not_json()))?;
    let kind = body["token_type"].as_str().unwrap_or_default();
    if !kind.eq_ignore_ascii_case("Bearer") {
        return Err(unusable("its token_type is not Bearer"));
    }
    let token = body["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| unusable("it gives no access_token"))?;
    let seconds = body["expires_in"].as_f64().or_else(|| body["expires_in"].as_str()?.parse().ok());
    let lifetime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(AccessToken { token: Zeroizing::new(token.to_owned()), lifetime })
}

fn refusal(received: &Received, secret: &str, now: Timestamp) -> Error {
    let status = received.status;
    let said = received.body.json().and_then(|body| body["error"].as_str()).unwrap_or_default();
    let known = CODES.iter().find(|(code, ..)| *code == said);
    let (class, what) = match known {
        Some((_, class, what)) => (*class, (*what).to_owned()),
        None => match status {
            _ if status == StatusCode::TOO_MANY_REQUESTS || answer::asks_to_wait(received) => {
                let retry_after = wait::retry_after(&received.headers, now);
                (
                    Class::RateLimited { retry_after },
                    "it limits the rate of requests; the operator retries later".to_owned(),
                )
            }
            StatusCode::REQUEST_TIMEOUT => {
                (Class::Unavailable, "it does not work now; the operator retries".to_owned())
            }
            _ if status.is_server_error() => {
                (Class::Unavailable, "it does not work now; the operator retries".to_owned())
            }
            _ if status.is_redirection() => {
                let advice = redirect::advice(received).unwrap_or_else(|| "check tokenUrl".to_owned());
                (Class::Invalid, format!("it refuses the request; {advice}"))
            }
            StatusCode::UNAUTHORIZED => (Class::Unauthorized, CODES[0].2.to_owned()),
            StatusCode::FORBIDDEN => (Class::Refused, CODES[0].2.to_owned()),
            StatusCode::NOT_FOUND => (Class::Invalid, "it has nothing at that address; check tokenUrl".to_owned()),
            _ => (Class::Invalid, "it refuses the request; check tokenUrl and method".to_owned()),
        },
    };
    let code = known.map(|(code, ..)| format!(", {code}")).unwrap_or_default();
    let whose = if matches!(class, Class::Unauthorized | Class::Refused) {
        format!("; the client's Secret is {secret}")
    } else {
        String::new()
    };
    Error::new(class, format!("{what} (status {}{code}){whose}", status.as_u16()))
}

/// The error codes of a token endpoint (RFC 6749, section 5.2; RFC 8707, section 2) and what to do.
const CODES: [(&str, Class, &str); 8] = [
    (
        "invalid_client",
        Class::Unauthorized,
        "it does not accept the client; check its id, its secret or key, and method",
    ),
    (
        "unauthorized_client",
        Class::Unauthorized,
        "the client may not use the client credentials grant, or its secret is wrong; check both",
    ),
    ("access_denied", Class::Refused, "the client may not have this; allow it at the authorization server"),
    ("invalid_scope", Class::Invalid, "it does not grant a requested scope; check scopes"),
    ("invalid_target", Class::Invalid, "it does not know what the token is for; check resource and audience"),
    ("unsupported_grant_type", Class::Invalid, "it does not support the client credentials grant; check tokenUrl"),
    ("temporarily_unavailable", Class::Unavailable, "it does not work now; the operator retries"),
    ("server_error", Class::Unavailable, "it does not work now; the operator retries"),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::providers::http::message::answer::Body;

    fn read_of(status: u16, body: &Value) -> Result<AccessToken, Error> {
        let received = Received {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Body::of(body.to_string().into_bytes()),
        };
        read(&received, "ns/client", "2026-11-22T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_token_is_read_with_how_long_it_lives() {
        for (expires_in, lifetime) in
            [(json!(300), Some(300)), (json!("60"), Some(60)), (Value::Null, None), (json!(-1), None)]
        {
            let body = json!({"access_token": "canary", "token_type": "bearer", "expires_in": expires_in});
            let granted = read_of(200, &body).ok().unwrap();
            assert_eq!(granted.lifetime.map(|lifetime| lifetime.as_secs()), lifetime);
            assert_eq!(*granted.token, "canary");
        }
    }

    #[test]
    fn refusals_say_what_to_do_and_nothing_of_the_body() {
        let ok = |extra: Value| {
            let mut body = json!({"access_token": "canary", "token_type": "Bearer"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            body
        };
        for (status, body, class, reported) in [
            (
                401,
                json!({"error": "invalid_client", "error_description": "canary"}),
                Class::Unauthorized,
                "invalid_client",
            ),
            (400, json!({"error": "unauthorized_client"}), Class::Unauthorized, "or its secret is wrong"),
            (400, json!({"error": "invalid_scope"}), Class::Invalid, "check scopes"),
            (400, json!({"error": "canary"}), Class::Invalid, "check tokenUrl"),
            (401, json!("canary"), Class::Unauthorized, "ns/client"),
            (503, json!({}), Class::Unavailable, "status 503"),
            (429, json!({}), Class::RateLimited { retry_after: None }, "limits the rate"),
            (200, json!("canary"), Class::Invalid, "token_type"),
            (200, ok(json!({"token_type": "DPoP"})), Class::Invalid, "token_type"),
            (200, ok(json!({"access_token": ""})), Class::Invalid, "access_token"),
        ] {
            let error = read_of(status, &body).err().unwrap();
            assert!(error.class() == class && error.to_string().contains(reported), "{body}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
