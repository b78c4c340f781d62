//! Recipes that cannot work are refused with the place and the reason, all of them at once.

use serde_json::{Value, json};
use tokenturn::{
    api::HttpProvider,
    providers::http::recipe::{self, compile},
};

/// A recipe that works.
pub fn good() -> Value {
    json!({
        "baseUrl": "https://api.example.com/v1",
        "credential": {"secretRef": {"name": "admin"}, "headers": {"Authorization": "Bearer ${credential.token}"}},
        "parameters": {"project": {}},
        "permissions": [{"name": "read"}, {"name": "write", "value": {"id": 7}}],
        "create": {
            "request": {
                "method": "POST", "path": "/projects/${parameters.project}/tokens",
                "json": {"name": "${name}", "scopes": "${permissions}", "note": "for ${name}", "seconds": "${lifetime|seconds}"},
            },
            "values": {"token": "$.token"},
            "id": "$.id",
        },
        "list": {"request": {"path": "/projects/${parameters.project}/tokens"}, "items": "$[*]", "name": "$.name", "id": "$.id"},
        "verify": {"request": {"path": "/me", "headers": {"Authorization": "Bearer ${token.values.token}"}}},
        "revoke": {"request": {"method": "DELETE", "path": "/projects/${parameters.project}/tokens/${token.id}"}},
    })
}

pub fn compiled(recipe: Value) -> Result<recipe::Recipe, Vec<String>> {
    let recipe: HttpProvider = serde_json::from_value(recipe).expect("what the API server lets through");
    compile::compile(&recipe).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut recipe = good();
    recipe["baseUrl"] = json!("nowhere");
    recipe["create"]["request"]["path"] = json!("/${a}");
    recipe["verify"]["request"]["path"] = json!("/${b}");
    recipe["revoke"]["request"]["path"] = json!("/${c}");
    let mistakes = compiled(recipe).unwrap_err();
    for place in ["baseUrl", "create.request.path", "verify.request.path", "revoke.request.path"] {
        assert!(mistakes.iter().any(|mistake| mistake.contains(place)), "{place}: {mistakes:?}");
    }
}

/// What is told stands in a condition: it has to be short enough for one.
#[test]
fn a_thousand_mistakes_are_told_in_a_few_lines() {
    let mut recipe = good();
    recipe["create"]["request"]["headers"] =
        (0..1_000).map(|index| (format!("X-{index}"), json!("${nope}"))).collect::<serde_json::Map<_, _>>().into();
    recipe["list"]["name"] = json!(format!("$.{}[", "a".repeat(500)));
    let mistakes = compiled(recipe).unwrap_err();
    assert_eq!(mistakes.len(), 21);
    assert_eq!(mistakes[20], "and more: only the first 20 mistakes are named");
    assert!(mistakes.iter().all(|mistake| mistake.len() < 700), "{mistakes:?}");
}

