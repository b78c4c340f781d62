//! Ten thousand of each: texts as templates, values in every place of a request, answers of every shape, durations.
//! Nothing panics, and what is substituted never changes the structure of what it stands in.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenturn::{
    api::GoDuration,
    providers::http::{
        message::{
            answer::{self, Body, Received},
            content, link,
            render::{self, Parameters, Scope},
            wait,
        },
        recipe::{Recipe, template::Template},
    },
    secret_value::{SecretValue, TokenSet},
};
use url::form_urlencoded;

use super::mistakes::{compiled, good};

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() }
}

/// A recipe with a parameter in every place of create.
fn everywhere(body: &str) -> Recipe {
    let mut recipe = good();
    let request = &mut recipe["create"]["request"];
    request["path"] = json!("/projects/${parameters.project}/x/${name}");
    request["query"] = json!({"q": "a ${parameters.project} b", "name": "${name}"});
    request["headers"] = json!({"X-Project": "${parameters.project}"});
    let fields = json!({"name": "${name}", "p": "${parameters.project}", "scopes": "${permissions|commas}"});
    request.as_object_mut().unwrap().remove("json");
    request[body] = match body {
        "json" => {
            json!({"name": "${name}", "p": ["x", {"y": "${parameters.project}"}], "mixed": "<${parameters.project}>", "scopes": "${permissions}"})
        }
        _ => fields,
    };
    compiled(recipe).unwrap()
}

/// Texts with what could break out of a place: quotes, separators, line breaks, dots, percent signs, other scripts.
fn hostile() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("%2f".to_owned()),
        Just("?a=b&c".to_owned()),
        Just("#".to_owned()),
        Just("\"}],{".to_owned()),
        Just("\r\nX-Evil: 1".to_owned()),
        Just("--tokenturn".to_owned()),
        Just("${name}".to_owned()),
        Just("\\".to_owned()),
        Just("@evil.example".to_owned()),
        Just("\u{0}".to_owned()),
        ".{0,6}",
        "[a-z0-9]{0,8}",
    ];
    prop::collection::vec(bits, 0..6).prop_map(|bits| bits.concat())
}

struct Filled {
    recipe: Recipe,
    parameters: BTreeMap<String, String>,
    permissions: Vec<Value>,
}

impl Filled {
    fn render(&self) -> Result<render::Rendered, String> {
        let scope = Scope {
            name: Some("tokenturn-1"),
            permissions: &self.permissions,
            lifetime: Some(Duration::from_secs(60)),
            parameters: Some(Parameters { known: &self.recipe.parameters, given: &self.parameters }),
            ..Scope::default()
        };
        render::request(&self.recipe.base, &self.recipe.create.operation.request, &scope)
    }
}

