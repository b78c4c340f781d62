//! Artifactory: access tokens of the platform.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Speech, collection, has_id, on, used::Use};
use crate::testkit::contract::{Answer, Asked, Operation, store::Store};

pub(super) struct Artifactory;

impl Speech for Artifactory {
    fn prefix(&self) -> &'static str {
        "/access/api/v1"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/tokens/me", token)
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["access", "api", "v1", "tokens"] => collection(&asked.method),
            ["access", "api", "v1", "tokens", "me"] => get,
            ["access", "api", "v1", "tokens", _] => delete,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let form = asked.form();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        match operation {
            Operation::Create => {
                let Some(seconds) = field("expires_in").parse::<i64>().ok() else { return Answer::refused(400) };
                if field("grant_type") != "client_credentials" || field("scope").is_empty() {
                    return Answer::refused(400);
                }
                let scope = field("scope").split(' ').map(Value::from).collect();
                let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
                match store.mint("", &field("description"), scope, Some(expires)) {
                    Ok(token) => {
                        let granted: Vec<&str> = token.permissions.iter().filter_map(Value::as_str).collect();
                        let shown = json!({
                            "token_id": token.id.to_string(), "access_token": token.value,
                            "expires_in": seconds, "scope": granted.join(" "), "token_type": "Bearer",
                        });
                        Answer::json(200, shown)
                    }
                    Err(_) => Answer::refused(400),
                }
            }
            Operation::List => {
                let all = store.listed("").into_iter();
                let shown = all.map(|token| json!({"token_id": token.id.to_string(), "description": token.name}));
                Answer::json(200, json!({"tokens": shown.collect::<Value>()}))
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(token) => Answer::json(200, json!({"token_id": token.id.to_string()})),
                None => Answer::refused(401),
            },
            Operation::Revoke => Answer::empty(if store.revoke(has_id(&asked.path[4])) { 200 } else { 204 }),
            _ => Answer::refused(404),
        }
    }
}
