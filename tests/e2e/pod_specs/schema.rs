//! Every place in a pod spec that can name a Secret, read from the schema that the API server itself serves.
//!
//! Two independent rules: by type (the types that the API uses for references to Secrets), and by name (any field or type
//! with "secret" in its name). A field that a later Kubernetes adds is found by one of them, and the test then asks the
//! operator for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const PREFIX: &str = "io.k8s.api.core.v1.";

/// Types with a field that is the name of a Secret, and that field.
const SECRET_TYPES: [(&str, &str); 5] = [
    ("SecretEnvSource", "name"),
    ("SecretKeySelector", "name"),
    ("SecretProjection", "name"),
    ("SecretReference", "name"),
    ("SecretVolumeSource", "secretName"),
];

/// One step from a pod spec to one of its fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Field(String),
    /// The items of a list.
    Items,
}

/// The way from a pod spec to a string that names a Secret.
pub type Path = Vec<Step>;

/// A path as people write it: `containers[].envFrom[].secretRef.name`.
pub fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.extend([".", name]),
            Step::Items => text.push_str("[]"),
        }
    }
    text
}

/// The paths that each of the two rules finds.
#[derive(Debug, Default)]
pub struct Found {
    pub by_type: BTreeSet<Path>,
    pub by_name: BTreeSet<Path>,
    /// Things with "secret" in their name below which nothing looks like the name of a Secret.
    pub unclear: Vec<String>,
}

/// The schemas of one group and version of the API.
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Reads an OpenAPI v3 document.
    pub fn new(document: &Value) -> Option<Self> {
        let schemas = document["components"]["schemas"].as_object()?;
        Some(Self(schemas.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect()))
    }

    /// The type of a pod's spec.
    pub fn pod_spec(&self) -> Option<&Value> {
        self.0.get(&format!("{PREFIX}PodSpec"))
    }

    /// A schema with its reference followed, and the short name of the type that it refers to.
    pub fn resolved<'a>(&'a self, schema: &'a Value) -> (Option<&'a str>, &'a Value) {
        let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
        let name = reference.and_then(|reference| reference.rsplit('/').next());
        match name.and_then(|name| Some((name, self.0.get(name)?))) {
            Some((name, target)) => (Some(name.rsplit('.').next().unwrap_or(name)), target),
            None => (None, schema),
        }
    }

    /// Walks the type of a pod's spec.
    pub fn references(&self) -> Found {
        let mut found = Found::default();
        if let Some(spec) = self.pod_spec() {
            self.walk(spec, &mut Vec::new(), &mut vec!["PodSpec"], &mut found);
        }
        found
    }

    /// Looks at every field of an object; a type that is already open above is not entered again.
    fn walk<'a>(&'a self, object: &'a Value, path: &mut Path, open: &mut Vec<&'a str>, found: &mut Found) {
        for (field, schema) in object["properties"].as_object().into_iter().flatten() {
            path.push(Step::Field(field.clone()));
            let length = path.len();
            let (mut type_, mut schema) = self.resolved(schema);
            while schema["items"].is_object() || schema["additionalProperties"].is_object() {
                let is_list = schema["items"].is_object();
                path.push(if is_list { Step::Items } else { Step::Field("any".to_owned()) });
                (type_, schema) = self.resolved(&schema[if is_list { "items" } else { "additionalProperties" }]);
            }
            found.by_type.extend(by_type(field, type_, schema, path));
            let called_so = mentions(field) || type_.is_some_and(mentions);
            if called_so {
                found.by_name.extend(names(schema, path));
            }
            if let Some(type_) = type_.filter(|type_| !open.contains(type_)) {
                open.push(type_);
                self.walk(schema, path, open, found);
                open.pop();
            }
            if called_so && !found.by_name.iter().any(|name| name.starts_with(path)) {
                found.unclear.push(written(path));
            }
            path.truncate(length - 1);
        }
    }
}

fn mentions(name: &str) -> bool {
    name.to_lowercase().contains("secret")
}

fn below(path: &[Step], field: &str) -> Path {
    path.iter().cloned().chain([Step::Field(field.to_owned())]).collect()
}

/// The first rule: the type says that this is a reference to a Secret.
fn by_type(field: &str, type_: Option<&str>, schema: &Value, path: &[Step]) -> Option<Path> {
    if let Some((_, name)) = SECRET_TYPES.iter().find(|(known, _)| type_ == Some(*known)) {
        return Some(below(path, name));
    }
    if type_ == Some("LocalObjectReference") && field.contains("ecret") {
        return Some(below(path, "name"));
    }
    (field == "secretName" && schema["type"] == "string").then(|| path.to_vec())
}

/// The second rule: it is called so. The name is the thing itself, or its `name` or `secretName`.
fn names(schema: &Value, path: &[Step]) -> Vec<Path> {
    if schema["type"] == "string" {
        return vec![path.to_vec()];
    }
    let named = ["name", "secretName"].into_iter().filter(|field| schema["properties"][field].is_object());
    named.map(|field| below(path, field)).collect()
}
