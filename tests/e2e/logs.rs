//! JSON log lines are what docs/logs.md says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::world::{Outcome, World, condition};

/// One line, as a parser reads it that refuses a key that comes twice.
struct Line(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if keys.insert(key.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("{key} comes twice")));
                    }
                }
                Ok(Line(keys))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Keys and their types, from the tables of the page; by the sentence above the table.
fn schema() -> BTreeMap<String, BTreeMap<String, String>> {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let (mut tables, mut title) = (BTreeMap::<String, BTreeMap<String, String>>::new(), String::new());
    for line in page.lines() {
        match line.split('|').map(str::trim).collect::<Vec<_>>()[..] {
            ["", key, kind, _, ""] if key.starts_with('`') => {
                tables.entry(title.clone()).or_default().insert(key.trim_matches('`').to_owned(), kind.to_owned());
            }
            [sentence] if sentence.ends_with(':') => title = sentence.to_owned(),
            _ => {}
        }
    }
    tables
}

fn check(line: &Line, tables: &BTreeMap<String, BTreeMap<String, String>>) -> Result<(), String> {
    for (key, value) in &line.0 {
        let kind = tables.values().find_map(|table| table.get(key)).ok_or(format!("{key} is not on the page"))?;
        let is_kind = if value.is_string() { "string" } else { "number" };
        if kind != is_kind || !(value.is_string() || value.is_number()) {
            return Err(format!("{key} is no {kind}"));
        }
    }
    let missing = tables["In each line:"].keys().find(|key| !line.0.contains_key(*key));
    missing.map_or(Ok(()), |key| Err(format!("{key} is missing")))
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_have_the_keys_of_the_page_and_none_twice() -> Outcome {
    let world = World::without_operator("logs").await?;
    let mut world = world.with_args(&["--log-format=json", "--log-level=debug"]);
    world.start_operator().await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    // A token that does not pass: two keys `message` stood in its line.
    world.patch(json!({"spec": {"permissions": ["get configmaps", "delete secrets"]}})).await?;
    world.status("the refusal", |status| condition(status, "Ready").0 == "PermissionsMissing").await?;
    world.operators[0].terminate(Duration::from_secs(10)).await?;
    let log = world.operators[0].logs();

    let tables = schema();
    assert_eq!(tables.len(), 4, "{:?}", tables.keys());
    let mut seen = BTreeSet::new();
    let mut reconciles = BTreeSet::new();
    for text in log.lines() {
        let line: Line = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
        check(&line, &tables).map_err(|why| format!("{why}: {text}"))?;
        let is = |key: &str, value: &str| line.0.get(key).is_some_and(|found| found == value);
        // All that the operator does in this world beside starting and ending is about this object.
        if line.0.contains_key("reconcile_id") || line.0.contains_key("serial") || is("target", "tokenturn::audit") {
            assert!(is("namespace", world.space.name()) && is("rotatedtoken", "api"), "{text}");
            reconciles.insert(line.0["reconcile_id"].as_str().unwrap_or_default().to_owned());
        }
        if line.0.contains_key("serial") {
            assert!(is("provider", "cluster") && is("provider_kind", "TokenProvider"), "{text}");
        }
        seen.extend(line.0.into_keys());
    }
    assert!(reconciles.len() > 2, "each reconcile has an id of its own: {reconciles:?}");
    for key in ["reason", "serial", "token_id", "fingerprint", "pods", "uid", "grace_seconds", "version", "step"] {
        assert!(seen.contains(key), "no line has {key}: {seen:?}");
    }
    Ok(())
}
