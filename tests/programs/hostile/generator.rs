//! What nobody has thought of: objects with any label, annotation, name, number and size, and answers of any shape, from a seed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use super::{Failure, attacker::Field, rival::Reply, scene::rotated_token};

/// One attack.
#[derive(Debug)]
struct Generated {
    secrets: Vec<Value>,
    providers: Vec<Recipe>,
    pods: Vec<Value>,
    /// What the attacker's endpoint answers, one after the other, and from the beginning again.
    answers: Vec<Reply>,
    /// Changes of the first object, one after the other.
    changes: Vec<Value>,
}

/// What is put into places of a recipe, and of the object that uses it.
type Recipe = BTreeMap<&'static str, Value>;

/// Places of a recipe that take a text.
const PLACES: [&str; 11] = [
    "/create/values/token",
    "/create/id",
    "/list/items",
    "/list/name",
    "/list/id",
    "/credential/secretRef/name",
    "/credential/headers/Authorization",
    "/create/request/path",
    "/revoke/request/path",
    "/create/request/json/name",
    "/verify/request/headers/Authorization",
];

/// Generates an attack from a seed and carries it out; `number` counts what was generated.
pub async fn attack(field: &Field<'_>, seed: u64, number: &mut usize) -> Result<(), Failure> {
    let bytes: Vec<u8> = (0..4_u64).flat_map(|part| (seed ^ (part << 56)).to_le_bytes()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let uids: Vec<String> = field.scene.victims.iter().map(|victim| victim.uid.clone()).collect();
    let generated = generated(uids).new_tree(&mut runner).map_err(|why| why.to_string())?.current();
    let Generated { secrets, providers, pods, answers, changes } = generated;
    *number = secrets.len() + providers.len() + pods.len() + answers.len() + changes.len();
    let next = Arc::new(AtomicUsize::new(0));
    field.scene.rival.behave(&field.place("generated"), move |asked, _| {
        // A part is answered as it should be, or nothing would ever come far; a revoke always.
        let next = next.fetch_add(1, Ordering::Relaxed);
        let obliges = answers.is_empty() || next.is_multiple_of(3) || asked.method == "DELETE";
        (!obliges).then(|| answers[next % answers.len()].clone())
    });
    field.create_all("Secret", secrets).await;
    for (number, places) in providers.iter().enumerate() {
        let mut recipe = field.own_recipe("generated");
        for (place, value) in places {
            if let Some(found) = recipe.pointer_mut(place) {
                *found = value.clone();
            }
        }
        let name = format!("generated-{number}");
        // What the API server refuses is no attack.
        if field.provider(&name, &recipe).await.is_ok() {
            let mut token = rotated_token(&name, &json!({"name": name}));
            token["metadata"]["annotations"] = json!({"tokenturn.dev/rotate-now": places.get("/list/name")});
            if field.create("RotatedToken", &token).await.is_err() {
                let _ = field.create("RotatedToken", &rotated_token(&name, &json!({"name": name}))).await;
            }
        }
    }
    field.create_all("Pod", pods).await;
    for change in changes {
        let _ = field.patch("RotatedToken", "generated-0", &change).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    field.hold().await;
    Ok(())
}

fn generated(uids: Vec<String>) -> impl Strategy<Value = Generated> {
    let secrets = prop::collection::vec(secret(uids), 0..12);
    let providers = prop::collection::vec(recipe(), 0..5);
    let pods = prop::collection::vec(pod(), 0..8);
    let answers = prop::collection::vec(reply(), 0..8);
    let changes = prop::collection::vec(change(), 0..6);
    (secrets, providers, pods, answers, changes).prop_map(|(secrets, providers, pods, answers, changes)| Generated {
        secrets,
        providers,
        pods,
        answers,
        changes,
    })
}

/// Texts with what could break out of a place, of every script, short and long.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("%2f".to_owned()),
        Just("?limit=500".to_owned()),
        Just("#".to_owned()),
        Just("$".to_owned()),
        Just("${name}".to_owned()),
        Just("${credential.token}".to_owned()),
        Just("${token.values.token}".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{0}".to_owned()),
        Just("\u{1f980}\u{202e}".to_owned()),
        ".{0,8}",
        "[a-z0-9-]{0,12}",
    ];
    let short = prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat());
    prop_oneof![
        9 => short,
        1 => ("[a-z]{1,4}", 1_usize..40_000).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

/// Numbers as a serial of ours has them, and others.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        Just("9007199254740992".to_owned()),
        Just("9223372036854775807".to_owned()),
        "[0-9]{1,3}",
        "[0-9]{1,30}",
    ]
}

fn uid(uids: Vec<String>) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(uids),
        2 => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
        1 => "[a-zA-Z0-9._-]{0,63}",
    ]
}

