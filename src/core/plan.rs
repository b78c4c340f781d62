//! What a `RotatedToken` asks for, validated: fields of a [`Plan`] cannot be wrong, and nothing later checks them again.
//!
//! All problems are collected, not the first, so that the user mends a spec in one go.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    api::{ProviderKind, RotatedTokenSpec, SecretSpec, TokenProviderSpec, conditions::Reason, object_name},
    core::{
        jitter,
        token::{Owner, Source, Specification},
    },
};

/// Shortest interval; the CRD says the same.
pub const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// Live tokens of one owner at the provider when the policy names no number.
const DEFAULT_MAX_LIVE: usize = 4;

/// Time that a token must live beyond interval and grace, for settling and rolling.
const ROLL_MARGIN: Duration = Duration::from_secs(600);

/// Something that a person has to mend, with a sentence that says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub message: String,
    /// The provider object does not exist.
    pub provider_is_missing: bool,
}

impl Trouble {
    /// Trouble of a kind, described in a sentence.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), provider_is_missing: false }
    }

    /// There is no such provider object.
    #[must_use]
    pub fn missing_provider(message: impl Into<String>) -> Self {
        Self { provider_is_missing: true, ..Self::new(Reason::ProviderMissing, message) }
    }
}

/// What becomes of a token when its successor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// Nothing: both are valid until the old one is revoked or expires.
    Overlap,
    /// The provider ends the old one.
    Replaced,
    /// The provider keeps the old one for a while, in a place of which there is one.
    Displaced,
}

/// What decisions have to know of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    pub succession: Succession,
    /// Nothing lists its tokens: what no record knows is found by nobody.
    pub unlisted: bool,
    /// What an answer that was lost left behind is found by nobody, and does not end: it has to be reported by its name.
    pub may_orphan: bool,
    /// The same of what ends when it expires: it is reported by its name and when that is.
    pub ends_unseen: bool,
    /// What a token may do beyond what was asked for is seen.
    pub shows_surplus: bool,
    /// It says when a token was used last.
    pub tells_last_use: bool,
}

impl Default for Traits {
    /// Those of most providers.
    fn default() -> Self {
        Self {
            succession: Succession::Overlap,
            unlisted: false,
            may_orphan: false,
            ends_unseen: false,
            shows_surplus: true,
            tells_last_use: false,
        }
    }
}

/// The provider object as it was found, with the driver's opinion of the spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Offer {
    /// There is no such object.
    Missing,
    /// No driver can be made of it; why.
    Unusable(String),
    Found {
        spec: Box<TokenProviderSpec>,
        /// Names of the values that its tokens consist of.
        fields: Vec<String>,
        traits: Traits,
        /// Mistakes in permissions and parameters.
        problems: Vec<Trouble>,
    },
}

/// The Secret to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPlan {
    pub name: String,
    pub type_: String,
    /// Key of the Secret, and the value of the token set that goes there.
    pub data: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

impl From<&SecretSpec> for TargetPlan {
    fn from(SecretSpec { name, type_, data, labels, annotations }: &SecretSpec) -> Self {
        Self {
            name: name.clone(),
            type_: type_.clone(),
            data: data.clone(),
            labels: labels.clone(),
            annotations: annotations.clone(),
        }
    }
}

/// What to mint and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub source: Source,
    pub interval: Duration,
    /// How much sooner than that a rotation is due, so that objects of the same age are not all due at once.
    pub early: Duration,
    pub renew_before: Option<Duration>,
    /// Shortest time between two rotations that the provider's policy allows, whoever asks.
    pub min_interval: Option<Duration>,
    /// How long a token is asked to live.
    pub lifetime: Duration,
    /// At this number of live tokens nothing is minted.
    pub max_live: usize,
    pub traits: Traits,
}

