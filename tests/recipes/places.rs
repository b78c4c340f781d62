//! Each mistake of a recipe is reported with its place.

use serde_json::{Value, json};

use super::mistakes::{compiled, good};

/// What is at a place, and what is reported of it.
type Mistake<'a> = (&'a str, Value, &'a str);

fn assert_reported(mistakes: &[Mistake<'_>]) {
    assert!(compiled(good()).is_ok());
    for (pointer, value, reported) in mistakes {
        let mut recipe = good();
        match pointer.rsplit_once('/') {
            Some((parent, "1")) => recipe.pointer_mut(parent).unwrap()[1] = value.clone(),
            Some((parent, name)) => recipe.pointer_mut(parent).unwrap()[name] = value.clone(),
            None => unreachable!(),
        }
        if *pointer == "/create/dpop" {
            recipe["create"]["values"]["dpopKey"] = json!("$.key");
        }
        let found = compiled(recipe).expect_err(pointer);
        assert!(found.iter().any(|mistake| mistake.contains(reported)), "{pointer} {value}: {found:?}");
    }
}

#[test]
fn of_addresses_parameters_and_permissions() {
    assert_reported(&[
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
        ("/permissions/1", json!({"name": "read"}), "permissions: \"read\" is listed twice"),
        ("/permissions", json!([]), "permissions: is empty, and create.request says ${permissions}"),
        // Regression: it was sent as it stands.
        (
            "/permissions/1",
            json!({"name": "of a project", "value": {"id": "project:${parameters.project}"}}),
            "permissions: the value of \"of a project\" has a `${`: it is sent as it is",
        ),
    ]);
}

#[test]
fn of_the_credential() {
    assert_reported(&[
        (
            "/credential/headers",
            json!({"Authorization": "${token.id}"}),
            "credential.headers.Authorization: `${token.id}` is not known here",
        ),
        ("/credential/headers", json!({"bad name": "x"}), "credential.headers.bad name: is no name of a header"),
        ("/credential/headers", json!({"Host": "x"}), "credential.headers.Host: is not for a recipe to say"),
        ("/credential/basic", json!({}), "credential: set headers or basic, not both"),
        (
            "/credential/assertion",
            json!({"clientId": "a", "clientIdKey": "b", "audience": "c"}),
            "credential.assertion: set clientId or clientIdKey, not both",
        ),
        (
            "/credential/oauth2",
            json!({"tokenUrl": "https://as.example/token?a=b", "scopes": []}),
            "credential.headers.Authorization: is what oauth2 sends",
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
            "credential.oauth2: set clientId or clientIdKey",
        ),
        ("/credential/oauth2", json!({"tokenUrl": "as.example"}), "credential.oauth2.tokenUrl: is no URL"),
    ]);
}

#[test]
fn of_create() {
    assert_reported(&[
        ("/create/dpop", json!(true), "create.values.dpopKey: is the name"),
        ("/create/permissions", json!("scope"), "create.permissions: is no JSONPath"),
        ("/create/values", json!({}), "create.values: is empty"),
        ("/create/values/token", json!("token"), "create.values.token: is no JSONPath (RFC 9535)"),
        ("/create/id", Value::Null, "create.id: is needed, because ${token.id} is used"),
        ("/create/expires", json!({"path": "$["}), "create.expires.path: is no JSONPath"),
    ]);
}

#[test]
fn of_answers() {
    assert_reported(&[
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
            json!({"expect": [{"path": "$.a", "oneOf": [1], "default": "Success"}]}),
            "default cannot be Success",
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
            "revoke.answer.cases[0]: set path and oneOf together",
        ),
        ("/revoke/answer", json!({"cases": [{"status": 99, "meaning": "Gone"}]}), "cases[0].status: is no HTTP status"),
    ]);
}

#[test]
fn of_requests() {
    assert_reported(&[
        ("/create/request/json/scopes", json!("x"), "create.request: never uses ${permissions}"),
        (
            "/create/request/json/scopes",
            json!("a ${permissions}"),
            "create.request.json.scopes: a list can stand alone only",
        ),
        ("/create/request/json", json!({"scopes": "${permissions}"}), "create.request: never uses ${name}, so list"),
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
        (
            "/create/request/path",
            json!("/tokens/${replaced.token}"),
            "create.request.path: `${replaced.token}` needs inPlace.initial.token",
        ),
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
        ("/revoke/request/path", json!("/tokens"), "revoke.request: never names the token"),
    ]);
}

#[test]
fn of_lists_and_ends() {
    assert_reported(&[
        ("/revoke", Value::Null, "create.expires: is needed without revoke"),
        ("/list", Value::Null, "list: is needed where tokens do not expire"),
        ("/revoke", Value::Null, "list: is of no use without revoke"),
        ("/listValues", json!({"request": {"path": "/all"}, "values": "$[*]"}), "set list or listValues, not both"),
        ("/list/values", json!({"nope": "$.x"}), "list.values.nope: is none of create.values"),
        ("/inPlace", json!({}), "list: is of no use with inPlace"),
        ("/inPlace", json!({"initial": {"nope": "key"}}), "inPlace.initial.nope: is none of create.values"),
        ("/verify/probes", json!({"nope": {"request": {"path": "/x"}}}), "verify.probes.nope: is none of permissions"),
        ("/list/id", Value::Null, "list.id: is needed, because ${token.id} is used"),
        ("/list/items", json!("$.[*"), "list.items: is no JSONPath"),
        ("/list/paging", json!({}), "list.paging: set exactly one of page, cursor and link"),
    ]);
}

#[test]
fn of_what_could_take_for_ever_or_all_memory() {
    assert_reported(&[
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
    ]);
}