fn secret(uids: Vec<String>) -> impl Strategy<Value = Value> {
    let role = prop_oneof![Just("target"), Just("bound-token"), Just("record"), Just("other")];
    let name = prop_oneof![
        ("[0-9a-f]{8}", uid(uids.clone()), number(), number())
            .prop_map(|(install, uid, sequence, attempt)| format!("tokenturn-{install}-{uid}-{sequence}-{attempt}")),
        "[a-z][a-z0-9.-]{0,40}",
        "generated-[0-4]",
    ];
    let annotations = prop::collection::btree_map(
        prop_oneof![
            Just("tokenturn.dev/owner-name"),
            Just("tokenturn.dev/owner-namespace"),
            Just("tokenturn.dev/generation"),
            Just("tokenturn.dev/fence"),
            Just("tokenturn.dev/adopt"),
            Just("tokenturn.dev/orphaned-token"),
        ],
        prop_oneof![
            text(),
            (number(), number()).prop_map(|(sequence, attempt)| format!("{sequence}.{attempt}")),
            "generated-[0-4]",
            Just("tokenturn-system".to_owned()),
        ],
        0..6,
    );
    (name, role, uid(uids), annotations, text()).prop_map(|(name, role, uid, annotations, value)| {
        json!({
            "metadata": {
                "name": name, "annotations": annotations,
                "labels": {
                    "app.kubernetes.io/managed-by": "tokenturn", "tokenturn.dev/role": role, "tokenturn.dev/owner-uid": uid,
                },
            },
            "stringData": {"token": format!("{}-{value}", super::canary::CANARY)},
        })
    })
}

/// JSONPaths, some of them no use, some of them costly.
fn json_path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just(".*".to_owned()),
        Just("..*".to_owned()),
        Just("[*]".to_owned()),
        Just("[0:]".to_owned()),
        Just("[::-1]".to_owned()),
        Just("[?@.a]".to_owned()),
        Just("[?@..*]".to_owned()),
        Just("[?count(@..*) > 1]".to_owned()),
        Just("[?match(@.name, '(a|b)*c')]".to_owned()),
        Just("[?[?[?@.a]]]".to_owned()),
        "[.][a-z]{1,6}",
        text(),
    ];
    prop::collection::vec(segment, 0..12).prop_map(|segments| format!("${}", segments.concat()))
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let value = prop_oneof![json_path().prop_map(Value::from), text().prop_map(Value::from)];
    prop::collection::btree_map(prop::sample::select(&PLACES[..]), value, 0..3)
}

fn pod() -> impl Strategy<Value = Value> {
    let secret = prop_oneof![Just("generated-0".to_owned()), Just("api".to_owned()), "[a-z]{1,20}"];
    ("[a-z]{1,12}", secret, text(), 0_usize..40_000, any::<bool>()).prop_map(|(name, secret, note, size, is_bound)| {
        let mut pod = json!({
            "metadata": {"name": name, "annotations": {"note": note, "size": "x".repeat(size)}},
            "spec": {
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "app", "image": "none", "env": [
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}},
                ]}],
            },
        });
        pod["spec"]["schedulerName"] = json!(if is_bound { "default-scheduler" } else { "nobody" });
        pod
    })
}

/// Any JSON; never a value, so that what is shown of it is no value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{8}Z)?".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let names = prop_oneof![Just("token"), Just("id"), Just("name"), Just("items"), Just("active"), Just("error")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(names.prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let header = (
        prop_oneof![
            Just("retry-after"),
            Just("link"),
            Just("location"),
            Just("content-type"),
            Just("date"),
            Just("x-rate-limit-reset")
        ],
        prop_oneof!["[0-9]{0,20}", "[ -~]{0,60}", "<[a-z:/.]{0,20}>; rel=\"?next\"?"],
    );
    let headers = prop::collection::vec(header, 0..4).prop_map(|headers| {
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<(String, String)>>()
    });
    let body = prop_oneof![
        6 => any_json().prop_map(|body| body.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => (any_json(), 1_usize..2_000).prop_map(|(body, times)| {
            format!("[{}0]", format!("{body},").repeat(times.min(2_000_000 / (body.to_string().len() + 1)))).into_bytes()
        }),
        1 => (1_usize..5_000).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ];
    let status = prop_oneof![4 => 200_u16..205, 2 => 400_u16..430, 1 => 500_u16..505, 1 => 100_u16..600];
    prop_oneof![
        8 => (status, headers, body, 0_u64..2_000).prop_map(|(status, headers, body, wait)| {
            Reply::Http(status, headers, body, Duration::from_millis(wait))
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Reply::Raw),
        1 => Just(Reply::Half),
        1 => Just(Reply::Silence),
        1 => Just(Reply::Endless(b"[0,".to_vec())),
    ]
}

/// A change of an object that uses its provider.
fn change() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|now| json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": now}}})),
        any::<bool>().prop_map(|suspend| json!({"spec": {"suspend": suspend}})),
        text().prop_map(|word| json!({"spec": {"permissions": [word]}})),
        (text(), text()).prop_map(|(name, value)| json!({"spec": {"parameters": {name: value}}})),
        text().prop_map(|name| json!({"spec": {"providerRef": {"name": name}}})),
        "generated-[0-4]".prop_map(|name| json!({"spec": {"providerRef": {"name": name}}})),
        text().prop_map(|label| json!({"spec": {"secret": {"labels": {"x": label}}}})),
        prop_oneof![Just("Revoke"), Just("Orphan")].prop_map(|policy| json!({"spec": {"deletionPolicy": policy}})),
        text().prop_map(
            |name| json!({"spec": {"rollout": {"mode": "Listed", "targets": [{"kind": "Deployment", "name": name}]}}})
        ),
    ]
}
