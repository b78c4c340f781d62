//! How each provider speaks: paths, bodies and statuses, as its contract says.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    ADMIN, Answer, Asked, Operation,
    store::{NotMinted, Store, Stored},
};

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    GitLab,
    Grafana,
    Cloudflare,
    Datadog,
    Sentry,
    SonarQube,
    Artifactory,
    OAuth2,
    Licensing,
    Fossa,
}

/// Tokens on one page, so that a few tokens need several.
const PAGE: usize = 2;

impl Wire {
    pub const ALL: [Self; 10] = [
        Self::GitLab,
        Self::Grafana,
        Self::Cloudflare,
        Self::Datadog,
        Self::Sentry,
        Self::SonarQube,
        Self::Artifactory,
        Self::OAuth2,
        Self::Licensing,
        Self::Fossa,
    ];

    /// What its API's paths begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::GitLab => "/api/v4",
            Self::Grafana | Self::SonarQube => "/api",
            Self::Cloudflare => "/client/v4",
            Self::Datadog | Self::OAuth2 => "",
            Self::Licensing => "/v1",
            Self::Fossa => "/api",
            Self::Sentry => "/api/0",
            Self::Artifactory => "/access/api/v1",
        }
    }

    /// How consumers show a token: path, header, and what stands before the value.
    pub fn use_of_a_token(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::GitLab => ("/personal_access_tokens/self", "PRIVATE-TOKEN", ""),
            Self::Grafana => ("/org", "Authorization", "Bearer "),
            Self::Cloudflare => ("/accounts/x/tokens/verify", "Authorization", "Bearer "),
            Self::Datadog => ("/api/v1/validate", "DD-API-KEY", ""),
            Self::Sentry => ("/organizations/x/releases/", "Authorization", "Bearer "),
            Self::SonarQube => ("/authentication/validate", "Authorization", "Bearer "),
            Self::Artifactory => ("/tokens/me", "Authorization", "Bearer "),
            // What such a token is for is another server.
            Self::OAuth2 => ("/resource", "Authorization", "Bearer "),
            Self::Licensing => ("/products", "Authorization", "Bearer "),
            Self::Fossa => ("/cli/organization", "Authorization", "Bearer "),
        }
    }

    /// Whether a second token of one name is refused.
    pub fn has_unique_names(self) -> bool {
        matches!(self, Self::Grafana | Self::SonarQube | Self::Fossa)
    }

    /// Whether the operator's credential is shown where this provider expects it.
    pub fn is_admin(self, asked: &Asked) -> bool {
        match self {
            Self::GitLab => asked.header("private-token") == ADMIN,
            Self::Datadog => asked.header("dd-api-key") == ADMIN && asked.header("dd-application-key") == ADMIN,
            Self::OAuth2 => asked.basic() == Some((ADMIN.to_owned(), ADMIN.to_owned())),
            Self::Licensing => asked.json()["userToken"] == ADMIN,
            _ => asked.bearer() == ADMIN,
        }
    }

    /// What a request is for; `None` if it is not in the contract.
    pub fn operation(self, asked: &Asked) -> Option<Operation> {
        use Operation::{Create, List, Revoke, Verify};
        let path = asked.segments();
        let path = path.as_slice();
        let method = &asked.method;
        let by_method = |create: &Method| match method {
            method if method == create => Some(Create),
            &Method::GET => Some(List),
            _ => None,
        };
        let delete = (*method == Method::DELETE).then_some(Revoke);
        let get = (*method == Method::GET).then_some(Verify);
        match (self, path) {
            (Self::GitLab, ["api", "v4", "projects", _, "access_tokens"]) => by_method(&Method::POST),
            (Self::GitLab, ["api", "v4", "projects", _, "access_tokens", _]) => delete,
            (Self::GitLab, ["api", "v4", "personal_access_tokens", "self"]) => get,
            (Self::Grafana, ["api", "serviceaccounts", _, "tokens"]) => by_method(&Method::POST),
            (Self::Grafana, ["api", "serviceaccounts", _, "tokens", _]) => delete,
            (Self::Grafana, ["api", "org"]) => get,
            (Self::Cloudflare, ["client", "v4", "accounts", _, "tokens"]) => by_method(&Method::POST),
            (Self::Cloudflare, ["client", "v4", "accounts", _, "tokens", "verify"]) => get,
            (Self::Cloudflare, ["client", "v4", "accounts", _, "tokens", _]) => delete,
            (Self::Datadog, ["api", "v2", "api_keys"]) => by_method(&Method::POST),
            (Self::Datadog, ["api", "v2", "api_keys", _]) => delete,
            (Self::Datadog, ["api", "v1", "validate"]) => get,
            (Self::Sentry, ["api", "0", "organizations", _, "org-auth-tokens"]) => by_method(&Method::POST),
            (Self::Sentry, ["api", "0", "organizations", _, "org-auth-tokens", _]) => delete,
            (Self::Sentry, ["api", "0", "organizations", _, "releases"]) => get,
            (Self::SonarQube, ["api", "user_tokens", "generate"]) => (*method == Method::POST).then_some(Create),
            (Self::SonarQube, ["api", "user_tokens", "search"]) => (*method == Method::GET).then_some(List),
            (Self::SonarQube, ["api", "user_tokens", "revoke"]) => (*method == Method::POST).then_some(Revoke),
            (Self::SonarQube, ["api", "authentication", "validate"]) => get,
            (Self::Artifactory, ["access", "api", "v1", "tokens"]) => by_method(&Method::POST),
            (Self::Artifactory, ["access", "api", "v1", "tokens", "me"]) => get,
            (Self::Artifactory, ["access", "api", "v1", "tokens", _]) => delete,
            (Self::OAuth2, ["resource"]) => get,
            (Self::OAuth2, ["token"]) => (*method == Method::POST).then_some(Create),
            (Self::OAuth2, ["token", "introspection"]) => (*method == Method::POST).then_some(Verify),
            (Self::OAuth2, ["token", "revocation"]) => (*method == Method::POST).then_some(Revoke),
            (Self::Licensing, ["v1", "authorization"]) => (*method == Method::POST).then_some(Create),
            (Self::Licensing, ["v1", "products"]) => get,
            (Self::Fossa, ["api", "user", _, "api_token"]) if *method == Method::POST => Some(Create),
            (Self::Fossa, ["api", "user", _, "api_token"]) => delete,
            (Self::Fossa, ["api", "users", _]) => (*method == Method::GET).then_some(List),
            (Self::Fossa, ["api", "cli", "organization"]) => get,
            _ => None,
        }
    }

    /// Carries a request out.
    pub fn answer(self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        match self {
            Self::GitLab => gitlab(operation, asked, store),
            Self::Grafana => grafana(operation, asked, store),
            Self::Cloudflare => cloudflare(operation, asked, store),
            Self::Datadog => datadog(operation, asked, store),
            Self::Sentry => sentry(operation, asked, store),
            Self::SonarQube => sonarqube(operation, asked, store),
            Self::Artifactory => artifactory(operation, asked, store),
            Self::OAuth2 => oauth2(operation, asked, store),
            Self::Licensing => licensing(operation, asked, store),
            Self::Fossa => fossa(operation, asked, store),
        }
    }
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_default()
}

