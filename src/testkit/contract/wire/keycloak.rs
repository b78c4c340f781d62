//! Keycloak with client-secret-rotation: the secret of a client, and the one before it. A real one runs in other tests; this one starts at once.

use http::Method;
use serde_json::json;

use super::{Speech, on, used::Use};
use crate::testkit::contract::{
    ADMIN, Answer, Asked, Operation,
    store::{Store, Stored},
};

pub(super) struct Keycloak;

/// The client that the operator is, and its access token.
const OPERATOR: &str = "tokenturn";
const SESSION: &str = "access-token-of-the-operator";

impl Speech for Keycloak {
    fn prefix(&self) -> &'static str {
        ""
    }

    /// What a secret is for is a token.
    fn use_of_a_token(&self, token: &str, account: &str) -> Use {
        Use::client_credentials("/realms/shop/protocol/openid-connect/token", account, token)
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.bearer() == SESSION || asked.path[0] == "realms"
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        use Operation::{Create, Get, Revoke, Verify};
        let get = on(&asked.method, &Method::GET, Get);
        match asked.segments().as_slice() {
            ["realms", _, "protocol", "openid-connect", "token"] => on(&asked.method, &Method::POST, Verify),
            ["admin", "realms", _, "clients", _, "client-secret"] => get.or(on(&asked.method, &Method::POST, Create)),
            ["admin", "realms", _, "clients", _, "client-secret", "rotated"] => {
                get.or(on(&asked.method, &Method::DELETE, Revoke))
            }
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        if operation == Operation::Verify {
            return token(asked, store);
        }
        let client = asked.path[4].as_str();
        let [present, rotated] = secrets(client, store);
        match operation {
            // There is one place for an old secret.
            Operation::Create => {
                store.revoke(|secret| Some(secret.id) == rotated);
                let minted = store.mint(client, "", Vec::new(), None).map(show);
                minted.unwrap_or_else(|_| Answer::refused(400))
            }
            Operation::Revoke => {
                let found = store.revoke(|secret| Some(secret.id) == rotated);
                if found { Answer::empty(204) } else { not_found() }
            }
            _ => {
                let wanted = if asked.path.len() > 6 { rotated } else { present };
                wanted.and_then(|id| store.by_id(id)).map_or_else(not_found, show)
            }
        }
    }
}

/// The secret of a client and the one before it, by their ids.
fn secrets(client: &str, store: &Store) -> [Option<u64>; 2] {
    let mut ids = store.living(client).into_iter().map(|secret| secret.id).rev();
    let newest = ids.next();
    // Once it is revoked, the newest is alone.
    [newest, ids.next()]
}

/// The token endpoint, which shows whether a secret works.
fn token(asked: &Asked, store: &Store) -> Answer {
    let form = asked.form();
    let in_form = || Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone()));
    let given =
        |value: &str| Answer::json(200, json!({"access_token": value, "token_type": "Bearer", "expires_in": 300}));
    match asked.basic().or_else(in_form) {
        Some((id, secret)) if id == OPERATOR && secret == ADMIN => given(SESSION),
        Some((_, secret)) if store.accepted(&secret).is_some() => given("eyJ.of.nobody"),
        _ => {
            let why = "Invalid client or Invalid client credentials";
            Answer::json(401, json!({"error": "unauthorized_client", "error_description": why}))
        }
    }
}

fn show(secret: &Stored) -> Answer {
    Answer::json(200, json!({"type": "secret", "value": secret.value}))
}

fn not_found() -> Answer {
    Answer::json(404, json!({"error": "Client does not have a rotated secret"}))
}
