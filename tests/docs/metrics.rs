//! docs/metrics.md names what the registry exports, and nothing else; both text formats describe everything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tokenturn::{
    api::{ProviderRef, RotatedTokenStatus, TokenProviderSpec, provider::Backend},
    app::exposition::Format,
    core::token::{Owner, Source, Specification},
    providers::http::Health,
    reconcile::metrics::Metrics,
};

use crate::project::{project, read};

/// By name: type and labels.
type Table = BTreeMap<String, (String, BTreeSet<String>)>;

fn owner(name: &str) -> Owner {
    Owner { namespace: "shop".to_owned(), name: name.to_owned(), uid: format!("uid-{name}") }
}

fn reference() -> ProviderRef {
    serde_json::from_value(json!({"name": "gitlab"})).expect("a reference")
}

/// A replica that has met everything.
async fn exported() -> String {
    let metrics = Metrics::default();
    metrics.leading(true);
    let status = json!({
        "current": {"id": "a", "fingerprint": "f", "issuedAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-03-01T00:00:00Z"},
        "nextRotation": "2026-02-01T00:00:00Z",
    });
    let status: RotatedTokenStatus = serde_json::from_value(status).expect("a status");
    metrics.show(&owner("api"), &status);
    metrics.provider_exists(Some("shop"), &reference());
    metrics.provider_ready(Some("shop"), &reference(), true);
    let now = jiff::Timestamp::now();
    let health = async { Ok(Health { is_accepted: true, expires_at: Some(now), ahead: None }) };
    metrics.check(Some("shop"), &reference(), "http").health(health).await.expect("an answer");
    metrics.rotation_published(&owner("api"), Some(now), Some(now), now);
    metrics.picked_up(now, now);
    metrics.reconciled("done", std::time::Duration::from_secs(1));
    metrics.remember(&[("objects", 1)]);
    metrics.watch_interrupted("targets", Some("shop"), true);
    metrics.encode()
}

/// What a text says of itself. Fails for a sample that is not described, or not as its type wants it.
fn described(text: &str) -> Table {
    let (mut table, mut helped) = (Table::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|help| help.split_once(' ')) {
            assert!(help.ends_with('.') && helped.insert(name.to_owned()), "{line}");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            assert!(helped.contains(name), "{name} has no help");
            assert!(table.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new())).is_none(), "{name} comes twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let stems = ["", "_total", "_info", "_bucket", "_sum", "_count"].map(|suffix| name.strip_suffix(suffix));
            let stem = stems.into_iter().flatten().find(|stem| table.contains_key(*stem));
            let stem = stem.unwrap_or_else(|| panic!("{line} is not described"));
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').expect("an end").0);
            let keys = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(key, _)| key.to_owned());
            table.get_mut(stem).expect("it is there").1.extend(keys.filter(|key| key != "le"));
        }
    }
    table
}

/// The rows of the page.
fn page() -> Table {
    let mut table = Table::new();
    for line in read(&project().join("docs/metrics.md")).lines() {
        if let ["", name, kind, labels, meaning, ""] = line.split('|').map(str::trim).collect::<Vec<_>>()[..]
            && name.starts_with('`')
        {
            assert!(!meaning.is_empty(), "{line}");
            let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
            let labels = labels.filter(|label| !label.is_empty()).collect();
            table.insert(name.trim_matches('`').to_owned(), (kind.to_owned(), labels));
        }
    }
    table
}

#[tokio::test]
async fn the_page_of_metrics_names_what_is_exported() {
    let open_metrics = exported().await;
    assert!(open_metrics.ends_with("# EOF\n"));
    let classic = Format::Classic.of(open_metrics.clone());
    let page = page();
    // The page names metrics as queries do; where it says info, the classic format has a gauge.
    let as_gauge = |(name, (kind, labels)): (&String, &(String, BTreeSet<String>))| {
        (name.clone(), (kind.replace("info", "gauge"), labels.clone()))
    };
    assert_eq!(described(&classic), page.iter().map(as_gauge).collect::<Table>());
    let with_suffix = |(name, (kind, labels)): (String, (String, BTreeSet<String>))| {
        let suffix = if kind == "counter" {
            "_total"
        } else if kind == "info" {
            "_info"
        } else {
            ""
        };
        (format!("{name}{suffix}"), (kind, labels))
    };
    assert_eq!(described(&open_metrics).into_iter().map(with_suffix).collect::<Table>(), page);
}

#[test]
fn names_follow_the_conventions() {
    for (name, (kind, labels)) in page() {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert_eq!(name.ends_with("_info"), kind == "info", "{name}");
        let has_time = ["duration", "delay", "age", "timestamp", "time"].iter().any(|word| name.contains(word));
        let is_remaining = name.contains("remaining");
        assert!(!has_time || name.ends_with("_seconds") || is_remaining, "{name}: base units at the end");
        for label in labels {
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}: {label}");
        }
    }
}

/// Gauges of a former leader stayed; a call that ended after its provider was gone would have made its series anew.
#[tokio::test]
async fn series_of_objects_go_with_the_object_and_with_the_lease() {
    let metrics = Metrics::default();
    let names = |metrics: &Metrics| {
        let text = metrics.encode();
        text.lines().filter(|line| line.contains("=\"shop\"")).count()
    };
    let status = RotatedTokenStatus::default();
    metrics.show(&owner("api"), &status);
    metrics.provider_exists(Some("shop"), &reference());
    metrics.watch_interrupted("targets", Some("shop"), true);
    assert_eq!(names(&metrics), 0, "a replica that does not lead names nothing");
    let specification: Specification = serde_json::from_value(json!({
        "provider": {"kind": "TokenProvider", "name": "gitlab"}, "parameters": {}, "permissions": [],
    }))
    .expect("a specification");
    let provider = TokenProviderSpec { backend: Backend::default(), policy: None };
    let source = Source { provider, specification };
    metrics.leading(true);
    metrics.show(&owner("api"), &status);
    metrics.provider_exists(Some("shop"), &reference());
    metrics.provider_ready(Some("shop"), &reference(), false);
    metrics.call(&owner("api"), &source, "http", "create").ended(None);
    assert_eq!(names(&metrics), 4, "{}", metrics.encode());
    // Another object has its name by now.
    metrics.forget(&Owner { uid: "uid-before".to_owned(), ..owner("api") });
    assert_eq!(names(&metrics), 4);
    metrics.forget(&owner("api"));
    let late = metrics.call(&owner("api"), &source, "http", "revoke");
    metrics.provider_gone(Some("shop"), &reference());
    drop(late);
    metrics.provider_ready(Some("shop"), &reference(), true);
    assert_eq!(names(&metrics), 0, "{}", metrics.encode());
    let unnamed = "tokenturn_provider_calls_total{namespace=\"\",provider_kind=\"\",provider=\"\",provider_type=\"http\",operation=\"revoke\",\
                   class=\"cancelled\"} 1";
    assert!(metrics.encode().contains(unnamed), "{}", metrics.encode());
    metrics.show(&owner("api"), &status);
    metrics.provider_exists(Some("shop"), &reference());
    metrics.provider_ready(Some("shop"), &reference(), true);
    metrics.leading(false);
    metrics.show(&owner("api"), &status);
    metrics.provider_ready(Some("shop"), &reference(), true);
    metrics.remember(&[("objects", 1)]);
    assert_eq!(names(&metrics), 0);
    assert!(!metrics.encode().contains("remembered_objects"));
}
