//! Secrets that calls to a provider need, kept beside the tokens that depend on them.
//!
//! A namespace that is deleted takes its Secrets before its RotatedTokens, and with them what a revoke shows to the provider. So the record
//! holds a copy for as long as it holds tokens. It is shown only for an object that goes, only where the original is gone, and only to the
//! provider as it was when the original was there.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::ProviderKind,
    core::{ledger::record::Ledger, token::Source},
    secret_value::SecretValue,
};

/// What a copy may hold in all: a record has 1 MiB, and the ledger needs most of it in a large namespace.
const MAX_BYTES: usize = 64 << 10;

/// The data of one Secret.
pub type SecretData = BTreeMap<String, SecretValue>;

/// The Secrets of one namespace, by name, and the providers that they may be shown to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub secrets: BTreeMap<String, SecretData>,
    /// Digests of the providers as they were when the originals were there.
    pub shown_to: BTreeSet<String>,
}

impl Kept {
    /// Which Secrets beside the object the tokens of a ledger depend on. The credential of a ClusterTokenProvider is elsewhere and stays.
    #[must_use]
    pub fn wanted(ledger: &Ledger) -> BTreeSet<String> {
        beside(ledger).flat_map(|source| source.provider.backend.secrets()).map(str::to_owned).collect()
    }

    /// The copy after a read of the originals that are there: of one that is gone, what was known of it.
    #[must_use]
    pub fn renewed(&self, ledger: &Ledger, mut originals: BTreeMap<String, SecretData>) -> Self {
        let wanted = Self::wanted(ledger);
        let is_complete = wanted.iter().all(|name| originals.contains_key(name));
        let known = |name: String| {
            let data = originals.remove(&name).or_else(|| self.secrets.get(&name).cloned());
            data.map(|data| (name, data))
        };
        let secrets: BTreeMap<String, SecretData> = wanted.into_iter().filter_map(known).collect();
        // Who has changed the provider since an original went has not shown that they may use it.
        let shown_to = if is_complete { beside(ledger).map(digest).collect() } else { self.shown_to.clone() };
        let bytes: usize = secrets.values().flatten().map(|(key, value)| key.len() + value.expose().len()).sum();
        if bytes > MAX_BYTES || secrets.is_empty() { Self::default() } else { Self { secrets, shown_to } }
    }

    /// Whether it may be shown to a provider.
    #[must_use]
    pub fn serves(&self, source: &Source) -> bool {
        let is_shown = || source.digests().any(|digest| self.shown_to.contains(shortened(&digest)));
        source.specification.provider.kind == ProviderKind::TokenProvider && is_shown()
    }
}

fn beside(ledger: &Ledger) -> impl Iterator<Item = &Source> {
    ledger.sources().filter(|source| source.specification.provider.kind == ProviderKind::TokenProvider)
}

/// Tells whether a provider was changed.
fn digest(source: &Source) -> String {
    shortened(&source.recipe()).to_owned()
}

fn shortened(digest: &str) -> &str {
    digest.get(..24).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{DeletionPolicy, ProviderRef, RolloutSpec},
        core::{
            ledger::record::Intent,
            token::{Owner, Serial, Specification},
        },
    };

    fn source(kind: ProviderKind, path: &str) -> Source {
        let provider = json!({"http": {
            "baseUrl": "https://api.example.com", "credential": {"secretRef": {"name": "admin"}},
            "proxy": {"url": "http://proxy:3128", "credentialsRef": {"name": "proxy"}},
            "create": {"request": {"method": "POST", "path": path}, "values": {"token": "$.token"}},
            "verify": {"request": {"path": "/me"}},
        }});
        let provider = serde_json::from_value(provider).unwrap();
        let reference = ProviderRef { kind, name: "api".to_owned() };
        let specification = Specification { provider: reference, permissions: Vec::new(), parameters: BTreeMap::new() };
        Source { specification, provider }
    }

    fn ledger(source: Source) -> Ledger {
        let intent = Intent {
            serial: Serial { sequence: 1, attempt: 1 },
            trigger: crate::core::ledger::trigger::Trigger::FirstIssue,
            at: jiff::Timestamp::UNIX_EPOCH,
            attempts: 1,
            failure: None,
            before: None,
            may_orphan: false,
            unseen_until: None,
            misread: None,
            source,
        };
        let mut ledger: Ledger = serde_json::from_value(json!({
            "schema": 1, "owner": Owner { namespace: "shop".into(), name: "api".into(), uid: "1".into() },
            "target": "api", "deletionPolicy": DeletionPolicy::Revoke, "counter": 1, "sequence": 0,
            "rollout": RolloutSpec::default(),
        }))
        .unwrap();
        ledger.intent = Some(intent);
        ledger
    }

    fn secrets(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretData> {
        let data = |value: &str| SecretData::from([("token".to_owned(), SecretValue::new(value))]);
        pairs.iter().map(|(name, value)| ((*name).to_owned(), data(value))).collect()
    }

    #[test]
    fn what_is_gone_stays_as_it_was_and_what_is_there_is_renewed() {
        let ledger = ledger(source(ProviderKind::TokenProvider, "/tokens"));
        let first = Kept::default().renewed(&ledger, secrets(&[("admin", "one"), ("proxy", "p")]));
        assert_eq!(first.secrets, secrets(&[("admin", "one"), ("proxy", "p")]));
        let second = first.renewed(&ledger, secrets(&[("proxy", "q")]));
        assert_eq!(second.secrets, secrets(&[("admin", "one"), ("proxy", "q")]));
        assert_eq!(second.renewed(&ledger, secrets(&[])), second);
    }

    /// Who may write provider objects must not get at a credential that was taken away.
    #[test]
    fn a_provider_that_was_changed_after_the_original_went_is_shown_nothing() {
        let before = source(ProviderKind::TokenProvider, "/tokens");
        let changed = source(ProviderKind::TokenProvider, "/elsewhere");
        let both = [("admin", "one"), ("proxy", "p")];
        let kept = Kept::default().renewed(&ledger(before.clone()), secrets(&both));
        assert!(kept.serves(&before) && !kept.serves(&changed));
        let kept = kept.renewed(&ledger(changed.clone()), secrets(&[("proxy", "p")]));
        assert!(!kept.serves(&changed), "the credential was gone already");
        let kept = kept.renewed(&ledger(changed.clone()), secrets(&both));
        assert!(kept.serves(&changed), "it was there, and could be sent anyway");
    }

    #[test]
    fn a_cluster_wide_credential_is_not_copied_and_neither_is_one_that_is_too_large() {
        let cluster = ledger(source(ProviderKind::ClusterTokenProvider, "/tokens"));
        assert!(Kept::wanted(&cluster).is_empty());
        assert_eq!(Kept::default().renewed(&cluster, secrets(&[])), Kept::default());
        let own = ledger(source(ProviderKind::TokenProvider, "/tokens"));
        let large = "x".repeat(MAX_BYTES);
        assert_eq!(Kept::default().renewed(&own, secrets(&[("admin", &large), ("proxy", "p")])), Kept::default());
    }
}