/// Validates a spec against the provider that it names.
///
/// # Errors
/// Everything that has to be mended, in one message.
pub fn build(owner: &Owner, spec: &RotatedTokenSpec, offer: Offer) -> Result<Plan, Trouble> {
    if let Some(trouble) = name_problems(spec) {
        return Err(trouble);
    }
    let namespace = owner.namespace.as_str();
    let reference = format!("{} {}", spec.provider_ref.kind.as_str(), spec.provider_ref.name);
    let (provider, fields, traits, problems) = match offer {
        Offer::Missing => return Err(Trouble::missing_provider(missing(namespace, spec, &reference))),
        Offer::Unusable(why) => return Err(Trouble::new(Reason::InvalidSpec, format!("{reference} {why}"))),
        Offer::Found { spec, fields, traits, problems } => (*spec, fields, traits, problems),
    };
    let mut troubles = problems;
    troubles.extend(field_problems(spec, &fields));
    troubles.extend(time_problems(spec));
    troubles.extend(size_problems(spec, &provider));
    troubles.extend(policy_problems(namespace, spec, &provider, &reference));
    if let Some(first) = troubles.first() {
        let messages: Vec<&str> = troubles.iter().map(|trouble| trouble.message.as_str()).collect();
        return Err(Trouble::new(first.reason, messages.join("; ")));
    }
    let interval = spec.interval.get();
    let mut permissions = spec.permissions.clone();
    permissions.sort();
    permissions.dedup();
    let min_interval = provider.policy.as_ref().and_then(|policy| policy.min_interval).map(Duration::from);
    let max_live = provider.policy.as_ref().and_then(|policy| policy.max_live_tokens);
    let specification =
        Specification { provider: spec.provider_ref.clone(), permissions, parameters: spec.parameters.clone() };
    Ok(Plan {
        interval,
        early: jitter::early(&owner.uid, interval, min_interval.unwrap_or_default().max(spec.grace())),
        renew_before: spec.renew_before.map(Duration::from),
        min_interval,
        lifetime: lifetime(interval, spec.renew_before.map(Duration::from), spec.grace()),
        max_live: max_live.and_then(|number| usize::try_from(number).ok()).unwrap_or(DEFAULT_MAX_LIVE),
        source: Source { specification, provider },
        traits,
    })
}

/// Interval plus overlap: long enough that neither grace nor the default renewal, a third of the life, comes too early.
fn lifetime(interval: Duration, renew_before: Option<Duration>, grace: Duration) -> Duration {
    let overlap = (grace + ROLL_MARGIN).max(renew_before.unwrap_or(interval / 2));
    interval + overlap
}

fn missing(namespace: &str, spec: &RotatedTokenSpec, reference: &str) -> String {
    match spec.provider_ref.kind {
        ProviderKind::TokenProvider => {
            format!("{reference} does not exist in namespace {namespace}; create it or correct spec.providerRef")
        }
        ProviderKind::ClusterTokenProvider => {
            format!("{reference} does not exist; create it or correct spec.providerRef")
        }
    }
}

/// Names that are none. The schema refuses them; objects that were stored before it did still have them.
fn name_problems(spec: &RotatedTokenSpec) -> Option<Trouble> {
    let provider = (spec.provider_ref.kind.as_str(), "spec.providerRef.name", &spec.provider_ref.name);
    let secret = ("Secret", "spec.secret.name", &spec.secret.name);
    let workloads = spec.rollout.targets.iter().map(|one| (one.kind.as_str(), "spec.rollout.targets", &one.name));
    let named = [provider, secret].into_iter().chain(workloads);
    let problems = named.filter_map(|(kind, place, name)| {
        object_name::check(kind, name).err().map(|bad| format!("{place}: {bad}; correct it"))
    });
    let problems: Vec<String> = problems.collect();
    (!problems.is_empty()).then(|| Trouble::new(Reason::InvalidSpec, problems.join("; ")))
}

