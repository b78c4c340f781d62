//! Sentry: tokens of an organization.

use http::Method;
use serde_json::json;

use super::{Speech, collection, has_id, list_of, on, text, used::Use};
use crate::testkit::contract::{Answer, Asked, Operation, store::Store};

pub(super) struct Sentry;

impl Speech for Sentry {
    fn prefix(&self) -> &'static str {
        "/api/0"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/organizations/x/releases/", token)
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["api", "0", "organizations", _, "org-auth-tokens"] => collection(&asked.method),
            ["api", "0", "organizations", _, "org-auth-tokens", _] => delete,
            ["api", "0", "organizations", _, "releases"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        match operation {
            Operation::Create => {
                let body = asked.json();
                if body["scopes"] != json!(["org:ci"]) {
                    return Answer::refused(400);
                }
                match store.mint(&asked.path[3], text(&body, "name"), list_of(&body["scopes"]), None) {
                    Ok(token) => {
                        Answer::json(201, json!({"id": token.id.to_string(), "name": token.name, "token": token.value}))
                    }
                    Err(_) => Answer::refused(400),
                }
            }
            Operation::List => {
                let all = store.listed(&asked.path[3]).into_iter();
                Answer::json(200, all.map(|token| json!({"id": token.id.to_string(), "name": token.name})).collect())
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!([])),
                None => Answer::refused(401),
            },
            Operation::Revoke => Answer::empty(if store.revoke(has_id(&asked.path[5])) { 204 } else { 404 }),
            _ => Answer::refused(404),
        }
    }
}
