//! How each provider is asked for the same things.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokenturn::testkit::contract::{ADMIN, Wire};

use super::call::{Call, Reply, encoded};

/// A wire that is no row.
const OWN: &str = "Keycloak has tests of its own";

/// Where the calls of a row go to: the collection of tokens, which most have.
fn collection(wire: Wire) -> &'static str {
    match wire {
        Wire::Keycloak => unreachable!("{OWN}"),
        Wire::GitLab => "/api/v4/projects/12/access_tokens",
        Wire::Grafana => "/api/serviceaccounts/7/tokens",
        Wire::Cloudflare => "/client/v4/accounts/a1/tokens",
        Wire::Datadog => "/api/v2/api_keys",
        Wire::Sentry => "/api/0/organizations/acme/org-auth-tokens/",
        Wire::SonarQube => "/api/user_tokens/generate",
        Wire::Artifactory => "/access/api/v1/tokens",
        Wire::OAuth2 => "/token",
        Wire::Licensing => "/v1/authorization",
        Wire::Fossa => "/api/user/7/api_token",
        Wire::Synoptic => "/auth/v2/",
        Wire::Okta => "/api/v1/apps/0oa1/credentials/secrets",
    }
}

/// Mints a token, without a credential.
pub fn create(wire: Wire, name: &str) -> Call {
    let path = collection(wire);
    let post = Call::new(&format!("POST {path}"));
    let next_week = (Timestamp::now() + SignedDuration::from_hours(7 * 24)).to_string();
    let day = &next_week[..10];
    match wire {
        Wire::Keycloak => unreachable!("{OWN}"),
        Wire::GitLab => {
            post.json(&json!({"name": name, "scopes": ["read_api"], "access_level": 30, "expires_at": day}))
        }
        Wire::Grafana => post.json(&json!({"name": name, "secondsToLive": 3600})),
        Wire::Cloudflare => {
            let policy = json!({"effect": "allow", "permission_groups": [{"id": "g1"}], "resources": {}});
            post.json(&json!({"name": name, "policies": [policy], "expires_on": next_week}))
        }
        Wire::Datadog => post.json(&json!({"data": {"type": "api_keys", "attributes": {"name": name}}})),
        Wire::Sentry => post.json(&json!({"name": name, "scopes": ["org:ci"]})),
        Wire::SonarQube => {
            post.form(&[("login", "ci"), ("name", name), ("type", "USER_TOKEN"), ("expirationDate", day)])
        }
        Wire::Artifactory => post.form(&[
            ("grant_type", "client_credentials"),
            ("scope", "applied-permissions/user"),
            ("expires_in", "86400"),
            ("description", name),
        ]),
        Wire::OAuth2 => post.form(&[("grant_type", "client_credentials"), ("scope", "a")]),
        // The credential is all of it.
        Wire::Licensing => post,
        Wire::Fossa => post.multipart(&[("name", name), ("pushOnly", "true")]),
        Wire::Synoptic => Call::new(&format!("GET {path}")),
        Wire::Okta => post.json(&json!({})),
    }
}

/// Shows the operator's credential.
pub fn admin(wire: Wire, call: Call) -> Call {
    match wire {
        Wire::Keycloak => unreachable!("{OWN}"),
        Wire::GitLab => call.header("private-token", ADMIN),
        Wire::Datadog => call.header("dd-api-key", ADMIN).header("dd-application-key", ADMIN),
        Wire::OAuth2 => call.basic(ADMIN, ADMIN),
        Wire::Licensing => call.json(&json!({"userToken": ADMIN})),
        Wire::Okta => call.header("authorization", &format!("SSWS {ADMIN}")),
        _ => call.admin(),
    }
}

/// The value in the answer to a mint.
pub fn value(wire: Wire, created: &Reply) -> String {
    created.text(match wire {
        Wire::Keycloak => unreachable!("{OWN}"),
        Wire::GitLab | Wire::Sentry | Wire::SonarQube | Wire::Fossa => "/token",
        Wire::Grafana => "/key",
        Wire::Cloudflare => "/result/value",
        Wire::Datadog => "/data/attributes/key",
        Wire::Artifactory | Wire::OAuth2 => "/access_token",
        Wire::Licensing => "/accessToken",
        Wire::Synoptic => "/TOKEN",
        Wire::Okta => "/client_secret",
    })
}

/// Lists the tokens, and where they are in the answer.
pub fn list(wire: Wire) -> Option<(Call, &'static str)> {
    let path = collection(wire);
    let get = |path: &str| Call::new(&format!("GET {path}"));
    match wire {
        Wire::Keycloak => unreachable!("{OWN}"),
        Wire::GitLab | Wire::Grafana | Wire::Sentry | Wire::Okta => Some((get(path), "")),
        Wire::Cloudflare => Some((get(path), "/result")),
        Wire::Datadog => Some((get(path), "/data")),
        Wire::SonarQube => Some((get("/api/user_tokens/search?login=ci"), "/userTokens")),
        Wire::Artifactory => Some((get(path), "/tokens")),
        Wire::Fossa => Some((get("/api/users/7"), "/tokens")),
        Wire::Synoptic => Some((get("/auth/v2/?list=1"), "/TOKENS")),
        Wire::OAuth2 | Wire::Licensing => None,
    }
}

/// What ends a token, in order; nothing where it cannot be ended.
pub fn revoke(wire: Wire, created: &Reply, name: &str) -> Vec<Call> {
    let path = collection(wire).trim_end_matches('/');
    let value = value(wire, created);
    let delete = |pointer: &str| {
        let id = created.body.pointer(pointer).map_or_else(String::new, bare);
        vec![Call::new(&format!("DELETE {path}/{id}"))]
    };
    match wire {
        Wire::Keycloak => unreachable!("{OWN}"),
        Wire::GitLab | Wire::Grafana | Wire::Sentry => delete("/id"),
        Wire::Cloudflare => delete("/result/id"),
        Wire::Datadog => delete("/data/id"),
        Wire::Artifactory => delete("/token_id"),
        Wire::SonarQube => vec![Call::new("POST /api/user_tokens/revoke").form(&[("login", "ci"), ("name", name)])],
        Wire::OAuth2 => vec![Call::new("POST /token/revocation").form(&[("token", &value)])],
        Wire::Licensing => Vec::new(),
        Wire::Fossa => vec![Call::new(&format!("DELETE {path}")).multipart(&[("token", &value)])],
        Wire::Synoptic => vec![Call::new(&format!("GET /auth/v2/?disableToken={}", encoded(&value)))],
        Wire::Okta => {
            let id = created.text("/id");
            let off = Call::new(&format!("POST {path}/{id}/lifecycle/deactivate"));
            std::iter::once(off).chain(delete("/id")).collect()
        }
    }
}

fn bare(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}
