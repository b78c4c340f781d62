//! FOSSA: deletes by value, and names what it has without values.

use http::Method;
use serde_json::{Value, json};

use super::{Speech, on, used::Use};
use crate::testkit::contract::{
    Answer, Asked, Operation,
    store::{Behaviour, Store},
};

pub(super) struct Fossa;

impl Speech for Fossa {
    fn prefix(&self) -> &'static str {
        "/api"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/cli/organization", token)
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { unique_names: true, ..Behaviour::default() }
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        use Operation::{Create, List};
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["api", "user", _, "api_token"] if asked.method == Method::POST => Some(Create),
            ["api", "user", _, "api_token"] => delete,
            ["api", "users", _] => on(&asked.method, &Method::GET, List),
            ["api", "cli", "organization"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let fields = asked.multipart();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        match operation {
            Operation::Create => {
                if !matches!(field("pushOnly").as_str(), "true" | "false") || field("name").is_empty() {
                    return Answer::refused(400);
                }
                match store.mint(&asked.path[2], &field("name"), vec![json!(field("pushOnly"))], None) {
                    Ok(token) => Answer::json(200, json!({"id": token.id, "name": token.name, "token": token.value})),
                    Err(_) => Answer::refused(400),
                }
            }
            Operation::List => {
                let all = store.listed(&asked.path[2]).into_iter();
                let shown = all.map(|token| json!({"id": token.id, "name": token.name, "isDisabled": false}));
                Answer::json(200, json!({"id": 1, "tokens": shown.collect::<Value>()}))
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!({"organizationId": 1})),
                None => Answer::refused(401),
            },
            Operation::Revoke => {
                let gone = store.revoke(|token| token.value == field("token") && token.account == asked.path[2]);
                Answer::empty(if gone { 200 } else { 404 })
            }
            _ => Answer::refused(404),
        }
    }
}
