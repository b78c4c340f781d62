//! GitLab: access tokens of a project.

use http::Method;
use serde_json::json;

use super::{PAGE, Speech, collection, date, day, has_id, list_of, on, text, used::Use};
use crate::testkit::contract::{
    ADMIN, Answer, Asked, Operation,
    store::{Store, Stored},
};

pub(super) struct GitLab;

impl Speech for GitLab {
    fn prefix(&self) -> &'static str {
        "/api/v4"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::header("/personal_access_tokens/self", "PRIVATE-TOKEN", token)
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.header("private-token") == ADMIN
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let delete = on(&asked.method, &Method::DELETE, Operation::Revoke);
        let get = on(&asked.method, &Method::GET, Operation::Verify);
        match asked.segments().as_slice() {
            ["api", "v4", "projects", _, "access_tokens"] => collection(&asked.method),
            ["api", "v4", "projects", _, "access_tokens", _] => {
                delete.or(on(&asked.method, &Method::GET, Operation::Get))
            }
            ["api", "v4", "personal_access_tokens", "self"] => get,
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let show = |token: &Stored| {
            json!({"id": token.id, "name": token.name, "scopes": token.permissions, "active": true, "revoked": false,
                   "expires_at": day(token.expires), "last_used_at": token.used.map(|at| at.to_string())})
        };
        match operation {
            Operation::Create => {
                let body = asked.json();
                let Some(expires) = date(text(&body, "expires_at")) else { return Answer::refused(400) };
                if text(&body, "name").is_empty()
                    || list_of(&body["scopes"]).is_empty()
                    || !body["access_level"].is_i64()
                {
                    return Answer::refused(400);
                }
                match store.mint(&asked.path[3], text(&body, "name"), list_of(&body["scopes"]), Some(expires)) {
                    Ok(token) => {
                        let mut shown = show(token);
                        shown["token"] = json!(token.value);
                        Answer::json(201, shown)
                    }
                    Err(_) => Answer::refused(400),
                }
            }
            Operation::List => {
                let all = store.listed(&asked.path[3]).into_iter().map(show).collect();
                Answer::json(200, asked.page("page", 1, PAGE, all).into())
            }
            Operation::Get => store
                .living(&asked.path[3])
                .into_iter()
                .find(|token| has_id(&asked.path[5])(token))
                .map_or_else(|| Answer::refused(404), |token| Answer::json(200, show(token))),
            // What the operator's own token is.
            Operation::Verify if asked.header("private-token") == ADMIN => {
                Answer::json(200, json!({"id": 1, "active": true, "expires_at": null}))
            }
            Operation::Verify => match store.accepted(asked.header("private-token")) {
                Some(token) => Answer::json(200, show(token)),
                None => Answer::refused(401),
            },
            Operation::Revoke => Answer::empty(if store.revoke(has_id(&asked.path[5])) { 204 } else { 404 }),
            _ => Answer::refused(404),
        }
    }
}
