//! Which requests are effects, and what they are called. Pure.
//!
//! An effect is a request that changes something, or a call to a provider. Reads of the cluster are none, and neither are
//! the writes of the lease. Names come from verb and object and never hold a value, so that the same step of the protocol
//! has the same name in every run; together with how often the name has come up in a process they tell effects apart.

use http::{Method, Uri};

use crate::connect::Purpose;

/// One effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    pub verb: &'static str,
    /// What it is about: an object's role, with a part or a purpose behind a slash.
    pub object: &'static str,
    pub kind: Kind,
}

/// What a request is to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes an object that is stored.
    Write,
    /// Asks a provider, or tries something; nothing is stored.
    Call,
    /// One of several questions about rights and names that are asked at the same time, and that succeed or fail together.
    /// They count as one effect, the first of them.
    Burst,
}

impl Effect {
    /// The effect that a request is, if it is one.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, body: &[u8]) -> Option<Self> {
        let verb = verb(method);
        let reads = verb == "GET";
        let query = uri.query().unwrap_or_default();
        let dry_run = query.split('&').any(|pair| pair.starts_with("dryRun="));
        let Place { resource, name, part } = Place::of(uri.path());
        let (object, kind) = match (resource, part) {
            ("leases", _) => return None,
            // The first is discovery.
            ("" | "selfsubjectaccessreviews", "") => return Some(RIGHTS),
            ("serviceaccounts", "") if reads => return Some(RIGHTS),
            ("serviceaccounts", "token") => ("token", Kind::Write),
            ("selfsubjectrulesreviews", _) => ("rules-review", Kind::Call),
            ("tokenreviews", _) => ("token-review", Kind::Call),
            ("secrets", _) => match (role(name, body), reads) {
                (Role::Bound, _) => ("bound-secret", if reads { Kind::Call } else { Kind::Write }),
                (_, true) if lists_bound(name, query) => ("bound-secrets", Kind::Call),
                (_, true) => return None,
                (Role::Record, false) => ("record", Kind::Write),
                (Role::Target, false) if dry_run => ("target/dry-run", Kind::Call),
                (Role::Target, false) => ("target", Kind::Write),
            },
            _ if reads => return None,
            ("rotatedtokens", "") => ("object", Kind::Write),
            ("rotatedtokens", _) => ("object/status", Kind::Write),
            ("tokenproviders" | "clustertokenproviders", _) => ("provider/status", Kind::Write),
            ("deployments" | "statefulsets" | "daemonsets", _) => ("workload", Kind::Write),
            ("events", _) => ("event", Kind::Write),
            _ => ("other", Kind::Write),
        };
        Some(Self { verb, object, kind })
    }

    /// The effect that a call to a provider is.
    #[must_use]
    pub fn asked(method: &Method, purpose: Purpose) -> Self {
        let (object, kind) = match purpose {
            Purpose::Create => ("provider/create", Kind::Write),
            Purpose::List => ("provider/list", Kind::Call),
            Purpose::Verify => ("provider/verify", Kind::Call),
            Purpose::Revoke => ("provider/revoke", Kind::Write),
            Purpose::Authorize => ("provider/authorize", Kind::Call),
            Purpose::Discover => ("provider/discover", Kind::Call),
            Purpose::Check => ("provider/check", Kind::Call),
        };
        Self { verb: verb(method), object, kind }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.verb, self.object)
    }
}

const RIGHTS: Effect = Effect { verb: "POST", object: "access-reviews", kind: Kind::Burst };

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

/// Where a request goes.
struct Place<'a> {
    resource: &'a str,
    name: &'a str,
    /// The subresource.
    part: &'a str,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        // `api/v1` or `apis/GROUP/VERSION`.
        let skipped = if segments.next() == Some("api") { 1 } else { 2 };
        let mut rest = segments.skip(skipped).peekable();
        let mut resource = rest.next().unwrap_or_default();
        if resource == "namespaces" {
            let namespace = rest.next();
            resource = rest.next().unwrap_or(if namespace.is_some() { "namespaces" } else { "" });
        }
        Self { resource, name: rest.next().unwrap_or_default(), part: rest.next().unwrap_or_default() }
    }
}

/// What a Secret is to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Record,
    Bound,
    Target,
}

/// By its name; one that is being made has no name in the path, and its label says it.
fn role(name: &str, body: &[u8]) -> Role {
    let labelled = |role: &str| {
        let label = format!("\"tokenturn.dev/role\":\"{role}\"");
        body.windows(label.len()).any(|window| window == label.as_bytes())
    };
    match name {
        "" if labelled("record") => Role::Record,
        "" if labelled("bound-token") => Role::Bound,
        name if name.starts_with("record-") => Role::Record,
        name if name.starts_with("tokenturn-") => Role::Bound,
        _ => Role::Target,
    }
}

