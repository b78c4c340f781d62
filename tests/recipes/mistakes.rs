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
fn each_mistake_is_told_with_its_place() {
    assert!(compiled(good()).is_ok());
    for (pointer, value, told) in [
        ("/baseUrl", json!("api.example.com"), "baseUrl: is no URL"),
        ("/baseUrl", json!("ftp://api.example.com"), "baseUrl: has to begin with https://"),
        ("/baseUrl", json!("https://me:secret@api.example.com"), "baseUrl: names a user"),
        ("/baseUrl", json!("https://api.example.com/?a=b"), "baseUrl: has a query"),
        ("/proxy", json!({"url": "proxy.example.com"}), "proxy.url: is no URL"),
        ("/proxy", json!({"url": "proxy.example.com:3128"}), "proxy.url: has to begin with http:// or https://"),
        ("/proxy", json!({"url": "socks5://proxy.example.com"}), "proxy.url: has to begin with http:// or https://"),
        ("/proxy", json!({"url": "http://a:b@proxy.example.com"}), "proxy.url: names a user; put username"),
        ("/proxy", json!({"url": "http://proxy.example.com/x"}), "proxy.url: has a path"),
        ("/caBundle", json!("x".repeat(70_000)), "caBundle: and everything else are larger than 64 KiB together"),
        ("/timeout", json!("1m"), "timeout: has to be more than 0 and at most 15 s"),
        (
            "/credential/headers",
            json!({"Authorization": "${token.id}"}),
            "credential.headers.Authorization: `${token.id}` is not known here",
        ),
        ("/credential/headers", json!({"bad name": "x"}), "credential.headers.bad name: is no name of a header"),
        ("/credential/headers", json!({"Host": "x"}), "credential.headers.Host: is not for a recipe to say"),
        ("/credential/basic", json!({}), "credential: say headers or basic, not both"),
        (
            "/credential/assertion",
            json!({"clientId": "a", "clientIdKey": "b", "audience": "c"}),
            "credential.assertion: say clientId or clientIdKey, not both",
        ),
        (
            "/credential/oauth2",
            json!({"tokenUrl": "https://as.example/token?a=b", "scopes": []}),
            "credential.headers.Authorization: is what oauth2 shows",
        ),
        (
            "/credential/oauth2",
            json!({"tokenUrl": "https://as.example/token?a=b", "method": "TlsClientAuth"}),
            "credential.oauth2: method TlsClientAuth needs",
        ),
        (
            "/credential/oauth2",
            json!({"tokenUrl": "https://as.example/token?a=b", "keyId": "a"}),
            "credential.oauth2: keyId is of no use",
        ),
        (
            "/credential/oauth2",
            json!({"tokenUrl": "https://as.example/token?a=b", "method": "PrivateKeyJwt", "secretKey": "a"}),
            "credential.oauth2: secretKey is of no use",
        ),
        (
            "/credential/oauth2",
            json!({"tokenUrl": "https://as.example/token?a=b", "clientId": "a", "clientIdKey": "b"}),
            "credential.oauth2: say clientId or clientIdKey",
        ),
        ("/credential/oauth2", json!({"tokenUrl": "as.example"}), "credential.oauth2.tokenUrl: is no URL"),
        ("/revoke", Value::Null, "create.expires: is needed without revoke"),
        ("/list", Value::Null, "list: is needed where tokens do not expire"),
        ("/revoke", Value::Null, "list: is of no use without revoke"),
        (
            "/parameters/project",
            json!({"as": "Integer", "default": "ten"}),
            "parameters.project: \"ten\" is no whole number",
        ),
        (
            "/parameters/project",
            json!({"values": ["a"], "default": "b"}),
            "parameters.project: the default \"b\" is none of its values",
        ),
        ("/parameters/a b", json!({}), "parameters.a b: a parameter's name has"),
        ("/permissions/1", json!({"name": "read"}), "permissions: \"read\" stands there twice"),
        ("/permissions", json!([]), "permissions: is empty, and create.request says ${permissions}"),
        ("/create/request/json/scopes", json!("x"), "create.request: never says ${permissions}"),
        (
            "/create/request/json/scopes",
            json!("a ${permissions}"),
            "create.request.json.scopes: a list can stand alone only",
        ),
        ("/create/request/json", json!({"scopes": "${permissions}"}), "create.request: never says ${name}, so list"),
        (
            "/create/request/json/deep",
            json!([{"x": ["${nope}"]}]),
            "create.request.json.deep[0].x[0]: `${nope}` is not known",
        ),
        (
            "/create/request/path",
            json!("/p/${parameters.nope}"),
            "create.request.path: `${parameters.nope}` is none of parameters",
        ),
        ("/create/request/path", json!("/p/${permissions}"), "create.request.path: a list cannot stand here"),
        ("/revoke/request/baseUrl", json!("nowhere"), "revoke.request.baseUrl: is no URL"),
        ("/create/request/baseUrl", json!("https://a.example/?b"), "create.request.baseUrl: has a query"),
        ("/list/request/baseUrl", json!("ssh://a.example"), "list.request.baseUrl: has to begin with https://"),
        (
            "/verify/request/baseUrl",
            json!("https://${parameters.project}.example"),
            "verify.request.baseUrl: cannot have",
        ),
        ("/create/request/path", json!("p"), "create.request.path: has to begin with /"),
        ("/create/request/path", json!("/a?b"), "create.request.path: has a `?`"),
        ("/create/request/path", json!("/a/../b"), "create.request.path: has a segment `.` or `..`"),
        ("/create/request/form", json!({"a": "b"}), "create.request: has several bodies"),
        (
            "/verify/request/headers",
            json!({"X-A": "${credential.token}"}),
            "verify.request.headers.X-A: `${credential.token}` is not known here",
        ),
        ("/create/answer", json!({"statuses": {"20x": "Success"}}), "create.answer.statuses.20x: is no HTTP status"),
        (
            "/create/answer",
            json!({"statuses": {"404": "Success"}}),
            "create.answer.statuses.404: only 2xx can be a Success",
        ),
        (
            "/create/answer",
            json!({"expect": [{"path": "$.a", "oneOf": []}]}),
            "create.answer.expect[0]: oneOf is empty",
        ),
        (
            "/create/answer",
            json!({"expect": [{"path": "a", "oneOf": [1]}]}),
            "create.answer.expect[0].path: is no JSONPath",
        ),
        (
            "/create/answer",
            json!({"expect": [{"path": "$.a", "oneOf": [1], "otherwise": "Success"}]}),
            "otherwise cannot be Success",
        ),
        (
            "/create/answer",
            json!({"cases": [{"path": "error", "oneOf": ["x"], "meaning": "Refused"}]}),
            "create.answer.cases[0].path: is no JSONPath",
        ),
        (
            "/verify/answer",
            json!({"cases": [{"path": "$.error", "oneOf": ["x"], "meaning": "Success"}]}),
            "verify.answer.cases[0].meaning: can be Success with a status of 2xx only",
        ),
        (
            "/revoke/answer",
            json!({"cases": [{"path": "$.error", "meaning": "Refused"}]}),
            "revoke.answer.cases[0]: say path and oneOf together",
        ),
        ("/revoke/answer", json!({"cases": [{"status": 99, "meaning": "Gone"}]}), "cases[0].status: is no HTTP status"),
        ("/listValues", json!({"request": {"path": "/all"}, "values": "$[*]"}), "say list or listValues, not both"),
        ("/list/values", json!({"nope": "$.x"}), "list.values.nope: is none of create.values"),
        ("/inPlace", json!({}), "list: is of no use with inPlace"),
        ("/inPlace", json!({"initial": {"nope": "key"}}), "inPlace.initial.nope: is none of create.values"),
        (
            "/create/request/path",
            json!("/tokens/${replaced.token}"),
            "create.request.path: `${replaced.token}` needs inPlace.initial.token",
        ),
        ("/verify/probes", json!({"nope": {"request": {"path": "/x"}}}), "verify.probes.nope: is none of permissions"),
        ("/create/dpop", json!(true), "create.values.dpopKey: is the name"),
        ("/create/permissions", json!("scope"), "create.permissions: is no JSONPath"),
        ("/create/values", json!({}), "create.values: is empty"),
        ("/create/values/token", json!("token"), "create.values.token: is no JSONPath (RFC 9535)"),
        ("/create/id", Value::Null, "create.id: is needed, because ${token.id} is said"),
        ("/create/expires", json!({"path": "$["}), "create.expires.path: is no JSONPath"),
        ("/list/id", Value::Null, "list.id: is needed, because ${token.id} is said"),
        ("/list/items", json!("$.[*"), "list.items: is no JSONPath"),
        ("/list/paging", json!({}), "list.paging: say exactly one of page, cursor and link"),
        (
            "/list/request/path",
            json!("/${token.id}"),
            "list.request.path: `${token.id}` is not known here; list knows parameters",
        ),
        ("/verify/request/headers", json!({}), "verify.request: never shows the token"),
        (
            "/verify/request/path",
            json!("/${token.values.other}"),
            "verify.request.path: `${token.values.other}` is none of create.values",
        ),
        ("/revoke/request/path", json!("/tokens"), "revoke.request: never says which token"),
        // What could take for ever, or all memory.
        ("/list/name", json!("$[?@[?@[?@.a]]]"), "list.name: is a JSONPath with another filter in a filter"),
        ("/list/items", json!("$..*..*..*"), "list.items: is a JSONPath with more than one `..`"),
        (
            "/create/id",
            json!(format!("$.{}", "a".repeat(600))),
            "create.id: is a JSONPath with more than 512 characters",
        ),
        (
            "/verify/permissions",
            json!("$[?search(@.name, '((a{99}){99}){99}')]"),
            "verify.permissions: is a JSONPath with search(): patterns are not known",
        ),
        (
            "/list/alive",
            json!([{"path": "$.a", "oneOf": vec![1; 33]}]),
            "list.alive[0].oneOf: has 33 values; 32 are possible",
        ),
        (
            "/create/answer",
            json!({"cases": vec![json!({"status": 400, "meaning": "Refused"}); 17]}),
            "create.answer.cases: has 17 cases; 16 are possible",
        ),
        ("/create/request/json/x", json!("${name}".repeat(65)), "substitutions; 64 are possible"),
        (
            "/create/request/json/x",
            (0..40).fold(json!(1), |inner, _| json!([inner])),
            "create.request.json: is nested more than 32 deep",
        ),
        ("/baseUrl", json!(format!("https://{}.example.com", "a".repeat(3_000))), "baseUrl: is longer than 2048"),
        // Regression: it was sent as it stands.
        (
            "/permissions/1",
            json!({"name": "of a project", "value": {"id": "project:${parameters.project}"}}),
            "permissions: the value of \"of a project\" has a `${`: it is sent as it is",
        ),
    ] {
        let mut recipe = good();
        match pointer.rsplit_once('/') {
            Some((parent, "1")) => recipe.pointer_mut(parent).unwrap()[1] = value.clone(),
            Some((parent, name)) => recipe.pointer_mut(parent).unwrap()[name] = value.clone(),
            None => unreachable!(),
        }
        if pointer == "/create/dpop" {
            recipe["create"]["values"]["dpopKey"] = json!("$.key");
        }
        let mistakes = compiled(recipe).expect_err(pointer);
        assert!(mistakes.iter().any(|mistake| mistake.contains(told)), "{pointer} {value}: {mistakes:?}");
    }
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

/// Regression: a path of 120 characters took ten seconds of the thread that looked at its provider object, at every look. The largest
/// recipe that is compiled at all, full of the costliest paths that are let through, takes less than that of a rotation's other work.
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

/// How a token ends, and what is obtained before a call.
#[test]
fn what_does_not_go_together_is_told() {
    let request = || json!({"request": {"path": "/x"}});
    for (change, told) in [
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
        (json!({"credential": {"secretRef": null}}), "credential: say secretRef or serviceAccount"),
        (json!({"create": {"private": ["nope"]}}), "create.private: \"nope\" is none of create.values"),
        (json!({"create": {"private": ["token"]}}), "create.private: leaves nothing to be published"),
        (json!({"create": {"tellLost": true}}), "create.tellLost: is for tokens that neither expire nor can be listed"),
        (json!({"list": null}), "list: is needed where tokens do not expire"),
        (
            json!({"list": null, "create": {"tellLost": true, "request": {"json": {"name": "x", "note": "x"}}}}),
            "create.tellLost: needs ${name} in create.request",
        ),
        (json!({"list": {"nameEndsBefore": ""}}), "list.nameEndsBefore: is empty"),
        // Names are split at the first one: with these none was ever found again, so that a lost token lived on unseen.
        (json!({"list": {"nameEndsBefore": "-"}}), "list.nameEndsBefore: is part of every name"),
        (json!({"list": {"nameEndsBefore": "1"}}), "list.nameEndsBefore: is part of every name"),
        // It counts from now: the old token would always have been used in a while, and never be revoked.
        (
            json!({"list": {"lastUsed": {"path": "$.at", "otherwise": "24h"}}}),
            "list.lastUsed.otherwise: is of no use: it counts from now",
        ),
        (
            json!({"list": {"lastUsed": {"path": "$.at", "format": "SecondsFromNow"}}}),
            "list.lastUsed.format: is of no use: nothing was used in the future",
        ),
        (
            json!({"lastUsed": {"request": {"path": "/${token.id}"}, "time": {"path": "$.at", "otherwise": "24h"}}}),
            "lastUsed.time.otherwise: is of no use: it counts from now",
        ),
        (
            json!({"create": {"expires": {"path": "$.at", "otherwise": "0s"}}}),
            "create.expires.otherwise: has to be more than 0",
        ),
        (json!({"list": {"lastUsed": {"path": "$["}}}), "list.lastUsed.path: is no JSONPath"),
        (
            json!({"lastUsed": {"request": {"path": "/x"}, "time": {"path": "$.at"}}}),
            "lastUsed.request: never says which token",
        ),
        (json!({"confirm": request()}), "confirm.request: never says which token"),
        (json!({"confirm": request()}), "confirm.answer: never says Gone"),
        (
            json!({"revoke": {"first": [{"request": {"path": "/${name}"}}]}}),
            "revoke.first[0].request.path: `${name}` is not known here",
        ),
        (
            json!({"create": {"id": null}, "revoke": {"request": {"path": "/${token.name}"}, "first": [{"request": {"path": "/${token.id}"}}]}}),
            "create.id: is needed, because ${token.id} is said",
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
            "revoke.onlyIf: is needed with inPlace",
        ),
        (json!({"list": null, "inPlace": {}}), "revoke: is of no use with inPlace"),
    ] {
        let mut recipe = good();
        merge(&mut recipe, &change);
        let mistakes = compiled(recipe).expect_err(told);
        assert!(mistakes.iter().any(|mistake| mistake.contains(told)), "{told}: {mistakes:?}");
    }
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
