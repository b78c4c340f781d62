//! Records that earlier versions wrote are read as they were meant.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokenturn::{
    api::conditions::Reason,
    core::{
        ledger::{failure::Made, record::Ledger},
        pods::consumers::Consumers,
        seen::views::Target,
        step::{Change, Step},
        token::{Source, Verification},
        transition,
    },
    secret_value::{self, SecretValue},
};

use crate::builder::*;

/// A ledger with some of its fields as an earlier version wrote them.
fn stored(ledger: &Ledger, change: impl FnOnce(&mut Value)) -> Ledger {
    let mut text = serde_json::to_value(ledger).expect("a ledger is JSON");
    change(&mut text);
    serde_json::from_value(text).expect("a ledger of an earlier version")
}

/// Written by the version before a failure said what it had made, one for each state of a rotation and of a deletion.
const LEDGERS: &str = include_str!("earlier_records.json");

fn ledgers() -> BTreeMap<String, Value> {
    serde_json::from_str(LEDGERS).expect("ledgers by state")
}

/// Whether everything that was stored is there, as it was.
fn is_kept(stored: &Value, written: &Value) -> bool {
    match (stored, written) {
        (Value::Object(stored), Value::Object(written)) => {
            stored.iter().all(|(key, value)| written.get(key).is_some_and(|written| is_kept(value, written)))
        }
        (Value::Array(stored), Value::Array(written)) => {
            stored.len() == written.len() && stored.iter().zip(written).all(|(one, other)| is_kept(one, other))
        }
        (stored, written) => stored == written,
    }
}

#[test]
fn a_record_of_each_state_is_read_and_written_as_it_was() {
    let ledgers = ledgers();
    assert_eq!(ledgers.len(), 18);
    for (state, stored) in ledgers {
        let ledger: Ledger = serde_json::from_value(stored.clone()).unwrap_or_else(|error| panic!("{state}: {error}"));
        let mut written = serde_json::to_value(&ledger).expect("a ledger is JSON");
        // Else that version would read it, without the checks that it has other names for.
        assert_eq!(std::mem::replace(&mut written["schema"], stored["schema"].clone()), 2, "{state}");
        assert!(is_kept(&stored, &written), "{state}: {stored:#} became {written:#}");
    }
}

/// What is done next is what that version would have done next.
#[test]
fn a_rotation_or_a_deletion_that_was_under_way_goes_on() {
    let (one, two) = (serial(1, 1), serial(2, 2));
    for (state, target, step) in [
        ("first-intent", Target::Absent, "mint 1.1"),
        ("first-pending", Target::Absent, "publish 1.1 repair=false"),
        ("refused", Target::Absent, "wait"),
        ("at-rest", carrying(one), "wait"),
        ("intent", carrying(one), "mint 2.2"),
        ("intent-after-lost-answer", carrying(one), "mint 2.2"),
        ("pending", carrying(one), "publish 2.2 repair=false"),
        ("pickup", carrying(two), "wait"),
        ("pickup-without-snapshot", carrying(two), "save Snapshot"),
        ("grace", carrying(two), "wait"),
        ("revoke-intended", carrying(two), "revoke tokenturn-install-uid-1-1-1"),
        ("at-rest-with-history", carrying(two), "wait"),
        ("readopted", carrying(one), "save Noted"),
        ("frozen", carrying(one), "wait"),
    ] {
        let ledger = serde_json::from_value(ledgers()[state].clone()).expect("a ledger");
        assert_eq!(decided(&observed(Some(ledger), target)).step.label(), step, "{state}");
    }
    for (state, target, step) in [
        ("retiring", carrying(one), "delete target"),
        ("retirement-intended", Target::Absent, "revoke tokenturn-install-uid-1-1-1"),
    ] {
        let ledger = serde_json::from_value(ledgers()[state].clone()).expect("a ledger");
        let mut seen = observed(Some(ledger), target);
        seen.resource.as_mut().expect("an object").deleting = true;
        seen.answers.consumers = Some(Ok(Consumers { ended: ["a".to_owned()].into(), ..Consumers::default() }));
        assert_eq!(decided(&seen).step.label(), step, "{state}: {}", decided(&seen).message);
    }
}

