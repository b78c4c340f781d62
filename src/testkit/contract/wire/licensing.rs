//! The licensing API of software-licensing.io: access tokens for 24 hours; nothing lists or revokes them.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Speech, on, used::Use};
use crate::testkit::contract::{ADMIN, Answer, Asked, Operation, store::Store};

pub(super) struct Licensing;

impl Speech for Licensing {
    fn prefix(&self) -> &'static str {
        "/v1"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/products", token)
    }

    fn is_admin(&self, asked: &Asked) -> bool {
        asked.json()["userToken"] == ADMIN
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        use Operation::Create;
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["v1", "authorization"] => on(&asked.method, &Method::POST, Create),
            ["v1", "products"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        match operation {
            Operation::Create => {
                let expires = Timestamp::now() + SignedDuration::from_secs(86_400);
                match store.mint("", "", Vec::new(), Some(expires)) {
                    Ok(token) => Answer::json(
                        201,
                        json!({"expirationDate": expires.to_string(), "accessToken": token.value, "refreshToken": "unused"}),
                    ),
                    Err(_) => Answer::json(429, json!({"error": "Too Many Requests (Reached license limit)"})),
                }
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!([])),
                None => Answer::json(401, json!({"error": "Invalid token"})),
            },
            _ => Answer::refused(404),
        }
    }
}
