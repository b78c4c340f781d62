//! Datadog: API keys of an organization.

use http::Method;
use serde_json::json;

use super::{PAGE, Speech, collection, on, text, used::Use};
use crate::testkit::contract::{
    ADMIN, Answer, Asked, Operation,
    store::{Store, Stored},
};

pub(super) struct Datadog;

impl Speech for Datadog {
    fn prefix(&self) -> &'static str {
        ""
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::header("/api/v1/validate", "DD-API-KEY", token)
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.header("dd-api-key") == ADMIN && asked.header("dd-application-key") == ADMIN
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["api", "v2", "api_keys"] => collection(&asked.method),
            ["api", "v2", "api_keys", _] => delete,
            ["api", "v1", "validate"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let show = |token: &Stored| json!({"type": "api_keys", "id": format!("key-{}", token.id), "attributes": {"name": token.name}});
        match operation {
            Operation::Create => {
                let body = asked.json();
                let data = &body["data"];
                if text(data, "type") != "api_keys" {
                    return Answer::refused(400);
                }
                match store.mint("", text(&data["attributes"], "name"), Vec::new(), None) {
                    Ok(token) => {
                        let mut shown = show(token);
                        shown["attributes"]["key"] = json!(token.value);
                        Answer::json(201, json!({"data": shown}))
                    }
                    Err(_) => Answer::refused(400),
                }
            }
            Operation::List => {
                let all = store.listed("").into_iter().map(show).collect();
                Answer::json(200, json!({"data": asked.page("page[number]", 0, PAGE, all)}))
            }
            Operation::Verify => match store.accepted(asked.header("dd-api-key")) {
                Some(_) => Answer::json(200, json!({"valid": true})),
                None => Answer::json(403, json!({"errors": ["Forbidden"]})),
            },
            Operation::Revoke => {
                let gone = store.revoke(|token| format!("key-{}", token.id) == asked.path[3]);
                Answer::empty(if gone { 204 } else { 404 })
            }
            _ => Answer::refused(404),
        }
    }
}