fn list_of(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A date, which means when it begins.
fn date(text: &str) -> Option<Timestamp> {
    format!("{text}T00:00:00Z").parse().ok()
}

fn day(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.to_string()[..10]))
}

fn has_id(segment: &str) -> impl Fn(&Stored) -> bool {
    move |token| token.id.to_string() == segment
}

fn gitlab(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
    let show = |token: &Stored| {
        json!({"id": token.id, "name": token.name, "scopes": token.permissions, "active": true, "revoked": false,
               "expires_at": day(token.expires)})
    };
    match operation {
        Operation::Create => {
            let body = asked.json();
            let Some(expires) = date(text(&body, "expires_at")) else { return Answer::refused(400) };
            if text(&body, "name").is_empty() || list_of(&body["scopes"]).is_empty() || !body["access_level"].is_i64() {
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
        Operation::Verify => match store.accepted(asked.header("private-token")) {
            Some(token) => Answer::json(200, show(token)),
            None => Answer::refused(401),
        },
        Operation::Revoke => Answer::empty(if store.revoke(has_id(&asked.path[5])) { 204 } else { 404 }),
    }
}

fn grafana(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
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
    }
}

fn cloudflare(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
    let ok =
        |result: Value| Answer::json(200, json!({"success": true, "errors": [], "messages": [], "result": result}));
    let refused = |status| {
        Answer::json(status, json!({"success": false, "errors": [{"code": 1000, "message": "no"}], "result": null}))
    };
    match operation {
        Operation::Create => {
            let body = asked.json();
            let policy = &body["policies"][0];
            let groups = list_of(&policy["permission_groups"]);
            if text(policy, "effect") != "allow" || groups.iter().any(|group| group["id"].as_str().is_none()) {
                return refused(400);
            }
            let expires: Option<Timestamp> = text(&body, "expires_on").parse().ok();
            match store.mint(&asked.path[3], text(&body, "name"), groups, expires) {
                Ok(token) => ok(json!({"id": token.id.to_string(), "name": token.name, "value": token.value,
                                       "status": "active", "expires_on": text(&body, "expires_on")})),
                Err(_) => refused(400),
            }
        }
        Operation::List => {
            let all: Vec<Value> = store
                .listed(&asked.path[3])
                .into_iter()
                .map(|token| json!({"id": token.id.to_string(), "name": token.name, "status": "active"}))
                .collect();
            ok(asked.page("page", 1, PAGE, all).into())
        }
        Operation::Verify => match store.accepted(asked.bearer()) {
            Some(token) => ok(json!({"id": token.id.to_string(), "status": "active"})),
            None => refused(401),
        },
        Operation::Revoke => match store.revoke(has_id(&asked.path[5])) {
            true => ok(json!({"id": asked.path[5]})),
            false => refused(404),
        },
    }
}

fn datadog(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
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
    }
}