/// The list of one owner's tokens; the watches have other selectors.
fn lists_bound(name: &str, query: &str) -> bool {
    name.is_empty() && query.contains("bound-token") && query.contains("owner-uid") && !query.contains("watch=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_names_of_their_steps() {
        let record = r#"{"metadata":{"labels":{"tokenturn.dev/role":"record"}}}"#;
        let bound = r#"{"metadata":{"labels":{"tokenturn.dev/role":"bound-token"}}}"#;
        let target = r#"{"metadata":{"labels":{"tokenturn.dev/role":"target"}}}"#;
        let listing = "/api/v1/namespaces/n/secrets?&labelSelector=tokenturn.dev%2Frole%3Dbound-token%2Ctokenturn.dev%2Fowner-uid%3Du";
        let watching =
            "/api/v1/namespaces/n/secrets?watch=true&labelSelector=tokenturn.dev%2Frole+in+%28target%2Cbound-token%29";
        for (method, uri, body, expected) in [
            (Method::POST, "/api/v1/namespaces/n/secrets?&fieldManager=t", record, Some("POST record")),
            (Method::PUT, "/api/v1/namespaces/n/secrets/record-1?&fieldManager=t", record, Some("PUT record")),
            (Method::PATCH, "/api/v1/namespaces/n/secrets/record-1", "{}", Some("PATCH record")),
            (Method::GET, "/api/v1/namespaces/n/secrets/record-1", "", None),
            (Method::POST, "/api/v1/namespaces/n/secrets", bound, Some("POST bound-secret")),
            (Method::DELETE, "/api/v1/namespaces/n/secrets/tokenturn-1-2-3-4", "", Some("DELETE bound-secret")),
            (Method::GET, "/api/v1/namespaces/n/secrets/tokenturn-1-2-3-4", "", Some("GET bound-secret")),
            (Method::GET, listing, "", Some("GET bound-secrets")),
            (Method::GET, watching, "", None),
            (Method::POST, "/api/v1/namespaces/n/secrets?dryRun=All", target, Some("POST target/dry-run")),
            (Method::POST, "/api/v1/namespaces/n/secrets", target, Some("POST target")),
            (Method::PATCH, "/api/v1/namespaces/n/secrets/api-token", "{}", Some("PATCH target")),
            (Method::PATCH, "/api/v1/namespaces/n/secrets/api-token?&dryRun=All", "{}", Some("PATCH target/dry-run")),
            (Method::GET, "/api/v1/namespaces/n/secrets/api-token", "", None),
            (Method::POST, "/api/v1/namespaces/n/serviceaccounts/a/token", "{}", Some("POST token")),
            (Method::GET, "/api/v1/namespaces/n/serviceaccounts/a", "", Some("POST access-reviews")),
            (Method::GET, "/apis", "", Some("POST access-reviews")),
            (Method::GET, "/api", "", Some("POST access-reviews")),
            (Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}", Some("POST access-reviews")),
            (Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "{}", Some("POST rules-review")),
            (Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews", "{}", Some("POST token-review")),
            (Method::PATCH, "/apis/apps/v1/namespaces/n/deployments/d", "{}", Some("PATCH workload")),
            (Method::PATCH, "/apis/tokenturn.dev/v1alpha1/namespaces/n/rotatedtokens/r", "{}", Some("PATCH object")),
            (
                Method::PATCH,
                "/apis/tokenturn.dev/v1alpha1/namespaces/n/rotatedtokens/r/status",
                "{}",
                Some("PATCH object/status"),
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/n/events", "{}", Some("POST event")),
            (Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/n/leases/tokenturn", "{}", None),
            (Method::GET, "/api/v1/namespaces/n", "", None),
            (Method::GET, "/api/v1/namespaces/n/pods", "", None),
        ] {
            let found = Effect::of(&method, &uri.parse().unwrap(), body.as_bytes()).map(|effect| effect.name());
            assert_eq!(found.as_deref(), expected, "{method} {uri}");
        }
    }

    #[test]
    fn calls_to_a_provider_have_the_names_of_what_they_are_for() {
        let asked = Effect::asked(&Method::GET, Purpose::Create);
        assert_eq!((asked.name().as_str(), asked.kind), ("GET provider/create", Kind::Write));
        let asked = Effect::asked(&Method::POST, Purpose::Verify);
        assert_eq!((asked.name().as_str(), asked.kind), ("POST provider/verify", Kind::Call));
    }

    #[test]
    fn questions_that_are_asked_together_are_one_effect_and_a_dry_run_stores_nothing() {
        let kind = |method, uri: &str| Effect::of(&method, &uri.parse().unwrap(), b"{}").map(|effect| effect.kind);
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(kind(Method::POST, reviews), Some(Kind::Burst));
        assert_eq!(kind(Method::PATCH, "/api/v1/namespaces/n/secrets/s?dryRun=All"), Some(Kind::Call));
        assert_eq!(kind(Method::PATCH, "/api/v1/namespaces/n/secrets/s"), Some(Kind::Write));
    }
}
