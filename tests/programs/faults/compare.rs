//! End states, field by field, and which fields tell a run from the fault-free one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Parts of an object that are different in every run, or that the API server keeps for itself.
const OWN: [&str; 10] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "namespace",
    "data",
    "observedGeneration",
    "deployment.kubernetes.io/revision",
    // What was asked for; `fields` says whether the last request is handled.
    "tokenturn.dev/rotate-now",
    "lastHandledRotateNow",
];

/// The fields of an object as path and text. Times are all the same; of a serial only the sequence counts, because a
/// fault may cost an attempt.
pub fn fields(name: &str, object: Option<Value>) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    match object {
        None => fields.push((name.to_owned(), "is not there".to_owned())),
        Some(object) => {
            let requested = object.pointer("/metadata/annotations/tokenturn.dev~1rotate-now");
            let is_handled = object.pointer("/status/lastHandledRotateNow") == requested;
            fields.push((format!("{name}: the last request is handled"), is_handled.to_string()));
            flatten(name.to_owned(), &object, &mut fields);
        }
    }
    fields
}

fn flatten(path: String, value: &Value, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
                flatten(format!("{path}.{key}"), member, fields);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                flatten(format!("{path}[{number}]"), item, fields);
            }
        }
        Value::String(text) => fields.push((path.clone(), plain(&path, text))),
        other => fields.push((path, other.to_string())),
    }
}

fn plain(path: &str, text: &str) -> String {
    let is_generation = path.contains("tokenturn.dev/generation") || path.contains("rotation.tokenturn.dev/");
    if is_generation && let Some((sequence, rest)) = text.split_once('.') {
        let round = rest.split_once('-').map_or("", |(_, round)| round);
        return format!("{sequence}.*{round}");
    }
    let is_time = |word: &str| word.parse::<jiff::Timestamp>().is_ok();
    let words = text.split(' ').map(|word| if is_time(word) { "a time" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The fields that are the same in both of two runs.
pub fn common(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    one.iter().filter(|(path, text)| other.get(*path) == Some(*text)).map(|(p, t)| (p.clone(), t.clone())).collect()
}

/// Fields of the reference that a run has otherwise, and fields that only it has.
pub fn differences(
    reference: &BTreeMap<String, String>,
    masked: &BTreeSet<String>,
    found: &BTreeMap<String, String>,
) -> Vec<String> {
    let nothing = "nothing".to_owned();
    let paths: BTreeSet<&String> =
        reference.keys().chain(found.keys()).filter(|path| !masked.contains(*path)).collect();
    let pairs = paths
        .into_iter()
        .map(|path| (path, reference.get(path).unwrap_or(&nothing), found.get(path).unwrap_or(&nothing)));
    pairs
        .filter(|(_, expected, found)| expected != found)
        .map(|(path, expected, found)| format!("{path} is {found:?}, without faults {expected:?}"))
        .collect()
}