fn sentry(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
    match operation {
        Operation::Create => {
            let body = asked.json();
            if body["scopes"] != json!(["org:ci"]) {
                return Answer::refused(400);
            }
            match store.mint(&asked.path[3], text(&body, "name"), list_of(&body["scopes"]), None) {
                Ok(token) => {
                    Answer::json(201, json!({"id": token.id.to_string(), "name": token.name, "token": token.value}))
                }
                Err(_) => Answer::refused(400),
            }
        }
        Operation::List => {
            let all = store.listed(&asked.path[3]).into_iter();
            Answer::json(200, all.map(|token| json!({"id": token.id.to_string(), "name": token.name})).collect())
        }
        Operation::Verify => match store.accepted(asked.bearer()) {
            Some(_) => Answer::json(200, json!([])),
            None => Answer::refused(401),
        },
        Operation::Revoke => Answer::empty(if store.revoke(has_id(&asked.path[5])) { 204 } else { 404 }),
    }
}

fn sonarqube(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
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
            let all: Vec<Value> = store.listed(&login).into_iter().map(|token| json!({"name": token.name})).collect();
            Answer::json(200, json!({"login": login, "userTokens": all}))
        }
        Operation::Verify => Answer::json(200, json!({"valid": store.accepted(asked.bearer()).is_some()})),
        Operation::Revoke => {
            store.revoke(|token| token.name == field("name") && token.account == field("login"));
            Answer::empty(204)
        }
    }
}

fn artifactory(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
    let form = asked.form();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    match operation {
        Operation::Create => {
            let Some(seconds) = field("expires_in").parse::<i64>().ok() else { return Answer::refused(400) };
            if field("grant_type") != "client_credentials" || field("scope").is_empty() {
                return Answer::refused(400);
            }
            let scope = field("scope").split(' ').map(Value::from).collect();
            let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
            match store.mint("", &field("description"), scope, Some(expires)) {
                Ok(token) => Answer::json(
                    200,
                    json!({"token_id": token.id.to_string(), "access_token": token.value,
                                                      "expires_in": seconds, "scope": field("scope"), "token_type": "Bearer"}),
                ),
                Err(_) => Answer::refused(400),
            }
        }
        Operation::List => {
            let all = store.listed("").into_iter();
            let shown = all.map(|token| json!({"token_id": token.id.to_string(), "description": token.name}));
            Answer::json(200, json!({"tokens": shown.collect::<Value>()}))
        }
        Operation::Verify => match store.accepted(asked.bearer()) {
            Some(token) => Answer::json(200, json!({"token_id": token.id.to_string()})),
            None => Answer::refused(401),
        },
        Operation::Revoke => Answer::empty(if store.revoke(has_id(&asked.path[4])) { 200 } else { 204 }),
    }
}

/// RFC 6749, 7662, 7009: a revocation succeeds whatever it is asked for.
fn oauth2(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
    let form = asked.form();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    match operation {
        Operation::Create => {
            if field("grant_type") != "client_credentials" {
                return Answer::json(400, json!({"error": "unsupported_grant_type"}));
            }
            let scopes = field("scope").split_whitespace().map(Value::from).collect();
            let expires = Timestamp::now() + SignedDuration::from_secs(86_400);
            match store.mint("", "", scopes, Some(expires)) {
                Ok(token) => Answer::json(
                    200,
                    json!({"access_token": token.value, "token_type": "Bearer", "expires_in": 86_400, "scope": field("scope")}),
                ),
                Err(_) => Answer::json(400, json!({"error": "invalid_request"})),
            }
        }
        Operation::Verify if asked.method == Method::GET => match store.accepted(asked.bearer()) {
            Some(_) => Answer::json(200, json!({})),
            None => Answer::refused(401),
        },
        Operation::Verify => {
            if !Wire::OAuth2.is_admin(asked) {
                return Answer::json(401, json!({"error": "invalid_client"}));
            }
            match store.accepted(&field("token")) {
                Some(token) => {
                    let scopes: Vec<&str> = token.permissions.iter().filter_map(Value::as_str).collect();
                    Answer::json(200, json!({"active": true, "scope": scopes.join(" "), "token_type": "Bearer"}))
                }
                None => Answer::json(200, json!({"active": false})),
            }
        }
        Operation::Revoke => {
            store.revoke(|token| token.value == field("token"));
            Answer::empty(200)
        }
        Operation::List => Answer::refused(404),
    }
}

/// Access tokens for 24 hours; nothing lists or revokes them.
fn licensing(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
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
        Operation::List | Operation::Revoke => Answer::refused(404),
    }
}

/// Deletes by value, and names what it has without values.
fn fossa(operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
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
    }
}