fn field_problems(spec: &RotatedTokenSpec, fields: &[String]) -> Vec<Trouble> {
    let unknown = spec.secret.data.iter().filter(|(_, field)| !fields.contains(field));
    unknown
        .map(|(key, field)| {
            let message =
                format!("spec.secret.data.{key}: the provider has no value {field:?}, only {}", fields.join(", "));
            Trouble::new(Reason::InvalidSpec, message)
        })
        .collect()
}

fn time_problems(spec: &RotatedTokenSpec) -> Vec<Trouble> {
    let mut problems = Vec::new();
    if spec.interval.get() < MIN_INTERVAL {
        problems.push(Trouble::new(Reason::InvalidSpec, "spec.interval must be at least 1m"));
    }
    if spec.renew_before.is_some_and(|before| before >= spec.interval) {
        let message = format!("spec.renewBefore must be shorter than spec.interval ({})", spec.interval);
        problems.push(Trouble::new(Reason::InvalidSpec, message));
    }
    problems
}

/// Largest description of a token and its provider, as JSON, that a record has room for: it is kept with each token that is not over.
const MAX_SOURCE: usize = 128 * 1024;

/// A token whose record could not be stored must not be minted.
fn size_problems(spec: &RotatedTokenSpec, provider: &TokenProviderSpec) -> Option<Trouble> {
    // As they are stored: a control character takes six.
    let stored = serde_json::to_vec(&(&spec.permissions, &spec.parameters, provider));
    let size = stored.map_or(usize::MAX, |text| text.len());
    (size > MAX_SOURCE).then(|| {
        let message = format!(
            "spec.permissions, spec.parameters and the provider object have {} KiB together, and the record of a token has room for {}; make \
             them shorter",
            size / 1024,
            MAX_SOURCE / 1024
        );
        Trouble::new(Reason::InvalidSpec, message)
    })
}

