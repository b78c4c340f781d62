//! FOSSA: deletes by value, and names what it has without values. Besides, short tokens for those of an OIDC provider.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Speech, on, text, used::Use};
use crate::testkit::contract::{
    ADMIN, Answer, Asked, Operation,
    store::{Behaviour, Store, Stored},
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

    /// The exchange needs no credential: the token that is shown is one.
    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.bearer() == ADMIN || asked.path[1] == "oidc"
    }

    fn refusal(&self) -> Answer {
        failed(401, "Unauthorized")
    }

    fn too_many(&self) -> Answer {
        failed(429, "Too many requests")
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
            ["api", "oidc", "token-exchange"] => on(&asked.method, &Method::POST, Create),
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        let fields = asked.multipart();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        match operation {
            Operation::Create if asked.path[1] == "oidc" => exchange(&asked.json(), store),
            Operation::Create => {
                if !matches!(field("pushOnly").as_str(), "true" | "false") || field("name").is_empty() {
                    return failed(400, "name and pushOnly are required");
                }
                match store.mint(&asked.path[2], &field("name"), vec![json!(field("pushOnly"))], None) {
                    Ok(token) => Answer::json(200, json!({"id": token.id, "name": token.name, "token": token.value})),
                    Err(_) => failed(400, "The name is in use already"),
                }
            }
            Operation::List => {
                let with_value = store.behaviour.values_listed;
                let all = store.listed(&asked.path[2]).into_iter();
                Answer::json(
                    200,
                    json!({"id": 1, "tokens": all.map(|token| show(token, with_value)).collect::<Value>()}),
                )
            }
            Operation::Verify => match store.accepted(asked.bearer()) {
                Some(_) => Answer::json(200, json!({"organizationId": 1})),
                None => self.refusal(),
            },
            Operation::Revoke => {
                let gone = store.revoke(|token| token.value == field("token") && token.account == asked.path[2]);
                if gone { Answer::empty(200) } else { failed(404, "No such token") }
            }
            _ => Answer::refused(404),
        }
    }
}

fn show(token: &Stored, with_value: bool) -> Value {
    let at = token.at.to_string();
    let mut shown = json!({
        "id": token.id, "name": token.name, "isDisabled": false, "createdAt": at, "updatedAt": at,
        "meta": {"pushOnly": token.permissions.first().is_some_and(|only| only == "true")},
    });
    if with_value {
        shown["token"] = json!(token.value);
    }
    shown
}

/// A token for one of an OIDC provider; whatever is wrong is 400.
fn exchange(body: &Value, store: &mut Store) -> Answer {
    let optional = |name: &str, default: Value| body.get(name).cloned().unwrap_or(default);
    let seconds = optional("expiresIn", json!(3600)).as_i64().filter(|seconds| (900..=43_200).contains(seconds));
    let push_only = optional("isPushOnly", json!(true)).as_bool();
    let (username, provider) = (text(body, "username"), body["providerId"].as_i64().filter(|id| *id > 0));
    let (Some(seconds), Some(push_only), Some(provider)) = (seconds, push_only, provider) else {
        return failed(400, "providerId, expiresIn or isPushOnly is wrong");
    };
    let Some(claims) = claims(text(body, "token")).filter(|_| !username.is_empty()) else {
        return failed(400, "username or token is wrong");
    };
    let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
    let name = format!("oidc-{}", store.minted() + 1);
    match store.mint(&format!("oidc:{username}"), &name, vec![json!(push_only.to_string())], Some(expires)) {
        Ok(token) => {
            let shown = json!({
                "userId": 1, "providerId": provider, "issuer": claims["iss"], "subject": claims["sub"],
                "credential": {"token": token.value, "isPushOnly": push_only, "expiration": expires.to_string()},
            });
            Answer::json(200, shown)
        }
        Err(_) => failed(400, "no token"),
    }
}

/// What a JWT says, if the text looks like one; its signature is nobody's business here.
fn claims(token: &str) -> Option<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let decoded = |part: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let [header, claims, signature] = parts.as_slice() else { return None };
    let header: Option<Value> = decoded(header);
    decoded(claims).filter(|claims: &Value| header.is_some() && claims.is_object() && !signature.is_empty())
}

fn failed(status: u16, message: &str) -> Answer {
    let uuid = "00000000-0000-4000-8000-000000000000";
    Answer::json(
        status,
        json!({"uuid": uuid, "code": 1000, "message": message, "name": "Error", "httpStatusCode": status}),
    )
}