/// Records hold the recipe that a token was minted with. A check before a revoke that was lost on the way would end a token that is somebody's.
#[test]
fn recipes_in_records_of_earlier_versions_are_read() {
    let request = json!({"method": "GET", "path": "/tokens"});
    let mut stored = ledgers()["at-rest"].clone();
    let recipe = json!({
        "baseUrl": "https://api.example.com",
        "credential": {"secretRef": {"name": "admin"}},
        "verify": {"request": request},
        "create": {
            "request": request,
            "answer": {"expect": [{"path": "$.ok", "oneOf": [true], "otherwise": "Refused"}]},
            "expires": {"path": "$.at", "otherwise": "24h"},
            "values": {"token": "$.token"},
            "tellLost": true,
        },
        "revoke": {"onlyIf": {"request": request, "values": {"token": "$.value"}}, "first": [{"request": request}], "request": request},
    });
    stored["current"]["token"]["provider"] = json!({"http": recipe});
    let ledger: Ledger = serde_json::from_value(stored).expect("a ledger");
    let source = ledger.current.expect("a token").token.source;
    // As it was hashed then: which recipe was wrong, and which one has shown that it may use a credential.
    let hashed = r#"{"http":{"baseUrl":"https://api.example.com","credential":{"secretRef":{"name":"admin"}},"create":{"request":{"method":"GET","path":"/tokens"},"answer":{"expect":[{"path":"$.ok","oneOf":[true],"otherwise":"Refused"}]},"values":{"token":"$.token"},"tellLost":true,"expires":{"path":"$.at","format":"Rfc3339","otherwise":"1d"}},"verify":{"request":{"method":"GET","path":"/tokens"}},"revoke":{"onlyIf":{"request":{"method":"GET","path":"/tokens"},"values":{"token":"$.value"}},"first":[{"request":{"method":"GET","path":"/tokens"}}],"request":{"method":"GET","path":"/tokens"}}}}"#;
    let digest = |text: &str| secret_value::digest([("backend", &SecretValue::new(text))].into_iter());
    assert!(source.is_of_recipe(&digest(hashed)) && source.is_of_recipe(&source.recipe()));
    assert!(!source.is_of_recipe(&digest(&hashed.replace("/tokens", "/other"))));
    let http = source.provider.backend.http.expect("a recipe");
    let written = serde_json::to_value(&*http).expect("JSON");
    assert_eq!(written["create"]["answer"]["expect"][0]["default"], "Refused", "{written:#}");
    assert_eq!(written["create"]["expires"]["default"], "1d");
    assert_eq!(written["create"]["reportLost"], true);
    assert_eq!(written["revoke"]["precondition"]["values"]["token"], "$.value");
    assert_eq!(written["revoke"]["before"].as_array().map(Vec::len), Some(1));
}

