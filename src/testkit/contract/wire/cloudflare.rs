//! Cloudflare: tokens of an account.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{PAGE, Speech, collection, has_id, list_of, on, text, used::Use};
use crate::testkit::contract::{Answer, Asked, Operation, store::Store};

pub(super) struct Cloudflare;

impl Speech for Cloudflare {
    fn prefix(&self) -> &'static str {
        "/client/v4"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/accounts/x/tokens/verify", token)
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["client", "v4", "accounts", _, "tokens"] => collection(&asked.method),
            ["client", "v4", "accounts", _, "tokens", "verify"] => get,
            ["client", "v4", "accounts", _, "tokens", _] => delete,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let ok =
            |result: Value| Answer::json(200, json!({"success": true, "errors": [], "messages": [], "result": result}));
        let refused = |status| {
            Answer::json(status, json!({"success": false, "errors": [{"code": 1000, "message": "no"}], "result": null}))
        };
        match operation {
            Operation::Create => {
                let body = asked.json();
                let policy = &body["policies"][0];
                let groups = list_of(&policy["permission_groups"]);
                if text(policy, "effect") != "allow" || groups.iter().any(|group| group["id"].as_str().is_none()) {
                    return refused(400);
                }
                let expires: Option<Timestamp> = text(&body, "expires_on").parse().ok();
                match store.mint(&asked.path[3], text(&body, "name"), groups, expires) {
                    Ok(token) => ok(json!({"id": token.id.to_string(), "name": token.name, "value": token.value,
                                           "status": "active", "expires_on": text(&body, "expires_on")})),
                    Err(_) => refused(400),
                }
            }
            Operation::List => {
                let all: Vec<Value> = store
                    .listed(&asked.path[3])
                    .into_iter()
                    .map(|token| json!({"id": token.id.to_string(), "name": token.name, "status": "active"}))
                    .collect();
                ok(asked.page("page", 1, PAGE, all).into())
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(token) => ok(json!({"id": token.id.to_string(), "status": "active"})),
                None => refused(401),
            },
            Operation::Revoke => match store.revoke(has_id(&asked.path[5])) {
                true => ok(json!({"id": asked.path[5]})),
                false => refused(404),
            },
            _ => Answer::refused(404),
        }
    }
}