fn filled(recipe: Recipe, value: &str) -> Filled {
    let parameters = BTreeMap::from([("project".to_owned(), value.to_owned())]);
    Filled { recipe, parameters, permissions: vec![json!("read"), json!({"id": 7})] }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile().prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{8}Z)?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let names = prop_oneof![Just("token".to_owned()), Just("id".to_owned()), Just("name".to_owned()), "[a-z]{1,3}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_text_is_a_template_or_is_refused(text in prop_oneof![".{0,60}", "([$]{0,3}[{]?[a-z.|]{0,12}[}]?){0,5}"]) {
        if let Err(why) = Template::parse(&text) {
            prop_assert!(!why.is_empty());
        }
    }

    #[test]
    fn values_stay_within_path_query_and_header(value in hostile()) {
        let filled = filled(everywhere("json"), &value);
        let Ok(rendered) = filled.render() else {
            // Told, and only for what no path or header can hold.
            let unfit = value.is_empty() || value == "." || value == ".." || value.chars().any(|c| c.is_control());
            prop_assert!(unfit, "{value:?}");
            return Ok(());
        };
        prop_assert_eq!(rendered.url.host_str(), Some("api.example.com"));
        prop_assert_eq!(rendered.url.scheme(), "https");
        prop_assert!(rendered.url.fragment().is_none() && rendered.url.username().is_empty());
        let segments: Vec<_> = rendered.url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 5, "{}", rendered.url);
        let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
        prop_assert_eq!(decoded.as_ref(), value.as_str());
        let query: Vec<(String, String)> = rendered.url.query_pairs().into_owned().collect();
        prop_assert_eq!(query, vec![("name".to_owned(), "tokenturn-1".to_owned()), ("q".to_owned(), format!("a {value} b"))]);
        prop_assert_eq!(rendered.headers.get("x-project").unwrap().as_bytes(), value.as_bytes());
        let body: Value = serde_json::from_slice(&rendered.body.unwrap()).unwrap();
        prop_assert_eq!(body, json!({
            "name": "tokenturn-1", "p": ["x", {"y": value}], "mixed": format!("<{value}>"), "scopes": ["read", {"id": 7}],
        }));
    }

    #[test]
    fn values_stay_within_their_fields(value in hostile()) {
        let filled = filled(everywhere("form"), &value);
        if let Ok(rendered) = filled.render() {
            let body = rendered.body.unwrap();
            let pairs: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
            let wanted = [("name", "tokenturn-1"), ("p", value.as_str()), ("scopes", "read,{\"id\":7}")];
            prop_assert_eq!(pairs, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }

    #[test]
    fn values_stay_within_their_parts(value in hostile()) {
        let filled = filled(everywhere("multipart"), &value);
        if let Ok(rendered) = filled.render() {
            let kind = rendered.headers.get("content-type").unwrap().to_str().unwrap().to_owned();
            let boundary = format!("--{}", kind.split_once("boundary=").unwrap().1);
            let body = rendered.body.unwrap();
            let body = std::str::from_utf8(&body).unwrap();
            prop_assert_eq!(body.matches(&boundary).count(), 4, "{}", body);
            let part = body.split(&boundary).nth(2).unwrap();
            let content = part.split_once("\r\n\r\n").unwrap().1.strip_suffix("\r\n").unwrap();
            prop_assert_eq!(content, value.as_str());
        }
    }

    #[test]
    fn any_answer_means_something(
        status in 100_u16..600,
        body in json_value(),
        pairs in prop::collection::vec((prop_oneof![
            Just("retry-after"), Just("x-retry-after"), Just("x-rate-limit-reset"), Just("ratelimit-reset"), Just("date"), Just("link"),
        ], prop_oneof![hostile(), "[0-9]{0,20}", "<[a-z:/.]{0,20}>; rel=\"?next\"?"]), 0..4),
    ) {
        let recipe = everywhere("json");
        let header = |(name, value): &(&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value.as_str()).ok()?))
        };
        let headers: HeaderMap = pairs.iter().filter_map(header).collect();
        let received = Received {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.clone(),
            body: Body::of(serde_json::to_vec(&body).unwrap()),
        };
        let _ = answer::meaning(&recipe.create.operation.answer, &received);
        if let Ok(values) = content::values(&recipe.create.values, &body) {
            prop_assert!(values.iter().all(|(_, value)| !value.is_empty()));
        }
        if let Some(wait) = wait::retry_after(&headers, Timestamp::now()) {
            prop_assert!((1..=86_400).contains(&wait.as_secs()));
        }
        if let Ok(Some(next)) = link::next(&headers, &recipe.base) {
            prop_assert_eq!(next.origin(), recipe.base.origin());
        }
    }

    #[test]
    fn any_bytes_are_a_body(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Body::of(bytes);
    }

    #[test]
    fn any_text_is_a_duration_or_is_refused(text in "[-+]?[0-9.]{0,22}[a-zµ]{0,3}([0-9.]{0,22}[smhd]{0,2}){0,2}") {
        if let Ok(duration) = text.parse::<GoDuration>() {
            let shown = duration.to_string();
            prop_assert_eq!(shown.parse::<GoDuration>().map(Duration::from), Ok(Duration::from(duration)), "{}", shown);
        }
    }
}

/// What a token set's value may be; nothing of it is told.
#[test]
fn a_value_that_no_header_can_hold_is_told_without_it() {
    let recipe = compiled(good()).unwrap();
    let values = TokenSet::single(SecretValue::new("canary\r\nX: y"));
    let scope = Scope { token_values: Some(&values), ..Scope::default() };
    let reported = render::request(&recipe.base, &recipe.verify.operation.request, &scope).err().unwrap();
    assert!(reported.contains("header authorization") && !reported.contains("canary"), "{reported}");
}
