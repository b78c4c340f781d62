//! What answers mean by their codes, and what they grant.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokenturn::{
    api::provider::http::HttpMeaning,
    providers::http::message::{
        answer::{self, Body, Received},
        content,
    },
};

use super::mistakes::{compiled, good};

fn received(status: u16, body: &Value) -> Received {
    Received {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Body::of(body.to_string().into_bytes()),
    }
}

#[test]
fn a_case_comes_before_the_status() {
    let mut recipe = good();
    let cases = json!([
        {"path": "$.error", "oneOf": ["quota"], "meaning": "RateLimited"},
        {"path": "$.error", "oneOf": [7], "meaning": "Gone"},
        {"status": 418, "meaning": "Unavailable", "remedy": "have tea"},
    ]);
    let answer = json!({"statuses": {"400": "Duplicate"}, "cases": cases});
    recipe["create"]["answer"] = answer.clone();
    recipe["verify"]["answer"] = answer;
    recipe["verify"]["showCredential"] = json!(true);
    let recipe = compiled(recipe).unwrap();
    for (status, body, meaning, code) in [
        (400, json!({"error": "quota"}), HttpMeaning::RateLimited, Some("quota")),
        (200, json!({"error": "quota"}), HttpMeaning::RateLimited, Some("quota")),
        (403, json!({"error": 7}), HttpMeaning::Gone, None),
        (400, json!({"error": "other"}), HttpMeaning::Duplicate, None),
        (200, json!({"error": "other"}), HttpMeaning::Success, None),
        (500, json!({"error": ["quota"]}), HttpMeaning::Unavailable, None),
        (418, json!({}), HttpMeaning::Unavailable, None),
    ] {
        let received = received(status, &body);
        let answer = &recipe.create.operation.answer;
        let meant = answer::meaning(answer, &received);
        assert_eq!((meant.meaning, meant.word), (meaning, code), "{status} {body}");
    }
    // A code that the recipe gives a meaning to is about the token; another refusal may be about the credential.
    let about_something_else = |status, body: &Value| {
        let received = received(status, body);
        let meant = answer::meaning(&recipe.verify.operation.answer, &received);
        answer::says_nothing_of_the_token(recipe.verify.shows_credential, received.status, meant)
    };
    assert!(!about_something_else(403, &json!({"error": 7})));
    assert!(about_something_else(401, &json!({"error": "other"})));
}

/// Regression: a 403 that says when to come back was taken for a refusal of the credential, and the create was sent
/// again at once.
#[test]
fn a_403_that_says_when_to_come_back_is_about_a_limit() {
    let mut recipe = good();
    recipe["create"]["answer"] =
        json!({"cases": [{"status": 403, "path": "$.error", "oneOf": ["no"], "meaning": "Refused"}]});
    recipe["verify"]["answer"] = json!({"statuses": {"403": "Unauthorized"}});
    let recipe = compiled(recipe).unwrap();
    let [create, verify] = [&recipe.create.operation.answer, &recipe.verify.operation.answer];
    for (status, headers, of_create, of_verify) in [
        (403, &[][..], HttpMeaning::Refused, HttpMeaning::Unauthorized),
        (403, &[("retry-after", "60")], HttpMeaning::RateLimited, HttpMeaning::RateLimited),
        (403, &[("retry-after", "soon")], HttpMeaning::Refused, HttpMeaning::Unauthorized),
        (
            403,
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")],
            HttpMeaning::RateLimited,
            HttpMeaning::RateLimited,
        ),
        (
            403,
            &[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "60")],
            HttpMeaning::Refused,
            HttpMeaning::Unauthorized,
        ),
        (401, &[("retry-after", "60")], HttpMeaning::Unauthorized, HttpMeaning::Unauthorized),
    ] {
        let mut answer = received(status, &json!({}));
        answer.headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        assert_eq!(answer::meaning(create, &answer).meaning, of_create, "{status} {headers:?}");
        let meant = answer::meaning(verify, &answer);
        assert_eq!(meant.meaning, of_verify, "{status} {headers:?}");
        // A token is not dead because somebody asked too often.
        let says_nothing = answer::says_nothing_of_the_token(false, answer.status, meant);
        assert_eq!(says_nothing, of_verify == HttpMeaning::RateLimited);
    }
    // What the recipe knows by its body is what it says.
    let mut answer = received(403, &json!({"error": "no"}));
    answer.headers.insert("retry-after", "60".parse().unwrap());
    assert_eq!(answer::meaning(create, &answer).meaning, HttpMeaning::Refused);
}

#[test]
fn what_is_granted_is_a_list_or_a_text_with_spaces() {
    for (path, with_spaces, body) in
        [("$.scopes[*]", false, json!({"scopes": ["a", "b"]})), ("$.scope", true, json!({"scope": " a  b"}))]
    {
        let mut recipe = good();
        recipe["create"]["permissions"] = json!(path);
        recipe["create"]["permissionsWithSpaces"] = json!(with_spaces);
        let granted = compiled(recipe).unwrap().create.granted.unwrap();
        assert_eq!(content::granted(&granted, &body), [json!("a"), json!("b")]);
        assert!(content::granted(&granted, &json!({})).is_empty());
    }
}
