//! Okta: the client secrets of an app, of which there are at most two. One is switched off before it is deleted.

use http::Method;
use serde_json::{Value, json};

use super::{Speech, collection, on, text, used::Use};
use crate::testkit::contract::{
    ADMIN, Answer, Asked, Operation,
    store::{Behaviour, Store, Stored},
};

pub(super) struct Okta;

impl Speech for Okta {
    fn prefix(&self) -> &'static str {
        ""
    }

    /// What a secret is for is a token; the app is its client.
    fn use_of_a_token(&self, token: &str, account: &str) -> Use {
        Use::client_credentials("/oauth2/v1/token", account, token)
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { slots: 2, values_listed: true, ..Behaviour::default() }
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.header("authorization").strip_prefix("SSWS ") == Some(ADMIN)
    }

    fn refusal(&self) -> Answer {
        failed(401, "E0000011", "Invalid token provided")
    }

    fn too_many(&self) -> Answer {
        failed(429, "E0000047", "API call exceeded rate limit due to too many requests.")
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        use Operation::{Activate, Deactivate, Get, Revoke, Verify};
        let post = |operation| on(&asked.method, &Method::POST, operation);
        match asked.segments().as_slice() {
            ["api", "v1", "apps", _, "credentials", "secrets"] => collection(&asked.method),
            ["api", "v1", "apps", _, "credentials", "secrets", _] => {
                on(&asked.method, &Method::GET, Get).or(on(&asked.method, &Method::DELETE, Revoke))
            }
            ["api", "v1", "apps", _, "credentials", "secrets", _, "lifecycle", "activate"] => post(Activate),
            ["api", "v1", "apps", _, "credentials", "secrets", _, "lifecycle", "deactivate"] => post(Deactivate),
            ["oauth2", "v1", "token"] | ["oauth2", _, "v1", "token"] => post(Verify),
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        if operation == Operation::Verify {
            return token(asked, store);
        }
        let app = asked.path[3].as_str();
        let with_value = store.behaviour.values_listed;
        match operation {
            Operation::Create => create(app, &asked.json(), store),
            Operation::List => {
                Answer::json(200, store.listed(app).into_iter().map(|secret| show(secret, with_value)).collect())
            }
            _ => {
                let id = asked.path[6].as_str();
                match store.living(app).into_iter().find(|secret| id_of(secret) == id).cloned() {
                    None => {
                        failed(404, "E0000007", &format!("Not found: Resource not found: {id} (OAuth2ClientSecret)"))
                    }
                    Some(secret) => change(operation, &secret, store),
                }
            }
        }
    }
}

/// A secret may be brought along, so that a lost answer loses nothing.
fn create(app: &str, body: &Value, store: &mut Store) -> Answer {
    let status = body["status"].as_str().unwrap_or("ACTIVE");
    if !matches!(status, "ACTIVE" | "INACTIVE")
        || !(body["client_secret"].is_null() || body["client_secret"].is_string())
    {
        return failed(400, "E0000001", "Api validation failed: client_secret");
    }
    let own = Some(text(body, "client_secret")).filter(|value| !value.is_empty());
    let id = match store.mint_as(app, "", Vec::new(), None, own) {
        Ok(secret) => secret.id,
        Err(_) => {
            return failed(
                400,
                "E0000001",
                "Api validation failed: You have reached the maximum number of client secrets",
            );
        }
    };
    store.switch(id, status == "ACTIVE");
    store.by_id(id).map_or_else(|| Answer::refused(500), |secret| Answer::json(201, show(secret, true)))
}

/// What is asked of one secret that exists.
fn change(operation: Operation, secret: &Stored, store: &mut Store) -> Answer {
    match operation {
        Operation::Get => return Answer::json(200, show(secret, store.behaviour.values_listed)),
        Operation::Activate => store.switch(secret.id, true),
        Operation::Deactivate if store.living(&secret.account).len() == 1 => {
            return failed(400, "E0000001", "Api validation failed: The only client secret cannot be deactivated");
        }
        Operation::Deactivate => store.switch(secret.id, false),
        _ if secret.is_on() => {
            return failed(400, "E0000001", "Api validation failed: An active client secret cannot be deleted");
        }
        _ => {
            store.revoke(|token| token.id == secret.id);
            return Answer::empty(204);
        }
    }
    let with_value = store.behaviour.values_listed;
    store.by_id(secret.id).map_or_else(|| Answer::refused(500), |secret| Answer::json(200, show(secret, with_value)))
}

/// The token endpoint, which shows whether a secret works.
fn token(asked: &Asked, store: &Store) -> Answer {
    let form = asked.form();
    let in_form = || Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone()));
    let shown = asked.basic().or_else(in_form);
    let is_known = |(app, secret): (String, String)| store.accepted(&secret).is_some_and(|found| found.account == app);
    if !shown.is_some_and(is_known) {
        let why = "The client secret supplied for a confidential client is invalid.";
        return Answer::json(401, json!({"error": "invalid_client", "error_description": why}));
    }
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return Answer::json(400, json!({"error": "unsupported_grant_type"}));
    }
    let scope = form.get("scope").cloned().unwrap_or_default();
    Answer::json(
        200,
        json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "eyJ.of.nobody", "scope": scope}),
    )
}

fn id_of(secret: &Stored) -> String {
    format!("ocs{}", secret.id)
}

fn show(secret: &Stored, with_value: bool) -> Value {
    let mut shown = json!({
        "id": id_of(secret), "secret_hash": format!("hash-of-{}", secret.id),
        "status": if secret.is_on() { "ACTIVE" } else { "INACTIVE" },
        "created": secret.at.to_string(), "lastUpdated": secret.at.to_string(), "_links": {},
    });
    if with_value {
        shown["client_secret"] = json!(secret.value);
    }
    shown
}

fn failed(status: u16, code: &str, summary: &str) -> Answer {
    let cause = json!([{"errorSummary": summary}]);
    Answer::json(
        status,
        json!({"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oae-1", "errorCauses": cause}),
    )
}