/// Regression: a path of 120 characters took ten seconds of the thread that looked at its provider object, at every
/// look. The largest recipe that is compiled at all, full of the costliest paths that are let through, takes less than
/// that of a rotation's other work.
#[test]
fn the_costliest_recipe_is_compiled_soon() {
    let costly = [
        format!("$[{}?(@['a'] == 1 || @.b != 'x') && !(length(@.c) > 2)]", "*,".repeat(7)),
        format!("$..[?{}@.a]", "(@.a==@.b)||".repeat(14)),
        format!("${}", "[?((@.a))]".repeat(4)),
        format!("$[?{}(@.a)]", "!(@.a)&&".repeat(15)),
    ];
    let mut recipe = good();
    for path in &costly {
        recipe["list"]["name"] = json!(path);
        assert!(compiled(recipe.clone()).is_ok(), "{path}: {:?}", compiled(recipe));
    }
    let began = std::time::Instant::now();
    for path in costly.iter().cycle().take((64 << 10) / 100) {
        assert!(tokenturn::providers::http::recipe::path::parse(path).is_ok());
    }
    println!("the paths of 64 KiB: {:?}", began.elapsed());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

fn assert_told(changes: &[(Value, &str)]) {
    for (change, reported) in changes {
        let mut recipe = good();
        merge(&mut recipe, change);
        let mistakes = compiled(recipe).expect_err(reported);
        assert!(mistakes.iter().any(|mistake| mistake.contains(reported)), "{reported}: {mistakes:?}");
    }
}

/// What is obtained before a call, and how tokens are found.
#[test]
fn what_does_not_go_together_is_told() {
    assert_told(&[
        (
            json!({"credential": {"headers": {"A": "${credential.session}"}}}),
            "${credential.session}` needs credential.login",
        ),
        (
            json!({"create": {"request": {"headers": {"A": "${credential.serviceAccountToken}"}}}}),
            "create.request.headers.A: `${credential.serviceAccountToken}` needs credential.serviceAccount",
        ),
        (
            json!({"credential": {"login": {"request": {"path": "/login", "json": {"s": "${credential.session}"}}, "value": "$.s"}}}),
            "credential.login.request: shows the session that it is for",
        ),
        (
            json!({"credential": {"login": {"request": {"path": "/login"}, "value": "s"}}}),
            "credential.login.value: is no JSONPath",
        ),
        (json!({"credential": {"secretRef": null}}), "credential: set secretRef or serviceAccount"),
        (json!({"create": {"private": ["nope"]}}), "create.private: \"nope\" is none of create.values"),
        (json!({"create": {"private": ["token"]}}), "create.private: leaves nothing to be published"),
        (
            json!({"create": {"reportLost": true}}),
            "create.reportLost: is for tokens that neither expire nor can be listed",
        ),
        (json!({"list": null}), "list: is needed where tokens do not expire"),
        (
            json!({"list": null, "create": {"reportLost": true, "request": {"json": {"name": "x", "note": "x"}}}}),
            "create.reportLost: needs ${name} in create.request",
        ),
        (json!({"list": {"nameEndsBefore": ""}}), "list.nameEndsBefore: is empty"),
        // Names are split at the first one: with these none was ever found again, so that a lost token lived on unseen.
        (json!({"list": {"nameEndsBefore": "-"}}), "list.nameEndsBefore: is part of every name"),
        (json!({"list": {"nameEndsBefore": "1"}}), "list.nameEndsBefore: is part of every name"),
        // It counts from now: the old token would always have been used in a while, and never be revoked.
        (
            json!({"list": {"lastUsed": {"path": "$.at", "default": "24h"}}}),
            "list.lastUsed.default: is of no use: it counts from now",
        ),
        (
            json!({"list": {"lastUsed": {"path": "$.at", "format": "SecondsFromNow"}}}),
            "list.lastUsed.format: is of no use: nothing was used in the future",
        ),
        (
            json!({"lastUsed": {"request": {"path": "/${token.id}"}, "time": {"path": "$.at", "default": "24h"}}}),
            "lastUsed.time.default: is of no use: it counts from now",
        ),
        (
            json!({"create": {"expires": {"path": "$.at", "default": "0s"}}}),
            "create.expires.default: has to be more than 0",
        ),
    ]);
}

/// How a token ends.
#[test]
fn ends_that_do_not_go_together_are_told() {
    let request = || json!({"request": {"path": "/x"}});
    assert_told(&[
        (json!({"list": {"lastUsed": {"path": "$["}}}), "list.lastUsed.path: is no JSONPath"),
        (
            json!({"lastUsed": {"request": {"path": "/x"}, "time": {"path": "$.at"}}}),
            "lastUsed.request: never names the token",
        ),
        (json!({"confirm": request()}), "confirm.request: never names the token"),
        (json!({"confirm": request()}), "confirm.answer: never maps an answer to Gone"),
        (
            json!({"revoke": {"before": [{"request": {"path": "/${name}"}}]}}),
            "revoke.before[0].request.path: `${name}` is not known here",
        ),
        (
            json!({"create": {"id": null}, "revoke": {"request": {"path": "/${token.name}"}, "before": [{"request": {"path": "/${token.id}"}}]}}),
            "create.id: is needed, because ${token.id} is used",
        ),
        (
            json!({"list": null, "inPlace": {"present": {"request": {"path": "/x"}, "values": {"other": "$.x"}}}}),
            "inPlace.present.values: has to have exactly the values of create.values",
        ),
        (
            json!({"list": null, "inPlace": {"present": {"request": {"path": "/x"}, "values": {"token": "$.x"}}}}),
            "inPlace.present: cannot tell what create.id says",
        ),
        (
            json!({"list": null, "create": {"id": null}, "inPlace": {"present": {"request": {"path": "/x"}, "values": {"token": "$.x"}}}}),
            "revoke.precondition: is needed with inPlace",
        ),
        (json!({"list": null, "inPlace": {}}), "revoke: is of no use with inPlace"),
    ]);
}

/// A merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else { return target.clone_from(patch) };
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().expect("an object").remove(name);
        } else {
            if !target[name.as_str()].is_object() && value.is_object() {
                target[name.as_str()] = json!({});
            }
            merge(&mut target[name.as_str()], value);
        }
    }
}