/// A text that was replaced wherever it stood met fields that were not renamed, and keys that are a user's own.
#[test]
fn fields_that_kept_their_names_are_hashed_as_they_were() {
    let hashed = r#"{"http":{"baseUrl":"https://api.example.com","parameters":{"before":{"default":"a"},"default":{"default":"b"},"precondition":{}},"create":{"request":{"method":"POST","path":"/tokens","json":{"answer":{"expect":[{"default":1.5}]},"before":"\"default\":","reportLost":2}},"answer":{"expect":[{"path":"$.ok","oneOf":[{"default":true}],"otherwise":"Refused"}]},"values":{"before":"$.token"},"tellLost":true},"list":{"request":{"method":"GET","path":"/tokens"},"items":"$","name":"$.name","lastUsed":{"path":"$.at","format":"Rfc3339","otherwise":"1d"},"alive":[{"path":"$.on","oneOf":[true],"otherwise":"Gone"}],"paging":{"page":{"parameter":"page","first":1}}},"verify":{"request":{"method":"GET","path":"/self"},"probes":{"default":{"request":{"method":"GET","path":"/a"},"answer":{"expect":[{"path":"$.ok","oneOf":[true],"otherwise":"Refused"}]}}}},"revoke":{"onlyIf":{"request":{"method":"GET","path":"/old","query":{"precondition":"x"}},"values":{"before":"$.value"}},"first":[{"request":{"method":"POST","path":"/off","form":{"default":"y"}},"answer":{"expect":[{"path":"$.ok","oneOf":[true],"otherwise":"Gone"}]}}],"request":{"method":"DELETE","path":"/tokens"}}}}"#;
    let source = Source { provider: serde_json::from_str(hashed).expect("a provider"), ..source() };
    let digest = |text: &str| secret_value::digest([("backend", &SecretValue::new(text))].into_iter());
    assert!(source.is_of_recipe(&digest(hashed)) && source.is_of_recipe(&source.recipe()));
    assert!(!source.is_of_recipe(&digest(&hashed.replace("otherwise", "default"))));
    assert!(!source.is_of_recipe(&digest(&hashed.replace("/tokens", "/other"))));
}

/// Reasons were renamed; records have them in both forms.
#[test]
fn reasons_of_earlier_versions_are_read() {
    for (stored, reason) in [
        ("Rotated", Reason::UpToDate),
        ("LeftBehind", Reason::TokenMayRemain),
        ("Contested", Reason::ConflictingWriter),
        ("MetadataContested", Reason::MetadataConflict),
    ] {
        assert_eq!(serde_json::from_value::<Reason>(json!(stored)).expect("a reason"), reason);
        assert_eq!(serde_json::from_value::<Reason>(json!(reason.as_str())).expect("a reason"), reason);
    }
}

/// That a token was rebuilt, and is still to be asked for, was said by its reason.
#[test]
fn a_rebuilt_token_is_still_asked_for() {
    let one = serial(1, 1);
    let ledger = stored(&at_rest(one), |text| text["current"]["reason"] = json!("Readopted"));
    let mut rebuilt = observed(Some(ledger), carrying(one));
    let expires_at = Some(now() + SignedDuration::from_hours(24 * 30));
    rebuilt.answers.verification.insert(one, Ok(Verification::Works { surplus: vec![], expires_at }));
    let Step::Save { ledger, change: Change::Noted } = decided(&rebuilt).step else {
        panic!("{:?}", decided(&rebuilt))
    };
    let current = ledger.current.expect("a token");
    assert_eq!((current.token.expires_at, current.uninspected), (expires_at, false));
    // Any other was known.
    let known = stored(&at_rest(one), |text| assert!(text["current"].get("uninspected").is_none()));
    assert!(!known.current.expect("a token").uninspected);
}

/// What an attempt may have left was said by its reason.
#[test]
fn an_attempt_whose_answer_was_lost_may_have_made_a_token() {
    let ledger = stored(&intended(at_rest(serial(1, 1)), serial(2, 2)), |text| {
        text["intent"]["failure"] = json!({"reason": "AnswerLost", "message": "no answer"});
    });
    assert_eq!(ledger.intent.and_then(|intent| intent.failure).map(|failure| failure.made), Some(Made::MayExist));
}

/// Whether the pods were counted after the Secret had changed hands was not noted: they are counted once more.
#[test]
fn a_deletion_under_way_goes_on() {
    let retiring = transition::retire_handed_over(&at_rest(serial(1, 1)), BTreeSet::new(), BTreeSet::new());
    let ledger = stored(&retiring, |text| {
        assert_eq!(
            text["retirement"].as_object_mut().and_then(|fields| fields.remove("handedOver")),
            Some(json!(true))
        );
    });
    assert!(ledger.retirement.is_some_and(|retirement| !retirement.handed_over));
}