fn policy_problems(
    namespace: &str,
    spec: &RotatedTokenSpec,
    provider: &TokenProviderSpec,
    reference: &str,
) -> Vec<Trouble> {
    let mut messages = Vec::new();
    let policy = provider.policy.clone().unwrap_or_default();
    if spec.provider_ref.kind == ProviderKind::ClusterTokenProvider
        && !policy.allowed_namespaces.iter().any(|allowed| allowed == "*" || allowed == namespace)
    {
        messages.push(format!(
            "{reference} does not allow namespace {namespace}; its owner can add it to policy.allowedNamespaces"
        ));
    }
    if !policy.allowed_permissions.is_empty() {
        let refused = spec.permissions.iter().filter(|permission| !policy.allowed_permissions.contains(permission));
        messages.extend(refused.map(|permission| format!("{reference} does not allow the permission {permission:?}")));
    }
    if let Some(shortest) = policy.min_interval.filter(|shortest| spec.interval < *shortest) {
        messages.push(format!(
            "spec.interval {} is shorter than {shortest}, the shortest that {reference} allows",
            spec.interval
        ));
    }
    if let Some(longest) = policy.max_interval.filter(|longest| spec.interval > *longest) {
        messages.push(format!(
            "spec.interval {} is longer than {longest}, the longest that {reference} allows",
            spec.interval
        ));
    }
    messages.into_iter().map(|message| Trouble::new(Reason::PolicyForbids, message)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{Backend, ProviderPolicy};

    fn shop() -> Owner {
        Owner { namespace: "shop".into(), name: "api".into(), uid: "uid-1".into() }
    }

    fn spec(changes: serde_json::Value) -> RotatedTokenSpec {
        let mut spec = json!({"providerRef": {"name": "p"}, "interval": "30d", "secret": {"name": "s"}});
        spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn offer(policy: Option<ProviderPolicy>) -> Offer {
        Offer::Found {
            spec: Box::new(TokenProviderSpec { backend: Backend::default(), policy }),
            fields: vec!["token".into()],
            traits: Traits::default(),
            problems: vec![],
        }
    }

    fn refused(spec: &RotatedTokenSpec, offer: Offer) -> (Reason, String) {
        let trouble = build(&shop(), spec, offer).unwrap_err();
        (trouble.reason, trouble.message)
    }

    #[test]
    fn permissions_are_compared_as_a_set() {
        let one = build(&shop(), &spec(json!({"permissions": ["b", "a", "b"]})), offer(None)).unwrap();
        let other = build(&shop(), &spec(json!({"permissions": ["a", "b"]})), offer(None)).unwrap();
        assert_eq!(one.source, other.source);
    }

    #[test]
    fn what_is_the_same_but_for_its_uid_is_due_at_another_time() {
        let due = |uid: &str| {
            let owner = Owner { uid: uid.into(), ..shop() };
            let plan = build(&owner, &spec(json!({})), offer(None)).unwrap();
            plan.interval - plan.early
        };
        assert_ne!(due("uid-1"), due("uid-2"));
        let long = build(&shop(), &spec(json!({"interval": "2h", "gracePeriod": "115m"})), offer(None)).unwrap();
        assert!(long.early < Duration::from_secs(300), "the old token of the rotation before has to be gone");
    }

    #[test]
    fn the_default_renewal_never_comes_before_the_interval() {
        let plan = build(&shop(), &spec(json!({})), offer(None)).unwrap();
        assert!(plan.lifetime - plan.lifetime / 3 >= plan.interval);
        let short = build(&shop(), &spec(json!({"interval": "1m", "gracePeriod": "0s"})), offer(None)).unwrap();
        assert!(short.lifetime - short.lifetime / 3 >= short.interval);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let wrong =
            spec(json!({"interval": "2m", "renewBefore": "3m", "secret": {"name": "s", "data": {"A": "nope"}}}));
        let policy = ProviderPolicy { min_interval: Some("1h".parse().unwrap()), ..ProviderPolicy::default() };
        let (reason, message) = refused(&wrong, offer(Some(policy)));
        assert_eq!(reason, Reason::InvalidSpec);
        for part in ["secret.data.A", "renewBefore must be shorter", "shorter than 1h"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn a_cluster_provider_serves_only_the_namespaces_that_it_lists() {
        let cluster = spec(json!({"providerRef": {"kind": "ClusterTokenProvider", "name": "p"}}));
        for (allowed, ok) in [(vec![], false), (vec!["other"], false), (vec!["shop"], true), (vec!["*"], true)] {
            let allowed_namespaces = allowed.into_iter().map(str::to_owned).collect();
            let policy = ProviderPolicy { allowed_namespaces, ..ProviderPolicy::default() };
            assert_eq!(build(&shop(), &cluster, offer(Some(policy))).is_ok(), ok);
        }
        assert_eq!(refused(&cluster, Offer::Missing).0, Reason::ProviderMissing);
    }

    /// They went into the paths of requests as they were: `?limit=500` lists.
    #[test]
    fn names_that_are_none_are_told_before_anything_else() {
        let wrong = spec(json!({
            "providerRef": {"name": "?limit=500"},
            "rollout": {"mode": "Listed", "targets": [{"kind": "Deployment", "name": "../secrets"}]},
        }));
        for offer in [Offer::Missing, offer(None)] {
            let (reason, message) = refused(&wrong, offer);
            assert_eq!(reason, Reason::InvalidSpec);
            for part in ["spec.providerRef.name: \"?limit=500\"", "spec.rollout.targets: \"../secrets\""] {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }

    #[test]
    fn policy_limits_permissions() {
        let policy = ProviderPolicy { allowed_permissions: vec!["get configmaps".into()], ..ProviderPolicy::default() };
        let wants = spec(json!({"permissions": ["get configmaps", "delete secrets"]}));
        let (reason, message) = refused(&wants, offer(Some(policy)));
        assert_eq!((reason, message.contains("delete secrets")), (Reason::PolicyForbids, true));
    }
}
