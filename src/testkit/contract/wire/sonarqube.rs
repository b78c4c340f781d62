//! SonarQube: tokens of a user, whose name is their id.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Speech, date, on, used::Use};
use crate::testkit::contract::{
    Answer, Asked, Operation,
    store::{Behaviour, Store},
};

pub(super) struct SonarQube;

impl Speech for SonarQube {
    fn prefix(&self) -> &'static str {
        "/api"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/authentication/validate", token)
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { unique_names: true, ..Behaviour::default() }
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        use Operation::{Create, List, Revoke};
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["api", "user_tokens", "generate"] => on(&asked.method, &Method::POST, Create),
            ["api", "user_tokens", "search"] => on(&asked.method, &Method::GET, List),
            ["api", "user_tokens", "revoke"] => on(&asked.method, &Method::POST, Revoke),
            ["api", "authentication", "validate"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let form = asked.form();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        match operation {
            Operation::Create => {
                let Some(expires) = date(&field("expirationDate")).filter(|at| *at > Timestamp::now()) else {
                    return Answer::refused(400);
                };
                if field("name").len() > 100 || field("type") != "USER_TOKEN" {
                    return Answer::refused(400);
                }
                match store.mint(&field("login"), &field("name"), Vec::new(), Some(expires)) {
                    Ok(token) => Answer::json(
                        200,
                        json!({"login": token.account, "name": token.name, "token": token.value,
                                                          "expirationDate": field("expirationDate")}),
                    ),
                    Err(_) => Answer::refused(400),
                }
            }
            Operation::List => {
                let login = asked.query.get("login").cloned().unwrap_or_default();
                let all: Vec<Value> =
                    store.listed(&login).into_iter().map(|token| json!({"name": token.name})).collect();
                Answer::json(200, json!({"login": login, "userTokens": all}))
            }
            Operation::Verify => Answer::json(200, json!({"valid": store.accepted(asked.bearer()).is_some()})),
            Operation::Revoke => {
                store.revoke(|token| token.name == field("name") && token.account == field("login"));
                Answer::empty(204)
            }
            _ => Answer::refused(404),
        }
    }
}
