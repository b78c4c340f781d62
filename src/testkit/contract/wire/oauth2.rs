//! OAuth 2.0: RFC 6749, 7662, 7009, 8414, 9449. A revocation succeeds whatever it is asked for.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Speech, on, proof, used::Use};
use crate::testkit::contract::{
    ADMIN, Answer, Asked, Operation,
    store::{Behaviour, Store},
};

pub(super) struct OAuth2;

impl Speech for OAuth2 {
    fn prefix(&self) -> &'static str {
        ""
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        // What such a token is for is another server, which asks for no proof here.
        Use::bearer("/resource", token)
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { reuse_detection: true, ..Behaviour::default() }
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.basic() == Some((ADMIN.to_owned(), ADMIN.to_owned()))
    }

    fn refusal(&self) -> Answer {
        Answer::json(401, json!({"error": "invalid_client", "error_description": "client authentication failed"}))
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        use Operation::{Create, Describe, Refresh, Revoke, Verify};
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["resource"] => get,
            [".well-known", "openid-configuration"] => on(&asked.method, &Method::GET, Describe),
            ["token"] => on(&asked.method, &Method::POST, if is_refresh(asked) { Refresh } else { Create }),
            ["token", "introspection"] => on(&asked.method, &Method::POST, Verify),
            ["token", "revocation"] => on(&asked.method, &Method::POST, Revoke),
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let form = asked.form();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        match operation {
            Operation::Create => {
                if field("grant_type") != "client_credentials" {
                    return Answer::json(400, json!({"error": "unsupported_grant_type"}));
                }
                match proof::key(asked, store) {
                    Ok(key) => create(&field("scope"), key.as_deref(), store),
                    Err(refusal) => refusal,
                }
            }
            Operation::Describe => describe(asked.header("host")),
            Operation::Refresh => refresh(&field("refresh_token"), store),
            Operation::Verify if asked.method == Method::GET => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!({})),
                None => Answer::refused(401),
            },
            Operation::Verify => {
                if !self.is_admin(asked, store) {
                    return self.refusal();
                }
                let found = store.accepted(&field("token"));
                let key = found.and_then(|token| token.bound_to.as_deref());
                let access = found.map(|token| token.permissions.as_slice());
                match access.or_else(|| store.good_refresh(&field("token"))) {
                    Some(permissions) => {
                        let scopes: Vec<&str> = permissions.iter().filter_map(Value::as_str).collect();
                        let mut reported = json!({"active": true, "scope": scopes.join(" "), "token_type": kind(key)});
                        if let Some(thumbprint) = key {
                            reported["cnf"] = json!({"jkt": thumbprint});
                        }
                        Answer::json(200, reported)
                    }
                    None => Answer::json(200, json!({"active": false})),
                }
            }
            Operation::Revoke => {
                store.revoke(|token| token.value == field("token"));
                store.end_refresh(&field("token"));
                Answer::empty(200)
            }
            _ => Answer::refused(404),
        }
    }
}

fn kind(key: Option<&str>) -> &'static str {
    if key.is_some() { "DPoP" } else { "Bearer" }
}

fn create(scope: &str, key: Option<&str>, store: &mut Store) -> Answer {
    let scopes = scope.split_whitespace().map(Value::from).collect();
    let expires = Timestamp::now() + SignedDuration::from_secs(86_400);
    let Ok(token) = store.mint("", "", scopes, Some(expires)) else {
        return Answer::json(400, json!({"error": "invalid_request"}));
    };
    let value = token.value.clone();
    if let Some(thumbprint) = key {
        store.bind_latest(thumbprint);
    }
    Answer::json(200, json!({"access_token": value, "token_type": kind(key), "expires_in": 86_400, "scope": scope}))
}

/// The metadata of the server, which calls itself as it was called.
fn describe(host: &str) -> Answer {
    let at = |path: &str| format!("http://{host}{path}");
    Answer::json(
        200,
        json!({
            "issuer": at(""), "token_endpoint": at("/token"), "introspection_endpoint": at("/token/introspection"),
            "revocation_endpoint": at("/token/revocation"),
        }),
    )
}

fn is_refresh(asked: &Asked) -> bool {
    asked.form().get("grant_type").is_some_and(|kind| kind == "refresh_token")
}

/// The former refresh token is dropped: it is good once.
fn refresh(value: &str, store: &mut Store) -> Answer {
    let expires = Timestamp::now() + SignedDuration::from_secs(86_400);
    match store.take_refresh(value).and_then(|family| store.mint_pair(family, expires).ok()) {
        Some(pair) => {
            let scopes: Vec<&str> = pair.permissions.iter().filter_map(Value::as_str).collect();
            let shown = json!({
                "access_token": pair.access, "refresh_token": pair.refresh, "token_type": "Bearer",
                "expires_in": 86_400, "scope": scopes.join(" "),
            });
            Answer::json(200, shown)
        }
        None => Answer::json(400, json!({"error": "invalid_grant"})),
    }
}
