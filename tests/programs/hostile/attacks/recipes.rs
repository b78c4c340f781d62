//! Recipes and objects that cost much to read, to compile or to keep.

use serde_json::{Value, json};

use crate::{Failure, attacker::Field, rival::Reply, scene::rotated_token};

/// Recipes with a JSONPath in one place each.
fn with_path(field: &Field<'_>, path: &str) -> Vec<Value> {
    let places = ["/create/values/token", "/list/items", "/create/id"];
    let in_place = places.into_iter().map(|place| {
        let mut recipe = field.own_recipe("paths");
        if let Some(found) = recipe.pointer_mut(place) {
            *found = json!(path);
        }
        recipe
    });
    let mut expected = field.own_recipe("paths");
    expected["verify"]["answer"] = json!({"expect": [{"path": path, "oneOf": [true]}]});
    in_place.chain([expected]).collect()
}

/// Objects for each path. What the API server refuses is no attack.
async fn paths(field: &Field<'_>, paths: &[String]) {
    for (number, path) in paths.iter().enumerate() {
        for (place, recipe) in with_path(field, path).iter().enumerate() {
            let _ = field.recipe(&format!("path-{number}-{place}"), recipe).await;
        }
    }
}

pub async fn nested_filters(field: &Field<'_>) -> Result<(), Failure> {
    let nested = |depth: usize| format!("${}.a{}", "[?@".repeat(depth), "]".repeat(depth));
    let grouped = |depth: usize| format!("$[?{}@.a{}]", "(".repeat(depth), ")".repeat(depth));
    let denied = |depth: usize| format!("$[?{}@.a{}]", "!(".repeat(depth), ")".repeat(depth));
    let all: Vec<String> =
        [10, 20, 22, 26, 200].into_iter().flat_map(|depth| [nested(depth), grouped(depth), denied(depth)]).collect();
    paths(field, &all).await;
    field.hold_long().await;
    field.victims_go_on().await
}

pub async fn descendants(field: &Field<'_>) -> Result<(), Failure> {
    // Below 200 bytes; as deep as the reader of JSON goes.
    let deep = "[".repeat(90) + &"]".repeat(90);
    let answer = Reply::Http(200, Vec::new(), deep.into_bytes(), std::time::Duration::ZERO);
    field.scene.rival.behave(&field.place("paths"), move |asked, _| (asked.method != "DELETE").then(|| answer.clone()));
    let all = ["$..*..*..*", "$..[*]..[*]..[*]..[*]", "$..*..*[?@..*]..*", "$..*..*..*..*..*..*"].map(str::to_owned);
    paths(field, &all).await;
    field.hold_long().await;
    field.victims_go_on().await
}

pub async fn long_path(field: &Field<'_>) -> Result<(), Failure> {
    let all = [
        format!("${}", ".a".repeat(500)),
        format!("${}", "[*]".repeat(300)),
        format!("$[{}]", vec!["'a'"; 240].join(",")),
        format!("$[?{}]", vec!["@.a == 1"; 80].join(" || ")),
        format!("$['{}']", "\u{1f980}".repeat(200)),
        format!("$[?length({}) > 0]", "value(".repeat(60) + "@.a" + &")".repeat(60)),
    ];
    paths(field, &all).await;
    field.hold().await;
    field.victims_go_on().await
}

pub async fn pattern(field: &Field<'_>) -> Result<(), Failure> {
    let all = [
        "$[?match(@.a, '((a{100}){100}){100}')]".to_owned(),
        "$[?search(@.a, '(x+x+)+y')]".to_owned(),
        format!("$[?match(@.a, '{}')]", "(a|b){40}".repeat(60)),
        "$[?match(@.a, '\\\\p{L}{1000}')]".to_owned(),
    ];
    let answer = json!({"items": [{"a": "x".repeat(50_000)}], "token": [{"a": "x".repeat(50_000)}]});
    field
        .scene
        .rival
        .behave(&field.place("paths"), move |asked, _| (asked.method != "DELETE").then(|| Reply::json(200, &answer)));
    paths(field, &all).await;
    field.hold().await;
    field.victims_go_on().await
}

pub async fn many(field: &Field<'_>) -> Result<(), Failure> {
    let number = field.plan.number(60, 300);
    let provider = |place: usize| {
        let mut recipe = field.own_recipe("many");
        recipe["create"]["values"]["token"] = json!(["$.token", "$[", "$..token", ""][place % 4]);
        recipe["check"] = json!({"request": {"path": "/self"}});
        json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": format!("many-{place}")},
            "spec": {"http": recipe},
        })
    };
    field.create_all("TokenProvider", (0..number).map(provider)).await;
    let tokens =
        (0..number).map(|place| rotated_token(&format!("many-{place}"), &json!({"name": format!("many-{place}")})));
    field.create_all("RotatedToken", tokens).await;
    field.hold().await;
    field.victims_go_on().await
}

pub async fn large_parameters(field: &Field<'_>) -> Result<(), Failure> {
    let mut recipe = field.own_recipe("large");
    recipe["parameters"] = json!({"large": {}});
    recipe["create"]["request"]["json"]["large"] = json!("${parameters.large}");
    field.provider("large", &recipe).await?;
    let mut token = rotated_token("large", &json!({"name": "large"}));
    token["spec"]["parameters"] = json!({"large": "x".repeat(350_000)});
    let _ = field.create("RotatedToken", &token).await;
    field.hold_long().await;
    minted_few(field, "large")
}

pub async fn surplus(field: &Field<'_>) -> Result<(), Failure> {
    let granted: Vec<String> = (0..34_000).map(|number| format!("granted:{number}")).collect();
    let mut recipe = field.own_recipe("surplus");
    recipe["permissions"] = json!([{"name": "read"}]);
    recipe["create"]["request"]["json"]["scopes"] = json!("${permissions}");
    recipe["verify"]["permissions"] = json!("$.scopes[*]");
    field.scene.rival.behave(&field.place("surplus"), move |asked, tokens| {
        let shown = asked.authorization.strip_prefix("Bearer ").unwrap_or_default();
        let is_alive = tokens.alive.values().any(|(value, _)| value == shown);
        let scopes: Vec<&str> = granted.iter().map(String::as_str).chain(["read"]).collect();
        (asked.path == "/self" && is_alive).then(|| Reply::json(200, &json!({"scopes": scopes})))
    });
    field.provider("surplus", &recipe).await?;
    let mut token = rotated_token("surplus", &json!({"name": "surplus"}));
    token["spec"]["permissions"] = json!(["read"]);
    field.create("RotatedToken", &token).await?;
    field.hold_long().await;
    minted_few(field, "surplus")
}

/// An object that cannot succeed does not mint again and again.
fn minted_few(field: &Field<'_>, name: &str) -> Result<(), Failure> {
    let minted = field.scene.rival.minted(&field.place(name));
    if minted > 3 { Err(format!("{minted} tokens were minted, each in vain").into()) } else { Ok(()) }
}
