//! One pod spec for a path: the smallest that the API server takes, with the name of a Secret at that place and nowhere else.

use serde_json::{Map, Value, json};

use super::schema::{Schemas, Step, written};

/// The container that a generated spec is about; another one stands before it.
pub const CONSUMER: &str = "consumer";

/// A spec whose field at `path` names the Secret.
pub fn pod_spec(schemas: &Schemas, path: &[Step], secret: &str) -> Option<Value> {
    let mut spec = generated(schemas, schemas.pod_spec()?, path, secret);
    let list = first(path);
    let mut bystander = json!({"name": "bystander", "image": "none"});
    match list {
        "containers" => spec["containers"].as_array_mut()?.insert(0, bystander),
        "volumes" => {
            let mount = json!({"name": "thing", "mountPath": "/thing"});
            let consumer = json!({"name": CONSUMER, "image": "none", "volumeMounts": [mount]});
            spec["containers"] = json!([bystander, consumer]);
        }
        "ephemeralContainers" => {
            bystander["name"] = json!("main");
            spec["containers"] = json!([bystander]);
        }
        _ => spec["containers"] = json!([bystander]),
    }
    Some(spec)
}

/// The container that has to be named for a path; a whole pod has none.
pub fn container(path: &[Step]) -> Option<&'static str> {
    matches!(first(path), "containers" | "initContainers" | "ephemeralContainers" | "volumes").then_some(CONSUMER)
}

fn first(path: &[Step]) -> &str {
    match path.first() {
        Some(Step::Field(name)) => name,
        Some(Step::Items) | None => "",
    }
}

/// A value of a schema: what is required, and what leads to the end of the path.
fn generated(schemas: &Schemas, schema: &Value, path: &[Step], secret: &str) -> Value {
    let (type_, schema) = schemas.resolved(schema);
    match path.split_first() {
        None => json!(secret),
        Some((Step::Items, rest)) => json!([generated(schemas, &schema["items"], rest, secret)]),
        Some((Step::Field(field), rest)) if schema["properties"].is_object() => {
            let mut fields = required(schemas, type_, schema);
            fields.insert(field.clone(), generated(schemas, &schema["properties"][field], rest, secret));
            Value::Object(fields)
        }
        // A map: any key will do.
        Some((Step::Field(key), rest)) => {
            json!({ key.as_str(): generated(schemas, &schema["additionalProperties"], rest, secret) })
        }
    }
}

fn required(schemas: &Schemas, type_: Option<&str>, schema: &Value) -> Map<String, Value> {
    let listed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let also = also_required(type_.unwrap_or_default());
    let fields = listed.chain(also.iter().copied());
    fields.map(|field| (field.to_owned(), sample(schemas, type_, field, &schema["properties"][field]))).collect()
}

/// What the API server's validation asks for beyond its schema.
fn also_required(type_: &str) -> &'static [&'static str] {
    match type_ {
        "Container" | "EphemeralContainer" => &["image"],
        "ScaleIOVolumeSource" | "StorageOSVolumeSource" => &["volumeName"],
        _ => &[],
    }
}

/// A value that the validation takes for a field of a type.
fn sample(schemas: &Schemas, type_: Option<&str>, field: &str, schema: &Value) -> Value {
    let (own_type, schema) = schemas.resolved(schema);
    match (type_.unwrap_or_default(), field) {
        ("Container" | "EphemeralContainer", "name") => json!(CONSUMER),
        ("Volume", "name") => json!("thing"),
        ("EnvVar", "name") => json!("TOKEN"),
        ("SecretKeySelector", "key") => json!("token"),
        ("ISCSIVolumeSource", "iqn") => json!("iqn.2001-04.com.example:storage"),
        _ => match schema["type"].as_str() {
            Some("string") => json!("any"),
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([sample(schemas, None, field, &schema["items"])]),
            _ => Value::Object(required(schemas, own_type, schema)),
        },
    }
}

/// Short name of a pod for a path.
pub fn pod_name(number: usize, path: &[Step]) -> String {
    let words = written(path).replace("[]", "").replace('.', "-").to_lowercase();
    format!("{number:02}-{words}").chars().take(60).collect::<String>().trim_end_matches('-').to_owned()
}
