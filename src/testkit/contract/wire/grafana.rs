//! Grafana: tokens of a service account.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Speech, collection, has_id, on, text, used::Use};
use crate::testkit::contract::{
    Answer, Asked, Operation,
    store::{Behaviour, NotMinted, Store},
};

pub(super) struct Grafana;

impl Speech for Grafana {
    fn prefix(&self) -> &'static str {
        "/api"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/org", token)
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { unique_names: true, ..Behaviour::default() }
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["api", "serviceaccounts", _, "tokens"] => collection(&asked.method),
            ["api", "serviceaccounts", _, "tokens", _] => delete,
            ["api", "org"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        match operation {
            Operation::Create => {
                let body = asked.json();
                let Some(seconds) = body["secondsToLive"].as_i64() else { return Answer::refused(400) };
                let expires = (seconds > 0).then(|| Timestamp::now() + SignedDuration::from_secs(seconds));
                match store.mint(&asked.path[2], text(&body, "name"), Vec::new(), expires) {
                    Ok(token) => Answer::json(200, json!({"id": token.id, "name": token.name, "key": token.value})),
                    Err(NotMinted::Duplicate) => Answer::refused(409),
                    Err(NotMinted::Full) => Answer::refused(403),
                }
            }
            Operation::List => {
                let all = store.listed(&asked.path[2]).into_iter();
                let shown = all.map(|token| json!({"id": token.id, "name": token.name, "hasExpired": false}));
                Answer::json(200, shown.collect())
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!({"id": 1, "name": "Main Org."})),
                None => Answer::refused(401),
            },
            Operation::Revoke => match store.revoke(has_id(&asked.path[4])) {
                true => Answer::json(200, json!({"message": "Service account token deleted"})),
                false => Answer::refused(404),
            },
            _ => Answer::refused(404),
        }
    }
}
