//! OAuth 2.0: RFC 6749, 7662, 7009. A revocation succeeds whatever it is asked for.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Speech, on, used::Use};
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
        // What such a token is for is another server.
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
        use Operation::{Create, Refresh, Revoke, Verify};
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["resource"] => get,
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
                let scopes = field("scope").split_whitespace().map(Value::from).collect();
                let expires = Timestamp::now() + SignedDuration::from_secs(86_400);
                match store.mint("", "", scopes, Some(expires)) {
                    Ok(token) => Answer::json(
                        200,
                        json!({"access_token": token.value, "token_type": "Bearer", "expires_in": 86_400, "scope": field("scope")}),
                    ),
                    Err(_) => Answer::json(400, json!({"error": "invalid_request"})),
                }
            }
            Operation::Refresh => refresh(&field("refresh_token"), store),
            Operation::Verify if asked.method == Method::GET => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!({})),
                None => Answer::refused(401),
            },
            Operation::Verify => {
                if !self.is_admin(asked, store) {
                    return self.refusal();
                }
                let access = store.accepted(&field("token")).map(|token| token.permissions.as_slice());
                match access.or_else(|| store.good_refresh(&field("token"))) {
                    Some(permissions) => {
                        let scopes: Vec<&str> = permissions.iter().filter_map(Value::as_str).collect();
                        Answer::json(200, json!({"active": true, "scope": scopes.join(" "), "token_type": "Bearer"}))
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
