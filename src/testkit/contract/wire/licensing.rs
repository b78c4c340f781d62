//! The licensing API of software-licensing.io: a User Token for each tenant, and access tokens of 24 hours that nothing lists or revokes.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Speech, on, text, used::Use};
use crate::testkit::contract::{
    Answer, Asked, Operation,
    store::{Family, NotMinted, Store, Tenant},
};

pub(super) struct Licensing;

impl Speech for Licensing {
    fn prefix(&self) -> &'static str {
        "/v1"
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::bearer("/products", token)
    }

    /// Who else may call is found where it is answered.
    fn is_admin(&self, asked: &Asked, store: &Store) -> bool {
        asked.path.len() > 2 || owner(asked, store).is_some()
    }

    fn refusal(&self) -> Answer {
        failed(401, "Invalid token")
    }

    fn too_many(&self) -> Answer {
        failed(429, "Too Many Requests (Reached license limit)")
    }

    /// The path that replaces a User Token is told nowhere: this one is of our own choice, and so is the one with a tenant's name.
    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let post = |operation| on(&asked.method, &Method::POST, operation);
        match asked.segments().as_slice() {
            ["v1", "authorization"] => post(Operation::Create),
            ["v1", "authorization", "refresh"] => post(Operation::Refresh),
            ["v1", "users", "token", "refresh"] => post(Operation::Replace),
            ["v1", "licenses", "validate"] => post(Operation::Verify),
            ["v1", "products"] | ["v1", "tenants", _, "products"] => on(&asked.method, &Method::GET, Operation::Verify),
            _ => None,
        }
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        match operation {
            Operation::Create => match owner(asked, store).cloned() {
                None => self.refusal(),
                Some(tenant) if tenant.is_expired => expired(),
                Some(tenant) => {
                    let family = store.family(&tenant.name, Vec::new());
                    pair(family, store)
                }
            },
            Operation::Refresh => match store.take_refresh(text(&asked.json(), "refreshToken")) {
                None => self.refusal(),
                Some(family) if store.tenant(&family.account).is_some_and(|tenant| tenant.is_expired) => expired(),
                Some(family) => pair(family, store),
            },
            Operation::Replace => match allowed(asked, "Edit User Tokens", store).map(|tenant| tenant.name.clone()) {
                Err(refused) => refused,
                Ok(name) => Answer::json(201, json!({"userToken": store.replace_user_token(&name)})),
            },
            Operation::Verify => match asked.segments().as_slice() {
                ["v1", "licenses", "validate"] => validate(text(&asked.json(), "licenseKey"), store),
                path => match allowed(asked, "View Products", store) {
                    Err(refused) => refused,
                    Ok(tenant) if path.len() == 4 && path[2] != tenant.name => denied(),
                    Ok(_) => Answer::json(200, json!([])),
                },
            },
            _ => Answer::refused(404),
        }
    }
}

/// Whose User Token is shown.
fn owner<'a>(asked: &Asked, store: &'a Store) -> Option<&'a Tenant> {
    let body = asked.json();
    store.tenants.iter().find(|tenant| body["userToken"] == tenant.user_token)
}

/// The tenant whose access token is shown, if it may do this.
fn allowed<'a>(asked: &Asked, permission: &str, store: &'a Store) -> Result<&'a Tenant, Answer> {
    match store.tenant_of(asked.bearer()) {
        None => Err(failed(401, "Invalid token")),
        Some(tenant) if tenant.is_expired => Err(expired()),
        Some(tenant) if !tenant.may(permission) => Err(denied()),
        Some(tenant) => Ok(tenant),
    }
}

fn pair(family: Family, store: &mut Store) -> Answer {
    let expires = Timestamp::now() + SignedDuration::from_hours(24);
    match store.mint_pair(family, expires) {
        Ok(pair) => {
            let shown = json!({"expirationDate": expires.to_string(), "accessToken": pair.access, "refreshToken": pair.refresh});
            Answer::json(201, shown)
        }
        Err(NotMinted::Duplicate | NotMinted::Full) => Licensing.too_many(),
    }
}

/// Needs no token: the key says it all.
fn validate(key: &str, store: &Store) -> Answer {
    match store.tenants.iter().find(|tenant| tenant.licence_key == key && !tenant.is_expired) {
        Some(_) => Answer::json(200, json!({"valid": true})),
        None => expired(),
    }
}

fn expired() -> Answer {
    failed(403, "Invalid license")
}

fn denied() -> Answer {
    failed(403, "Access denied")
}

fn failed(status: u16, error: &str) -> Answer {
    Answer::json(status, Value::from_iter([("error", error)]))
}
